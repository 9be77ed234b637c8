//! The command side of a process at work: the log and its writer, sign-in, the process manager, and what it tells the bus.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use app::wire::{Envelope, Position};
use ed25519_dalek::VerifyingKey;
use prometheus_client::registry::Registry;
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tokio::{sync::watch, task::JoinHandle};

use super::waiting::Waiting;
use crate::{
    bus::{
        LogHead, LogSource,
        head::HeadKeys,
        kafka::{KafkaSettings, Relay, RelayParts, RelayStatus, compare, said},
    },
    config::DataDir,
    db_url::DbUrl,
    metrics::{CommandMetrics, CommandParts},
    tasks::Tasks,
    token::Revocations,
    write::{
        copy::UNFINISHED,
        database::WriteDb,
        handler::Handler,
        identity::{Passwords, SessionParts, Sessions, SignInLimits},
        keys::SigningKeys,
        log_source::{WriteLog, head_signer},
        process_manager::{ProcessManager, ProcessStatus},
        relay_lease::RelayLease,
        store::{Head, OpenError, StoreError, connect_options},
        writer::{Clock, SubmitError, SystemClock, Writer, WriterSettings},
    },
};

/// How often the log's head is said again.
const TICK: Duration = Duration::from_secs(1);
/// How long brokers may take at start to say what they hold.
const LOOK: Duration = Duration::from_secs(5);

/// KiB of pages that a database keeps in memory where it is to be small.
pub(super) const SMALL_PAGES: u32 = 8 * 1024;

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
    /// With the keys in the file `key`, made if it is not there; signatures of `others` count, too.
    pub fn open(
        url: DbUrl,
        key: &Path,
        others: impl IntoIterator<Item = VerifyingKey>,
        settings: WriterSettings,
    ) -> anyhow::Result<Self> {
        let fresh_key = !key.exists();
        Ok(Self {
            url,
            admin: None,
            keys: Arc::new(SigningKeys::load_or_create(key)?.trusting(others)),
            fresh_key,
            settings,
            small: false,
        })
    }
}

/// The people's table of the write database in this folder, which the store has brought up to date.
pub async fn people_pool(data: &DataDir) -> anyhow::Result<SqlitePool> {
    let options = connect_options(&data.write_db());
    Ok(SqlitePoolOptions::new().max_connections(2).connect_with(options).await?)
}

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
    relay: Option<watch::Receiver<RelayStatus>>,
    /// Commands that may wait.
    queue: usize,
    transferring: watch::Receiver<ProcessStatus>,
}

impl CommandSide {
    /// As these parts say, its database brought up to date first where its owner is known; publishes to `bus` later.
    /// A database that is away, or that its owner has yet to migrate, is waited for, and `waiting` told so.
    pub async fn open(parts: WriteParts, bus: Option<&KafkaSettings>, waiting: &Waiting) -> anyhow::Result<Self> {
        let WriteParts { url, admin, keys, fresh_key, settings, small } = parts;
        if let Some(admin) = admin {
            let migrate = || WriteDb::migrate(&admin, Some(&url));
            let migrated = match &admin {
                DbUrl::Sqlite(_) => migrate().await,
                DbUrl::Postgres(_) => waiting.until_it_answers(&format!("the log at {admin}"), is_away, migrate).await,
            };
            migrated.with_context(|| format!("bringing {admin} up to date"))?;
        }
        let open = || look(&url, small.then_some(SMALL_PAGES));
        let opened = match &url {
            DbUrl::Sqlite(_) => open().await,
            DbUrl::Postgres(_) => waiting.until_it_answers(&format!("the log at {url}"), is_away, open).await,
        };
        let opened = opened.with_context(|| format!("opening the log at {url}"))?;
        Self::start(&url, opened, (keys, fresh_key), settings, bus, waiting).await
    }

