//! What the tests of the write side share: logs to append, a store that fails on demand, a clock that is told the time.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use app::{
    domain::{
        AccountId, CommandId, Date, EventId, UserId,
        account::{AccountCommand, AccountEvent},
        derive_uuid,
    },
    wire::{
        Actor, Envelope, Event, GENESIS, Hash, Metadata, Position, StreamId, Version, encode, event_hash, log_hash,
    },
};
use async_trait::async_trait;
use server::write::{
    store::{EventStore, Head, Lease, SqliteStore, StoreError},
    writer::{Clock, Intent, Submission},
};
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

pub fn id(kind: &str, number: u64) -> Uuid {
    derive_uuid(kind, &[&number.to_be_bytes()])
}

pub fn account(number: u64) -> AccountId {
    AccountId(id("account", number))
}

pub fn command(number: u64) -> CommandId {
    CommandId(id("command", number))
}

pub fn user(number: u64) -> UserId {
    UserId(id("user", number))
}

pub fn opened(owner: u64) -> AccountEvent {
    AccountEvent::AccountOpened {
        owner: user(owner),
        name: "Everyday".into(),
        currency: "CZK".parse().unwrap(),
        overdraft_limit: 0,
    }
}

pub fn deposited(amount: i64) -> AccountEvent {
    AccountEvent::MoneyDeposited { amount, effective_on: today(), description: None }
}

pub fn today() -> Date {
    Date::new(2026, 11, 22).unwrap()
}

/// Builds events that go on from one another, as a correct writer does.
#[derive(Clone)]
pub struct Chain {
    pub head: Head,
    streams: HashMap<StreamId, (Version, Hash)>,
}

impl Chain {
    pub fn new() -> Self {
        Self { head: Head::EMPTY, streams: HashMap::new() }
    }

    /// Goes on from what is stored.
    pub async fn of(store: &dyn EventStore) -> Self {
        let mut chain = Self { head: store.head().await.unwrap(), streams: HashMap::new() };
        for event in store.read_log(Position(0), u32::MAX).await.unwrap() {
            chain.streams.insert(event.stream, (event.version, event.hash));
        }
        chain
    }

    pub fn next(&mut self, command: CommandId, stream: impl Into<StreamId>, event: AccountEvent) -> Envelope {
        let (event_type, schema, payload) = encode(&Event::Account(event));
        self.raw(command, 0, stream.into(), &event_type, schema, payload)
    }

    pub fn raw(
        &mut self,
        command: CommandId,
        index: usize,
        stream: StreamId,
        event_type: &str,
        schema: u32,
        payload: Vec<u8>,
    ) -> Envelope {
        let (version, previous) = self.streams.get(&stream).copied().unwrap_or((Version(0), GENESIS));
        let metadata = Metadata {
            command_id: command,
            actor: Actor::User(user(1)),
            correlation_id: command,
            causation_id: None,
            digest: Hash([1; 32]),
            traceparent: None,
        };
        let mut event = Envelope {
            position: self.head.position.next(),
            event_id: EventId::derive(command, index),
            stream,
            version: version.next(),
            event_type: event_type.to_owned(),
            schema,
            payload,
            metadata: serde_json::to_vec(&metadata).unwrap(),
            recorded_at: self.head.recorded_at + 1,
            hash: GENESIS,
        };
        event.hash = event_hash(&event, &previous);
        self.streams.insert(stream, (event.version, event.hash));
        self.head = Head {
            position: event.position,
            hash: log_hash(&self.head.hash, &event.hash),
            recorded_at: event.recorded_at,
        };
        event
    }
}

/// A log in a file of its own, gone at the end of the test.
pub struct TempLog {
    folder: tempfile::TempDir,
}

impl TempLog {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("write.db")
    }

    pub async fn open(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&self.file()).await.unwrap())
    }

    /// A connection that knows nothing of the store.
    pub async fn raw(&self) -> SqliteConnection {
        raw_connection(&self.file()).await
    }
}

pub async fn raw_connection(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

/// A clock that shows what it is told.
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn at(micros: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(micros)))
    }

    pub fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What happens to one append.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    HeadMoved,
    Unavailable,
    /// Stored, but the answer is lost.
    UnknownStored,
    /// Not stored, and the answer is lost.
    UnknownLost,
    /// A bug.
    Panic,
    /// Stored, the answer is lost, and the store does not answer any more.
    UnknownStoredThenAway,
}

/// A store whose appends can be held back and can fail.
pub struct Faulty {
    inner: Arc<dyn EventStore>,
    /// For the next appends, in turn; `None` lets one through.
    script: Mutex<VecDeque<Option<Fault>>>,
    /// Each append takes one permit.
    gate: Semaphore,
    appends: watch::Sender<usize>,
    lookups: watch::Sender<usize>,
    /// What is read of this stream takes a permit each time before it arrives.
    slow: Mutex<Option<StreamId>>,
    slow_gate: Semaphore,
    slow_reads: watch::Sender<usize>,
    /// All that can be known of the store is that it is away.
    away: watch::Sender<bool>,
}

