//! Both sides in one process (role `all`), wired: they meet on the in-process bus and nowhere else.
//!
//! Guarantees an end in order: first what takes commands, then what reads, then the files.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use app::{
    ports::{CommandPort, Ports, QueryPort, SessionPort},
    wire::Position,
};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::{Bus, InProcess, LogHead, LogSource},
    config::DataDir,
    read::{ReadSide, database::ReadDb, hub::Hub, queries::SqlQueries},
    token::{Revocations, TokenVerifier},
    write::{
        handler::Handler,
        identity::{Passwords, People, SessionParts, Sessions, SignInLimits},
        keys::SigningKeys,
        log_source::WriteLog,
        process_manager::ProcessManager,
        store::{EventStore, Head, SqliteStore, connect_options},
        writer::{Clock, SystemClock, Writer, WriterSettings},
    },
};

/// How often the log's head is said again.
const TICK: Duration = Duration::from_secs(1);

/// KiB of pages that a database keeps in memory, and aggregates that the writer does, where both are to be small.
const SMALL_PAGES: u32 = 8 * 1024;
const SMALL_CACHE: usize = 20_000;

/// A node at work.
pub struct Node {
    pub ports: Ports,
    /// Takes the operator's commands too.
    pub handler: Arc<Handler>,
    pub tokens: Arc<TokenVerifier>,
    pub read: Arc<ReadSide>,
    pub hub: Arc<Hub>,
    pub bus: Arc<dyn Bus>,
    store: Arc<SqliteStore>,
    people_pool: SqlitePool,
    writer: Writer,
    writing: JoinHandle<()>,
    /// Whatever sends commands by itself.
    sending: Tasks,
    reading: CancellationToken,
    /// Whatever tells the bus.
    telling: Tasks,
}

/// Tasks that end together.
#[derive(Default)]
struct Tasks {
    cancelled: CancellationToken,
    running: TaskTracker,
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    async fn end(self) {
        self.cancelled.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

/// The people's table of the write database, which the store has brought up to date.
pub async fn people_pool(data: &DataDir) -> anyhow::Result<SqlitePool> {
    let options = connect_options(&data.write_db());
    Ok(SqlitePoolOptions::new().max_connections(2).connect_with(options).await?)
}

impl Node {
    /// Opens the folder's databases, made if they are not there, and starts everything but the web.
    pub async fn start(data: &DataDir, settings: WriterSettings) -> anyhow::Result<Self> {
        let store = SqliteStore::open(&data.write_db()).await.context("opening the log")?;
        let read_db = ReadDb::open(&data.read_db()).await.context("opening the read database")?;
        Self::start_with(data, settings, store, read_db).await
    }

    /// [`Self::start`] for work that is to leave the machine's memory to others: caches are small.
    pub async fn start_small(data: &DataDir) -> anyhow::Result<Self> {
        let store = SqliteStore::open_with(&data.write_db(), SMALL_PAGES).await.context("opening the log")?;
        let read_db = ReadDb::open_with(&data.read_db(), SMALL_PAGES).await.context("opening the read database")?;
        let settings = WriterSettings { cache: SMALL_CACHE, ..WriterSettings::default() };
        Self::start_with(data, settings, store, read_db).await
    }

    async fn start_with(
        data: &DataDir,
        settings: WriterSettings,
        store: SqliteStore,
        read_db: ReadDb,
    ) -> anyhow::Result<Self> {
        let key = data.signing_key();
        if !key.exists() && store.head().await?.position > Position(0) {
            let was = "its signing key is lost, a new one is made: anchors of before hold only by their own public key";
            tracing::warn!("{data}: {was} (verify --anchor-key)");
        }
        let keys = Arc::new(SigningKeys::load_or_create(&key)?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (sending, reading, telling) = (Tasks::default(), CancellationToken::new(), Tasks::default());

        // The write side.
        let sqlite = Arc::new(store);
        let store: Arc<dyn EventStore> = sqlite.clone();
        let people_pool = people_pool(data).await.context("opening the table of people")?;
        let people = Arc::new(People::new(people_pool.clone()));
        let (writer, head, writing) = Writer::start(store.clone(), clock.clone(), settings);
        let revocations = Arc::new(Revocations::default());
        let sessions = Arc::new(
            Sessions::start(SessionParts {
                people: people.clone(),
                passwords: Passwords::new()?,
                limits: SignInLimits::default(),
                keys: keys.clone(),
                store: store.clone(),
                writer: writer.clone(),
                revocations: revocations.clone(),
                clock: clock.clone(),
            })
            .await?,
        );
        sending.spawn({
            let (sessions, cancelled) = (sessions.clone(), sending.cancelled.clone());
            async move { sessions.run(cancelled).await }
        });
        let transfers = ProcessManager::new(store.clone(), writer.clone(), head.clone());
        sending.spawn(transfers.run(sending.cancelled.clone()));

        // The bus.
        let log: Arc<dyn LogSource> = Arc::new(WriteLog::new(store.clone(), people.clone()));
        let (log_head, log_heads) = watch::channel(None);
        telling.spawn({
            let (cancelled, clock) = (telling.cancelled.clone(), clock.clone());
            async move { cancelled.run_until_cancelled(say_head(head, clock, log_head)).await.unwrap_or_default() }
        });
        let bus: Arc<dyn Bus> = Arc::new(InProcess::new(log, log_heads, people.changes()));

        // The read side.
        let on_session = {
            let revocations = revocations.clone();
            Arc::new(move |event: &_, recorded_at| revocations.apply(event, recorded_at))
        };
        let read = ReadSide::start(read_db, bus.clone(), on_session, reading.clone()).await?;

        let handler = Arc::new(Handler::new(writer.clone(), clock));
        let hub = Hub::start(&read, reading.clone());

        let commands: Arc<dyn CommandPort> = handler.clone();
        let queries: Arc<dyn QueryPort> = Arc::new(SqlQueries::new(read.clone()));
        let ports = Ports {
            commands: Some(commands),
            sessions: Some(sessions as Arc<dyn SessionPort>),
            queries: Some(queries),
        };
        // In one process what the command side knows of ended sessions the query side knows at once.
        let tokens = Arc::new(TokenVerifier::new(keys.public().iter(), revocations));
        Ok(Self {
            ports,
            handler,
            tokens,
            read,
            hub,
            bus,
            store: sqlite,
            people_pool,
            writer,
            writing,
            sending,
            reading,
            telling,
        })
    }

    /// Ends everything; what was accepted is stored, and the files are closed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.sending.end().await;
        self.writer.stop().await;
        self.writing.await.context("the writer panicked")?;
        self.reading.cancel();
        self.read.stopped().await;
        self.telling.end().await;
        self.people_pool.close().await;
        self.store.close().await?;
        Ok(())
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