    /// Starts everything that commands need, over the write database at `url`. The flag beside the keys says that they were
    /// made just now. Refuses a log that is not the one on `bus`.
    async fn start(
        url: &DbUrl,
        Opened { db, unfinished, head }: Opened,
        (keys, fresh_key): (Arc<SigningKeys>, bool),
        settings: WriterSettings,
        bus: Option<&KafkaSettings>,
        waiting: &Waiting,
    ) -> anyhow::Result<Self> {
        is_whole(url, unfinished)?;
        if fresh_key && head.position > Position(0) {
            let was = "its signing key is lost, a new one is made: anchors of before hold only by their own public key";
            tracing::warn!("{url}: {was} (verify --anchor-key)");
        }
        let log: Arc<dyn LogSource> = Arc::new(WriteLog::new(db.store.clone(), db.people.clone()));
        if let Some(bus) = bus {
            same_log(bus, &HeadKeys::new(keys.public().iter()), &*log).await?;
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (sending, telling) = (Tasks::default(), Tasks::default());
        let queue = settings.queue;
        // Known from the start: a node with both sides is not to wait for what is in its own log.
        let (log_head, heads) = watch::channel(Some(log_head(&head, &*clock)));
        let (writer, head, writing) = Writer::start(db.store.clone(), clock.clone(), settings);
        let revocations = Arc::new(Revocations::default());
        let passwords = Passwords::new()?;
        let sessions = async || {
            let sessions = Sessions::start(SessionParts {
                people: db.people.clone(),
                passwords: passwords.clone(),
                limits: SignInLimits::default(),
                keys: keys.clone(),
                store: db.store.clone(),
                writer: writer.clone(),
                revocations: revocations.clone(),
                clock: clock.clone(),
            });
            Ok::<_, SubmitError>((sessions.await?, db.store.checkpoint(UNFINISHED).await?))
        };
        // It was there a moment ago.
        let away = |error: &SubmitError| matches!(error, SubmitError::Unavailable(_));
        let (sessions, unfinished) = waiting.until_it_answers(&format!("the log at {url}"), away, sessions).await?;
        // All this took its time.
        is_whole(url, unfinished)?;
        let sessions = Arc::new(sessions);
        sending.spawn({
            let (sessions, cancelled) = (sessions.clone(), sending.cancelled());
            async move { sessions.run(cancelled).await }
        });
        let transfers = ProcessManager::new(db.store.clone(), writer.clone(), head.clone());
        let transferring = transfers.status();
        sending.spawn(transfers.run(sending.cancelled()));
        telling.spawn({
            let (cancelled, clock) = (telling.cancelled(), clock.clone());
            async move { cancelled.run_until_cancelled(say_head(head, clock, log_head)).await.unwrap_or_default() }
        });
        let handler = Arc::new(Handler::new(writer.clone(), clock));
        Ok(Self {
            handler,
            sessions,
            revocations,
            keys,
            log,
            heads,
            db,
            writer,
            writing,
            sending,
            telling,
            relay: None,
            queue,
            transferring,
        })
    }

    /// Returns when a part of it has ended by itself, as after a bug.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let (writer, sending, telling) = (self.writer.clone(), self.sending.panicked(), self.telling.panicked());
        async move {
            tokio::select! {
                () = writer.ended() => {}
                () = sending.cancelled() => {}
                () = telling.cancelled() => {}
            }
        }
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
    #[cfg(feature = "query")]
    pub fn in_process(&self) -> crate::bus::InProcess {
        crate::bus::InProcess::new(self.log.clone(), self.heads.clone(), self.db.people.changes())
    }

    /// Publishes the log and what is known of people to Kafka, from now on; of several command nodes one does.
    pub fn publish(&mut self, settings: KafkaSettings) {
        let lease = Arc::new(RelayLease::new(self.db.store.clone(), &settings.prefix));
        let relay = Relay::new(RelayParts {
            settings,
            log: self.log.clone(),
            appended: self.heads.clone(),
            people: self.db.people.changes(),
            lease,
            sign: head_signer(self.keys.clone()),
            keys: HeadKeys::new(self.keys.public().iter()),
        });
        self.relay = Some(relay.status());
        self.telling.spawn(relay.run(self.telling.cancelled()));
    }

    /// What can be looked at from outside.
    pub fn metrics(&self, registry: &mut Registry) -> CommandMetrics {
        let parts = CommandParts {
            writer: self.writer.clone(),
            queue: self.queue,
            heads: self.heads.clone(),
            relay: self.relay.clone(),
            transfers: self.transferring.clone(),
        };
        CommandMetrics::new(parts, registry)
    }

    /// What this node's relay does, if it has one.
    pub fn relay(&self) -> Option<watch::Receiver<RelayStatus>> {
        self.relay.clone()
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
        self.db.close().await.context("closing the log")
    }
}

/// A write database, and what was found in it.
struct Opened {
    db: WriteDb,
    /// How far a restore or a copy had come that was interrupted; 0 if none was.
    unfinished: Position,
    head: Head,
}

async fn look(url: &DbUrl, pages: Option<u32>) -> Result<Opened, OpenError> {
    let db = WriteDb::open(url, pages).await?;
    let (unfinished, head) = (db.store.checkpoint(UNFINISHED).await?, db.store.head().await?);
    Ok(Opened { db, unfinished, head })
}

/// `unfinished`: see [`Opened`].
fn is_whole(url: &DbUrl, unfinished: Position) -> anyhow::Result<()> {
    anyhow::ensure!(
        unfinished == Position(0),
        "{url} is not whole: a restore or a copy, up to position {unfinished}, was interrupted. Run it again: it goes on"
    );
    Ok(())
}

/// It may be there later, or be brought up to date by its owner.
fn is_away(error: &OpenError) -> bool {
    matches!(error, OpenError::Older { .. } | OpenError::Store(StoreError::Unavailable(_)))
}

/// Whether the log is the one on the topics. Brokers that are away fail nobody (B2): the relay looks again before it publishes.
async fn same_log(bus: &KafkaSettings, keys: &HeadKeys, log: &dyn LogSource) -> anyhow::Result<()> {
    let look = async { compare(&said(bus, keys).await?, log, bus).await };
    match tokio::time::timeout(LOOK, look).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(replaced))) => Err(replaced.into()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "whether the topics hold this log is looked at before anything is published");
            Ok(())
        }
        Err(_) => {
            tracing::warn!(
                "the brokers are slow: whether the topics hold this log is looked at before anything is published"
            );
            Ok(())
        }
    }
}

fn log_head(head: &Head, clock: &dyn Clock) -> LogHead {
    LogHead { position: head.position, hash: head.hash, at: clock.now_micros() }
}

/// Says where the log ends: after each commit, and again every second, so that silence means something.
async fn say_head(mut head: watch::Receiver<Head>, clock: Arc<dyn Clock>, to: watch::Sender<Option<LogHead>>) {
    // What is there before the writer has read the log is not its end.
    let mut open = head.changed().await.is_ok();
    while open {
        to.send_replace(Some(log_head(&head.borrow_and_update(), &*clock)));
        open = tokio::time::timeout(TICK, head.changed()).await.unwrap_or(Ok(())).is_ok();
    }
    // The writer has ended; whoever listens is told so by its own cancellation, not by a bus that breaks.
    std::future::pending::<()>().await;
}
