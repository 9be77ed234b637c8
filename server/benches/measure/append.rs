//! Group commit against raw SQLite: the same rows, as many to a transaction as our median batch, `synchronous=FULL`.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use app::{
    domain::{AccountId, CommandId, Date, EventId, UserId, account::AccountCommand},
    wire::{Actor, Envelope, Position, StreamId, Version},
};
use async_trait::async_trait;
use rusqlite::{Connection, params};
use server::write::{
    handler::digest,
    store::{EventStore, Head, Lease, SqliteStore, StoreError, Under},
    writer::{Intent, Submission, SystemClock, Writer, WriterSettings},
};
use uuid::Uuid;

use crate::support::{compare, folder, median, rate};

const ACCOUNTS: usize = 2_000;
const ROUND: Duration = Duration::from_secs(2);

pub async fn run(rounds: usize) {
    for clients in [256, 1024] {
        let folder = folder();
        let store = Arc::new(Batches::new(SqliteStore::open(&folder.path().join("ours.db")).await.unwrap()));
        let (writer, _, _) = Writer::start(store.clone(), Arc::new(SystemClock), WriterSettings::default());
        let accounts = open_accounts(&writer).await;
        let mut raw = raw_log(&folder.path().join("raw.db"));
        let mut copied = copy_events(&store.inner, &mut raw, Position(0), 1024).await.0;

        let (mut ours, mut theirs, mut batches) = (vec![], vec![], vec![]);
        for _ in 0..rounds {
            store.sizes.lock().unwrap().clear();
            let (deposits, took) = deposit_for(ROUND, clients, &writer, &accounts).await;
            ours.push(rate(deposits, took));
            let batch = median(&store.sizes.lock().unwrap());
            let (until, rows, time) = copy_events(&store.inner, &mut raw, copied, batch).await;
            copied = until;
            theirs.push(rate(rows, time));
            batches.push(batch);
        }
        println!("\nembedded append, {clients} clients, median batch {}", median(&batches));
        compare("    group commit", "events/s", &ours, "raw inserts", &theirs);
        writer.stop().await;
    }
}

/// How many commands `clients` get acknowledged, each sending its next when it has the answer to the last, and how long
/// that took.
pub async fn deposit_for(time: Duration, clients: usize, writer: &Writer, accounts: &[AccountId]) -> (usize, Duration) {
    let (started, next) = (Instant::now(), AtomicUsize::new(0));
    let deposit = async || {
        while started.elapsed() < time {
            let account = accounts[next.fetch_add(1, Ordering::Relaxed) * 7 % accounts.len()];
            writer.submit(submission(account, deposit_command())).await.unwrap();
        }
    };
    futures_util::future::join_all((0..clients).map(|_| deposit())).await;
    (next.load(Ordering::Relaxed), started.elapsed())
}

pub async fn open_accounts(writer: &Writer) -> Vec<AccountId> {
    let accounts: Vec<AccountId> = (0..ACCOUNTS).map(|_| AccountId(Uuid::now_v7())).collect();
    let open = AccountCommand::OpenAccount {
        owner: UserId(Uuid::from_u128(1)),
        name: "Everyday".into(),
        currency: "CZK".parse().unwrap(),
        overdraft_limit: 0,
    };
    let opened = accounts.iter().map(|account| writer.submit(submission(*account, open.clone())));
    futures_util::future::try_join_all(opened).await.unwrap();
    accounts
}

pub fn deposit_command() -> AccountCommand {
    let today = Date::new(2026, 11, 22).unwrap();
    AccountCommand::DepositMoney { amount: 12_345, effective_on: today, today, description: Some("Groceries".into()) }
}

pub fn submission(account: AccountId, command: AccountCommand) -> Submission {
    let (command_id, actor) = (CommandId(Uuid::now_v7()), Actor::User(UserId(Uuid::from_u128(1))));
    Submission {
        command_id,
        actor,
        correlation_id: command_id,
        causation_id: None,
        digest: digest(actor, &format_args!("{command:?}").to_string()).unwrap(),
        stream: account.into(),
        expected: None,
        intent: Intent::Account(command),
        lease: None,
    }
}

/// The table of events with its columns, checks and indexes, as the migration makes it, and nothing else.
pub fn raw_log(file: &Path) -> Connection {
    let migration = include_str!("../../../migrations/write/sqlite/0001_events.sql");
    let table = migration.split_inclusive(';').find(|statement| statement.contains("CREATE TABLE events")).unwrap();
    let raw = Connection::open(file).unwrap();
    raw.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8000;",
    )
    .unwrap();
    raw.execute_batch(table).unwrap();
    raw
}

/// Inserts what our log has after `after`, `batch` rows to a transaction: until where, how many rows, in what time.
async fn copy_events(
    ours: &SqliteStore,
    raw: &mut Connection,
    after: Position,
    batch: usize,
) -> (Position, usize, Duration) {
    let events = ours.read_log(after, u32::MAX).await.unwrap();
    let started = Instant::now();
    for events in events.chunks(batch) {
        insert(raw, events);
    }
    (events.last().map_or(after, |event| event.position), events.len(), started.elapsed())
}

/// One transaction, a prepared statement, a row at a time.
pub fn insert(raw: &mut Connection, events: &[Envelope]) {
    let transaction = raw.transaction().unwrap();
    let mut insert = transaction.prepare_cached("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").unwrap();
    for event in events {
        let row = params![
            event.position.as_i64(),
            event.event_id.0.as_bytes(),
            event.stream.kind as i64,
            event.stream.id.as_bytes(),
            event.version.as_i64(),
            event.event_type,
            event.schema,
            event.payload,
            event.metadata,
            event.recorded_at,
            event.hash.0,
        ];
        insert.execute(row).unwrap();
    }
    drop(insert);
    transaction.commit().unwrap();
}

/// Notes how many events each commit has.
struct Batches {
    inner: SqliteStore,
    sizes: Mutex<Vec<usize>>,
}

impl Batches {
    fn new(inner: SqliteStore) -> Self {
        Self { inner, sizes: Mutex::new(vec![]) }
    }
}

#[async_trait]
impl EventStore for Batches {
    async fn head(&self) -> Result<Head, StoreError> {
        self.inner.head().await
    }

    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError> {
        self.sizes.lock().unwrap().push(events.len());
        self.inner.append(expected, events, new_head).await
    }

    async fn append_under(
        &self,
        under: Under<'_>,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        self.sizes.lock().unwrap().push(events.len());
        self.inner.append_under(under, expected, events, new_head).await
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.inner.read_log(after, limit).await
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.inner.read_stream(stream, after, limit).await
    }

    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError> {
        self.inner.find_commands(commands).await
    }

    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError> {
        self.inner.find_event(event).await
    }

    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError> {
        self.inner.checkpoint(name).await
    }

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError> {
        self.inner.save_checkpoint(name, position).await
    }

    async fn save_checkpoint_under(&self, lease: &Lease, name: &str, position: Position) -> Result<(), StoreError> {
        self.inner.save_checkpoint_under(lease, name, position).await
    }

    async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.inner.acquire(name, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.inner.renew(lease, ttl).await
    }
}