impl Faulty {
    /// Open, without faults.
    pub fn over(inner: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            script: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
            appends: watch::Sender::new(0),
            lookups: watch::Sender::new(0),
            slow: Mutex::default(),
            slow_gate: Semaphore::new(0),
            slow_reads: watch::Sender::new(0),
            away: watch::Sender::new(false),
        })
    }

    pub fn script(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.script.lock().unwrap().extend(faults);
    }

    /// Appends wait from now on.
    pub fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets so many appends through.
    pub fn release(&self, appends: usize) {
        self.gate.add_permits(appends);
    }

    /// What is read of this stream does not arrive from now on.
    pub fn hold_reads_of(&self, stream: StreamId) {
        *self.slow.lock().unwrap() = Some(stream);
    }

    /// Lets so many reads of it arrive.
    pub fn release_reads(&self, reads: usize) {
        self.slow_gate.add_permits(reads);
    }

    /// Waits until so many of them are on their way.
    pub async fn slow_reads(&self, count: usize) {
        self.slow_reads.subscribe().wait_for(|read| *read >= count).await.unwrap();
    }

    pub fn away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// Waits until so many appends were begun.
    pub async fn appends(&self, count: usize) {
        self.appends.subscribe().wait_for(|begun| *begun >= count).await.unwrap();
    }

    /// Waits until so many lookups of commands were begun.
    pub async fn lookups(&self, count: usize) {
        self.lookups.subscribe().wait_for(|begun| *begun >= count).await.unwrap();
    }

    async fn try_append(&self, append: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
        self.appends.send_modify(|begun| *begun += 1);
        self.gate.acquire().await.unwrap().forget();
        self.check()?;
        let fault = self.script.lock().unwrap().pop_front().flatten();
        let lost = || Arc::new(sqlx::Error::WorkerCrashed);
        match fault {
            None => append.await,
            Some(Fault::Panic) => panic!("a bug, as a test wants it"),
            Some(Fault::HeadMoved) => Err(StoreError::HeadMoved),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable(lost())),
            Some(Fault::UnknownLost) => Err(StoreError::OutcomeUnknown(lost())),
            Some(fault @ (Fault::UnknownStored | Fault::UnknownStoredThenAway)) => {
                append.await?;
                self.away(matches!(fault, Fault::UnknownStoredThenAway));
                Err(StoreError::OutcomeUnknown(lost()))
            }
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        if *self.away.borrow() { Err(StoreError::Unavailable(Arc::new(sqlx::Error::PoolTimedOut))) } else { Ok(()) }
    }
}

#[async_trait]
impl EventStore for Faulty {
    async fn head(&self) -> Result<Head, StoreError> {
        self.check()?;
        self.inner.head().await
    }

    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError> {
        self.try_append(self.inner.append(expected, events, new_head)).await
    }

    async fn append_under(
        &self,
        lease: &Lease,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        self.try_append(self.inner.append_under(lease, expected, events, new_head)).await
    }

    async fn hold(&self) -> Result<Head, StoreError> {
        self.check()?;
        self.inner.hold().await
    }

    async fn release(&self) -> Result<(), StoreError> {
        self.inner.release().await
    }

    fn heard(&self) -> Option<watch::Receiver<Position>> {
        self.inner.heard()
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.check()?;
        self.inner.read_log(after, limit).await
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.check()?;
        let read = self.inner.read_stream(stream, after, limit).await;
        let slow = *self.slow.lock().unwrap() == Some(stream);
        if slow {
            self.slow_reads.send_modify(|read| *read += 1);
            self.slow_gate.acquire().await.unwrap().forget();
        }
        read
    }

    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError> {
        self.lookups.send_modify(|begun| *begun += 1);
        self.check()?;
        self.inner.find_commands(commands).await
    }

    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError> {
        self.check()?;
        self.inner.find_event(event).await
    }

    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError> {
        self.check()?;
        self.inner.checkpoint(name).await
    }

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError> {
        self.check()?;
        self.inner.save_checkpoint(name, position).await
    }

    async fn save_checkpoint_under(&self, lease: &Lease, name: &str, position: Position) -> Result<(), StoreError> {
        self.check()?;
        self.inner.save_checkpoint_under(lease, name, position).await
    }

    fn holder(&self) -> String {
        self.inner.holder()
    }

    async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.check()?;
        self.inner.acquire(name, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.check()?;
        self.inner.renew(lease, ttl).await
    }
}

/// A command of user 1 to an account; its digest follows from what it says.
pub fn submission(command_number: u64, to: u64, intent: AccountCommand) -> Submission {
    submission_to(command_number, account(to).into(), Intent::Account(intent))
}

pub fn submission_to(command_number: u64, stream: StreamId, intent: Intent) -> Submission {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(derive_uuid("digest", &[format!("{stream}{intent:?}").as_bytes()]).as_bytes());
    Submission {
        command_id: command(command_number),
        actor: Actor::User(user(1)),
        correlation_id: command(command_number),
        causation_id: None,
        digest: Hash(digest),
        stream,
        expected: None,
        intent,
        lease: None,
    }
}

pub fn open(command_number: u64, to: u64) -> Submission {
    let intent = AccountCommand::OpenAccount {
        owner: user(1),
        name: "Everyday".into(),
        currency: "CZK".parse().unwrap(),
        overdraft_limit: 0,
    };
    submission(command_number, to, intent)
}

pub fn deposit(command_number: u64, to: u64, amount: i64) -> Submission {
    let intent = AccountCommand::DepositMoney { amount, effective_on: today(), today: today(), description: None };
    submission(command_number, to, intent)
}

pub fn withdraw(command_number: u64, from: u64, amount: i64) -> Submission {
    let intent = AccountCommand::WithdrawMoney { amount, effective_on: today(), today: today(), description: None };
    submission(command_number, from, intent)
}
