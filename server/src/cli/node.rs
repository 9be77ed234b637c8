//! A process at work, in its role: the command side, the query side, or both. They meet on the bus and nowhere else.
//!
//! Guarantees an end in order: first what takes commands, then what reads, then the databases.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use app::{
    ports::{CommandPort, Ports, QueryPort, SessionPort},
    wire::Hash,
};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tokio_util::sync::CancellationToken;

use super::{command_side::CommandSide, query_side::QuerySide};
use crate::{
    bus::{
        Bus,
        head::HeadKeys,
        kafka::{KafkaBus, KafkaSettings},
    },
    config::DataDir,
    db_url::DbUrl,
    token::{Revocations, TokenVerifier},
    write::{
        database::WriteDb,
        keys::{PublicKeys, SigningKeys},
        store::connect_options,
        writer::WriterSettings,
    },
};

/// KiB of pages that a database keeps in memory, and aggregates that the writer does, where both are to be small.
const SMALL_PAGES: u32 = 8 * 1024;
const SMALL_CACHE: usize = 20_000;

/// What a process does, and with what.
pub enum Role {
    All { write: WriteParts, read: DbUrl, bus: BusChoice },
    Command { write: WriteParts, bus: KafkaSettings },
    Query { read: DbUrl, bus: KafkaSettings, keys: PublicKeys },
}

/// What the command side works with.
pub struct WriteParts {
    pub url: DbUrl,
    /// The same as its owner: brings it up to date first.
    pub admin: Option<DbUrl>,
    pub keys: Arc<SigningKeys>,
    /// The keys were made just now.
    pub fresh_key: bool,
    pub settings: WriterSettings,
    /// Leaves the machine's memory to others.
    pub small: bool,
}

impl WriteParts {
    /// With the keys in the file `key`, made if it is not there.
    pub fn open(url: DbUrl, key: &Path, settings: WriterSettings) -> anyhow::Result<Self> {
        let fresh_key = !key.exists();
        Ok(Self {
            url,
            admin: None,
            keys: Arc::new(SigningKeys::load_or_create(key)?),
            fresh_key,
            settings,
            small: false,
        })
    }
}

/// Where both sides of a process meet.
pub enum BusChoice {
    InProcess,
    Kafka(KafkaSettings),
}

/// A process at work.
pub struct Node {
    pub ports: Ports,
    pub tokens: Arc<TokenVerifier>,
    pub command: Option<CommandSide>,
    pub query: Option<QuerySide>,
    /// Of a bus that is not this process' own.
    listening: CancellationToken,
}

/// The people's table of the write database in this folder, which the store has brought up to date.
pub async fn people_pool(data: &DataDir) -> anyhow::Result<SqlitePool> {
    let options = connect_options(&data.write_db());
    Ok(SqlitePoolOptions::new().max_connections(2).connect_with(options).await?)
}

/// The public keys of these bytes.
pub fn public_keys(keys: &[Hash]) -> anyhow::Result<PublicKeys> {
    let mut known = PublicKeys::default();
    for key in keys {
        if !known.add(&key.0) {
            bail!("{key} is no public key: `daybook token public-key` prints the one of a command node");
        }
    }
    Ok(known)
}

impl Node {
    /// Both sides on the folder's databases, made if they are not there; everything but the web.
    pub async fn start(data: &DataDir, settings: WriterSettings) -> anyhow::Result<Self> {
        Self::embedded(data, settings, false).await
    }

    /// [`Self::start`] for work that is to leave the machine's memory to others: caches are small.
    pub async fn start_small(data: &DataDir) -> anyhow::Result<Self> {
        let settings = WriterSettings { cache: SMALL_CACHE, ..WriterSettings::default() };
        Self::embedded(data, settings, true).await
    }

    async fn embedded(data: &DataDir, settings: WriterSettings, small: bool) -> anyhow::Result<Self> {
        let write = WriteParts { small, ..WriteParts::open(data.write_url(None), &data.signing_key(), settings)? };
        Self::run(Role::All { write, read: data.read_url(None), bus: BusChoice::InProcess }).await
    }

    /// Starts what belongs to this role.
    pub async fn run(role: Role) -> anyhow::Result<Self> {
        let listening = CancellationToken::new();
        match role {
            Role::All { write, read, bus } => {
                let (keys, small) = (write.keys.clone(), write.small);
                let command = command_side(write).await?;
                let bus: Arc<dyn Bus> = match bus {
                    BusChoice::InProcess => Arc::new(command.in_process()),
                    BusChoice::Kafka(settings) => {
                        command.publish(settings.clone());
                        KafkaBus::start(settings, HeadKeys::new(keys.public().iter()), listening.clone())?
                    }
                };
                // In one process what the command side knows of ended sessions the query side knows at once.
                let revocations = command.revocations.clone();
                let tokens = TokenVerifier::new(keys.public().iter(), revocations.clone());
                let pages = small.then_some(SMALL_PAGES);
                let query = QuerySide::start(&read, pages, bus, revocations).await?;
                if let Some(last) = query.read().last().await?
                    && !command.has(&last).await?
                {
                    bail!(
                        "the views hold position {}, which the log does not have like that: it was replaced by another or an \
                         older one. If that was meant, delete the read database ({read}) and start again: it is built \
                         from the log",
                        last.position
                    );
                }
                Ok(Self::of(Some(command), Some(query), tokens, listening))
            }
            Role::Command { write, bus } => {
                let keys = write.keys.clone();
                let command = command_side(write).await?;
                command.publish(bus);
                let tokens = TokenVerifier::new(keys.public().iter(), command.revocations.clone());
                Ok(Self::of(Some(command), None, tokens, listening))
            }
            Role::Query { read, bus, keys } => {
                let revocations = Arc::new(Revocations::default());
                let bus = KafkaBus::start(bus, HeadKeys::new(keys.iter()), listening.clone())?;
                let tokens = TokenVerifier::new(keys.iter(), revocations.clone());
                let query = QuerySide::start(&read, None, bus, revocations).await?;
                Ok(Self::of(None, Some(query), tokens, listening))
            }
        }
    }

    fn of(
        command: Option<CommandSide>,
        query: Option<QuerySide>,
        tokens: TokenVerifier,
        listening: CancellationToken,
    ) -> Self {
        let ports = Ports {
            commands: command.as_ref().map(|side| side.handler.clone() as Arc<dyn CommandPort>),
            sessions: command.as_ref().map(|side| side.sessions.clone() as Arc<dyn SessionPort>),
            queries: query.as_ref().map(|side| side.queries.clone() as Arc<dyn QueryPort>),
        };
        Self { ports, tokens: Arc::new(tokens), command, query, listening }
    }

    /// Ends everything; what was accepted is stored, and the databases are closed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(command) = &mut self.command {
            command.stop_commands().await?;
        }
        if let Some(query) = self.query.take() {
            query.stop().await;
        }
        self.listening.cancel();
        match self.command.take() {
            Some(command) => command.close().await.context("closing the log"),
            None => Ok(()),
        }
    }
}

async fn command_side(parts: WriteParts) -> anyhow::Result<CommandSide> {
    let WriteParts { url, admin, keys, fresh_key, settings, small } = parts;
    if let Some(admin) = admin {
        WriteDb::migrate(&admin, Some(&url)).await.with_context(|| format!("bringing {admin} up to date"))?;
    }
    CommandSide::start(&url, small.then_some(SMALL_PAGES), (keys, fresh_key), settings).await
}
