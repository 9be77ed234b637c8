//! A process that has both sides. They meet on a bus of its own, or on Kafka as they would apart.

use std::sync::Arc;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::{
    command_side::{CommandSide, SMALL_PAGES, WriteParts},
    node::Node,
    query_side::{QuerySide, listen},
    waiting::Waiting,
};
use crate::{
    bus::{Bus, kafka::KafkaSettings},
    config::DataDir,
    db_url::DbUrl,
    token::TokenVerifier,
    write::writer::WriterSettings,
};

/// Aggregates that the writer keeps in memory where it is to be small.
const SMALL_CACHE: usize = 20_000;

/// Where both sides of a process meet.
pub enum BusChoice {
    InProcess,
    Kafka(KafkaSettings),
}

impl Node {
    /// Both sides on the folder's databases, made if they are not there; everything but the web.
    pub async fn start(data: &DataDir, settings: WriterSettings) -> anyhow::Result<Self> {
        Self::embedded(data, None, settings, false).await
    }

    /// [`Self::start`] for work that is to leave the machine's memory to others: caches are small.
    /// `write_db`: where the log is, if not in the folder.
    pub async fn start_small(data: &DataDir, write_db: Option<&DbUrl>) -> anyhow::Result<Self> {
        let settings = WriterSettings { cache: SMALL_CACHE, ..WriterSettings::default() };
        Self::embedded(data, write_db, settings, true).await
    }

    async fn embedded(
        data: &DataDir,
        write_db: Option<&DbUrl>,
        settings: WriterSettings,
        small: bool,
    ) -> anyhow::Result<Self> {
        let (url, key) = (data.write_url(write_db), data.signing_key());
        let write = WriteParts { small, ..WriteParts::open(url, &key, [], settings)? };
        Self::run_both(write, data.read_url(None), BusChoice::InProcess, &Waiting::default()).await
    }

    pub(super) async fn run_both(
        write: WriteParts,
        read: DbUrl,
        bus: BusChoice,
        waiting: &Waiting,
    ) -> anyhow::Result<Self> {
        let listening = CancellationToken::new();
        let (keys, small) = (write.keys.clone(), write.small);
        let kafka = match &bus {
            BusChoice::InProcess => None,
            BusChoice::Kafka(settings) => Some(settings),
        };
        let mut command = CommandSide::open(write, kafka, waiting).await?;
        let bus: Arc<dyn Bus> = match bus {
            BusChoice::InProcess => Arc::new(command.in_process()),
            BusChoice::Kafka(settings) => {
                command.publish(settings.clone());
                listen(settings, keys.public().iter(), listening.clone())?
            }
        };
        // In one process what the command side knows of ended sessions the query side knows at once.
        let revocations = command.revocations.clone();
        let tokens = TokenVerifier::new(keys.public().iter(), revocations.clone());
        let pages = small.then_some(SMALL_PAGES);
        let query = QuerySide::start(&read, pages, bus, revocations, waiting).await?;
        let last = query.read().last().await?;
        let replaced = match &last {
            Some(last) => !command.has(last).await?,
            None => false,
        };
        let node = Self::of(tokens, listening).with_command(command).with_query(query);
        if let Some(last) = last.filter(|_| replaced) {
            node.stop().await?;
            bail!(
                "the views hold position {}, which the log does not have like that: it was replaced by another or an \
                 older one. If that was meant, delete the read database ({read}) and start again: it is built \
                 from the log",
                last.position
            );
        }
        Ok(node)
    }
}
