//! The query side of a process at work: its read database, what is projected into it, and live streams.
//!
//! A read database that is lost is restored: everything of this side begins anew, with a database that is opened again, or
//! made again and filled from the bus. Readers are told by the status, and have their streams end and begin again.

use std::{sync::Arc, time::Duration};

use ed25519_dalek::VerifyingKey;
use prometheus_client::registry::Registry;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::waiting::Waiting;
use crate::{
    bus::{
        Bus,
        head::HeadKeys,
        kafka::{KafkaBus, KafkaSettings},
    },
    db_url::DbUrl,
    metrics::QueryMetrics,
    read::{
        OtherLog, ReadSide,
        database::{ReadDb, ReadDbError},
        hub::Hub,
        queries::SqlQueries,
    },
    token::Revocations,
    web::Live,
};

/// What is under way in a lost database gets this long to end.
const CLOSING: Duration = Duration::from_secs(10);
/// How long it waits before it tries again to restore.
const PATIENCE: Duration = Duration::from_secs(1);

/// The query side of a process.
pub struct QuerySide {
    pub queries: Arc<SqlQueries>,
    pub live: Live,
    side: watch::Receiver<Arc<ReadSide>>,
    stopping: CancellationToken,
    keeping: JoinHandle<()>,
}

/// What it takes to begin.
struct Parts {
    url: DbUrl,
    pages: Option<u32>,
    bus: Arc<dyn Bus>,
    revocations: Arc<Revocations>,
    waiting: Waiting,
}

/// From one loss of the database to the next.
struct Running {
    read: Arc<ReadSide>,
    hub: Arc<Hub>,
    reading: CancellationToken,
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
        waiting: &Waiting,
    ) -> anyhow::Result<Self> {
        let parts = Parts { url: url.clone(), pages, bus, revocations, waiting: waiting.clone() };
        let running = parts.begin().await?;
        let (side, sides) = watch::channel(running.read.clone());
        let (hub, live) = watch::channel(running.hub.clone());
        let stopping = CancellationToken::new();
        let keeping = tokio::spawn(keep(parts, running, side, hub, stopping.clone()));
        Ok(Self { queries: Arc::new(SqlQueries::over(sides.clone())), live, side: sides, stopping, keeping })
    }

    /// The read side that is at work.
    pub fn read(&self) -> Arc<ReadSide> {
        self.side.borrow().clone()
    }

    /// See [`ReadSide::replaced`], of whichever is at work.
    pub fn replaced(&self) -> impl Future<Output = OtherLog> + use<> {
        let mut sides = self.side.clone();
        async move {
            loop {
                let side = sides.borrow_and_update().clone();
                tokio::select! {
                    replaced = side.replaced() => return replaced,
                    changed = sides.changed() => if changed.is_err() {
                        // The node stops.
                        std::future::pending::<()>().await;
                    },
                }
            }
        }
    }

    /// What can be looked at from outside.
    pub fn metrics(&self, registry: &mut Registry) -> QueryMetrics {
        QueryMetrics::new(self.side.clone(), self.live.clone(), registry)
    }

    pub async fn stop(self) {
        self.stopping.cancel();
        if let Err(error) = self.keeping.await {
            tracing::error!(%error, "the read side did not end in order");
        }
    }
}

impl Parts {
    async fn begin(&self) -> anyhow::Result<Running> {
        let url = &self.url;
        // A file that does not open is not waited for: nobody else opens it.
        let postgres = matches!(url, DbUrl::Postgres(_));
        let away = |error: &ReadDbError| postgres && matches!(error, ReadDbError::Database(_) | ReadDbError::InUse);
        let begin = async || {
            let (db, reading) = (ReadDb::at(url, self.pages).await?, CancellationToken::new());
            let revocations = self.revocations.clone();
            let on_session = Arc::new(move |event: &_, recorded_at| revocations.apply(event, recorded_at));
            let read = ReadSide::start(db, self.bus.clone(), on_session, reading.clone()).await?;
            Ok::<_, ReadDbError>((read, reading))
        };
        let what = format!("the read database at {url}");
        let begun = self.waiting.until_it_answers(&what, away, begin).await;
        let (read, reading) = begun.map_err(|error| {
            let hint = match error {
                // Whoever followed the hint would delete the log.
                ReadDbError::HoldsALog => "",
                _ => " (it can be deleted: it is built again from the log)",
            };
            anyhow::Error::new(error).context(format!("opening the read database at {url}{hint}"))
        })?;
        let hub = Hub::start(&read, reading.clone());
        Ok(Running { read, hub, reading })
    }

    async fn begin_again(&self) -> Running {
        loop {
            match self.begin().await {
                Ok(running) => return running,
                Err(error) => tracing::error!("the read database is not restored yet: {error:#}"),
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }
}

impl Running {
    async fn stop(&self) {
        self.reading.cancel();
        self.read.stopped().await;
    }
}

/// Restores the read database whenever it is lost, until `stopping`.
async fn keep(
    parts: Parts,
    mut running: Running,
    side: watch::Sender<Arc<ReadSide>>,
    hub: watch::Sender<Arc<Hub>>,
    stopping: CancellationToken,
) {
    while let Some(why) = stopping.run_until_cancelled(running.read.until_lost()).await {
        tracing::error!(why, "the read database at {} is lost: it is restored", parts.url);
        if tokio::time::timeout(CLOSING, running.stop()).await.is_err() {
            tracing::warn!("what was under way in the lost read database has not ended");
        }
        let Some(again) = stopping.run_until_cancelled(parts.begin_again()).await else { return };
        tracing::info!("the read database at {} is open again, and catches up", parts.url);
        side.send_replace(again.read.clone());
        hub.send_replace(again.hub.clone());
        running = again;
    }
    running.stop().await;
}
