//! The query side of a process at work: its read database, what is projected into it, and live streams.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use app::wire::Hash;
use ed25519_dalek::VerifyingKey;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::waiting::until_it_answers;
use crate::{
    bus::{
        Bus,
        head::HeadKeys,
        kafka::{KafkaBus, KafkaSettings},
    },
    db_url::DbUrl,
    metrics::QueryMetrics,
    read::{
        ReadSide,
        database::{ReadDb, ReadDbError},
        hub::Hub,
        queries::SqlQueries,
    },
    token::Revocations,
};

/// The query side of a process.
pub struct QuerySide {
    pub read: Arc<ReadSide>,
    pub queries: Arc<SqlQueries>,
    pub hub: Arc<Hub>,
    reading: CancellationToken,
}

/// The public keys of these bytes.
pub fn public_keys(keys: &[Hash]) -> anyhow::Result<Vec<VerifyingKey>> {
    let mut known = Vec::new();
    for key in keys {
        let Ok(read) = VerifyingKey::from_bytes(&key.0) else {
            bail!("{key} is no public key: `daybook token public-key` prints the one of a command node");
        };
        known.push(read);
    }
    Ok(known)
}

/// Hears of the world through Kafka until `listening` is cancelled; log heads count that one of `keys` signed.
pub(super) fn listen(
    settings: KafkaSettings,
    keys: impl IntoIterator<Item = VerifyingKey>,
    listening: CancellationToken,
) -> anyhow::Result<Arc<dyn Bus>> {
    Ok(KafkaBus::start(settings, HeadKeys::new(keys), listening)?)
}

impl QuerySide {
    /// Opens the read database at `url`, waiting for it where it is away, and follows `bus`; tells `revocations` of ended
    /// sessions. `pages`: KiB of memory for SQLite's pages, its default if `None`.
    pub async fn start(
        url: &DbUrl,
        pages: Option<u32>,
        bus: Arc<dyn Bus>,
        revocations: Arc<Revocations>,
    ) -> anyhow::Result<Self> {
        let away = |error: &ReadDbError| matches!(error, ReadDbError::Database(_) | ReadDbError::InUse);
        let db = match url {
            DbUrl::Sqlite(file) => match pages {
                Some(pages) => ReadDb::open_with(file, pages).await,
                None => ReadDb::open(file).await,
            },
            DbUrl::Postgres(text) => {
                until_it_answers(&format!("the read database at {url}"), away, || ReadDb::connect(text)).await
            }
        };
        let db = db.with_context(|| {
            format!("opening the read database at {url} (it can be deleted: it is built again from the log)")
        })?;
        let on_session = Arc::new(move |event: &_, recorded_at| revocations.apply(event, recorded_at));
        let reading = CancellationToken::new();
        let read = ReadSide::start(db, bus, on_session, reading.clone()).await?;
        let hub = Hub::start(&read, reading.clone());
        Ok(Self { queries: Arc::new(SqlQueries::new(read.clone())), read, hub, reading })
    }

    /// What can be looked at from outside.
    pub fn metrics(&self, registry: &mut Registry) -> QueryMetrics {
        QueryMetrics::new(self.read.clone(), self.hub.clone(), registry)
    }

    pub async fn stop(self) {
        self.reading.cancel();
        self.read.stopped().await;
    }
}
