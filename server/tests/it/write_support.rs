//! What the tests of the write side share: logs to append, a clock that is told the time.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
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
use server::write::{
    store::{EventStore, Head, SqliteStore},
    writer::{Clock, Intent, Submission},
};
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
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
