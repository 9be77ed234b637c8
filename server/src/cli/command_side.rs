//! The command side of a process at work: the log and its writer, sign-in, the process manager, and what it tells the bus.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use app::wire::{Envelope, Position};
use tokio::{sync::watch, task::JoinHandle};

use super::{tasks::Tasks, waiting::until_it_answers};
use crate::{
    bus::{
        InProcess, LogHead, LogSource,
        kafka::{KafkaSettings, Relay, RelayParts},
    },
    db_url::DbUrl,
    token::Revocations,
    write::{
        database::WriteDb,
        handler::Handler,
        identity::{Passwords, SessionParts, Sessions, SignInLimits},
        keys::SigningKeys,
        log_source::{WriteLog, head_signer},
        process_manager::ProcessManager,
        relay_lease::RelayLease,
        store::{Head, OpenError, StoreError},
        writer::{Clock, SystemClock, Writer, WriterSettings},
    },
};

/// How often the log's head is said again.
const TICK: Duration = Duration::from_secs(1);

/// The command side of a process.
pub struct CommandSide {
    /// Takes the operator's commands too.
    pub handler: Arc<Handler>,
    pub sessions: Arc<Sessions>,
    /// What it knows of ended sessions.
    pub revocations: Arc<Revocations>,
    keys: Arc<SigningKeys>,
    log: Arc<dyn LogSource>,
    heads: watch::Receiver<Option<LogHead>>,
    db: WriteDb,
    writer: Writer,
    writing: JoinHandle<()>,
    /// Whatever sends commands by itself.
    sending: Tasks,
    /// Whatever tells the bus.
    telling: Tasks,
}

impl CommandSide {
    /// Opens the write database at `url`, waiting for it where it is away, and starts everything that commands need.
    /// `pages`: see [`WriteDb::open`]. The flag beside the keys says that they were made just now.
    pub async fn start(
        url: &DbUrl,
        pages: Option<u32>,
        (keys, fresh_key): (Arc<SigningKeys>, bool),
        settings: WriterSettings,
    ) -> anyhow::Result<Self> {
        let away = |error: &OpenError| matches!(error, OpenError::Store(StoreError::Unavailable(_)));
        let db = match url {
            DbUrl::Sqlite(_) => WriteDb::open(url, pages).await,
            DbUrl::Postgres(_) => {
                until_it_answers(&format!("the log at {url}"), away, || WriteDb::open(url, pages)).await
            }
        };
        let db = db.with_context(|| format!("opening the log at {url}"))?;
        if fresh_key && db.store.head().await?.position > Position(0) {
            let was = "its signing key is lost, a new one is made: anchors of before hold only by their own public key";
            tracing::warn!("{url}: {was} (verify --anchor-key)");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (sending, telling) = (Tasks::default(), Tasks::default());
        let (writer, head, writing) = Writer::start(db.store.clone(), clock.clone(), settings);
        let revocations = Arc::new(Revocations::default());
        let sessions = Sessions::start(SessionParts {
            people: db.people.clone(),
            passwords: Passwords::new()?,
            limits: SignInLimits::default(),
            keys: keys.clone(),
            store: db.store.clone(),
            writer: writer.clone(),
            revocations: revocations.clone(),
            clock: clock.clone(),
        });
        let sessions = Arc::new(sessions.await?);
        sending.spawn({
            let (sessions, cancelled) = (sessions.clone(), sending.cancelled());
            async move { sessions.run(cancelled).await }
        });
        let transfers = ProcessManager::new(db.store.clone(), writer.clone(), head.clone());
        sending.spawn(transfers.run(sending.cancelled()));
        let (log_head, heads) = watch::channel(None);
        telling.spawn({
            let (cancelled, clock) = (telling.cancelled(), clock.clone());
            async move { cancelled.run_until_cancelled(say_head(head, clock, log_head)).await.unwrap_or_default() }
        });
        let log: Arc<dyn LogSource> = Arc::new(WriteLog::new(db.store.clone(), db.people.clone()));
        let handler = Arc::new(Handler::new(writer.clone(), clock));
        Ok(Self { handler, sessions, revocations, keys, log, heads, db, writer, writing, sending, telling })
    }

    /// Returns when it takes no commands any more, as after a bug.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let writer = self.writer.clone();
        async move { writer.ended().await }
    }

    /// Where the log ends, again whenever that changes and every second.
    pub fn heads(&self) -> watch::Receiver<Option<LogHead>> {
        self.heads.clone()
    }

    /// Whether the log has this event, just as it is.
    pub async fn has(&self, event: &Envelope) -> anyhow::Result<bool> {
        let before = Position(event.position.0.saturating_sub(1));
        Ok(self.log.read(before, 1).await?.first() == Some(event))
    }

    /// The bus of this process alone.
    pub fn in_process(&self) -> InProcess {
        InProcess::new(self.log.clone(), self.heads.clone(), self.db.people.changes())
    }

    /// Publishes the log and what is known of people to Kafka, from now on; of several command nodes one does.
    pub fn publish(&self, settings: KafkaSettings) {
        let relay = Relay::new(RelayParts {
            settings,
            log: self.log.clone(),
            appended: self.heads.clone(),
            people: self.db.people.changes(),
            lease: Arc::new(RelayLease::new(self.db.store.clone())),
            sign: head_signer(self.keys.clone()),
        });
        let running = relay.start(self.telling.cancelled());
        self.telling.spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%error, "the relay has panicked: nothing is published any more");
            }
        });
    }

    /// Takes no more commands; what was accepted is stored. What tells the bus goes on.
    pub async fn stop_commands(&mut self) -> anyhow::Result<()> {
        std::mem::take(&mut self.sending).end().await;
        self.writer.clone().stop().await;
        (&mut self.writing).await.context("the writer panicked")
    }

    /// The rest, after [`Self::stop_commands`].
    pub async fn close(self) -> anyhow::Result<()> {
        self.telling.end().await;
        Ok(self.db.close().await?)
    }
}

/// Says where the log ends: after each commit, and again every second, so that silence means something.
async fn say_head(mut head: watch::Receiver<Head>, clock: Arc<dyn Clock>, to: watch::Sender<Option<LogHead>>) {
    // What is there before the writer has read the log is not its end.
    let mut open = head.changed().await.is_ok();
    while open {
        let Head { position, hash, .. } = *head.borrow_and_update();
        to.send_replace(Some(LogHead { position, hash, at: clock.now_micros() }));
        open = tokio::time::timeout(TICK, head.changed()).await.unwrap_or(Ok(())).is_ok();
    }
    // The writer has ended; whoever listens is told so by its own cancellation, not by a bus that breaks.
    std::future::pending::<()>().await;
}
