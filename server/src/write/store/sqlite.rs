//! The log in one SQLite file: WAL, `synchronous=FULL`, one connection that writes, a few that read.
//!
//! W1: a commit returns after the fsync of the WAL. W3: SQLite has one writer at a time and its readers see whole
//! transactions, so positions become visible in order. Triggers refuse every change to an event, also from outside.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Hash, Position, StreamId, StreamKind, Version},
};
use async_trait::async_trait;
use sqlx::{
    ConnectOptions as _, Connection as _, Row, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{EventStore, Head, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/write/sqlite");

const READERS: u32 = 4;
/// See [`SqliteStore::open_with`].
const PAGES: u32 = 65_536;

/// Rows of one INSERT statement, largest first: few enough for SQLite's 32,766 parameters, and so few kinds that their
/// compiled forms stay cached.
const CHUNKS: [usize; 6] = [1024, 256, 64, 16, 4, 1];
const COLUMNS: usize = 11;

static INSERTS: LazyLock<[String; CHUNKS.len()]> = LazyLock::new(|| {
    CHUNKS.map(|rows| {
        let row = format!("({})", ["?"; COLUMNS].join(","));
        let rows = vec![row; rows].join(",");
        format!(
            "INSERT INTO events (position, event_id, stream_kind, stream_id, version, event_type, schema, payload, \
             metadata, recorded_at, hash) VALUES {rows}"
        )
    })
});

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "SELECT position, event_id, stream_kind, stream_id, version, event_type, schema, payload, metadata, \
             recorded_at, hash FROM ",
            $rest
        )
    };
}

/// How every connection to the write database is opened; made if it is not there.
pub fn connect_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        // macOS: a plain fsync does not reach the disk.
        .pragma("fullfsync", "ON")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

/// The log in a file.
pub struct SqliteStore {
    options: SqliteConnectOptions,
    /// Taken out while in use: a connection whose use was cut short is closed, which rolls back, and opened anew.
    writer: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the log in `file`, makes it if it is not there, and brings its tables up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        Self::open_with(file, PAGES).await
    }

    /// [`Self::open`], with this much memory for pages: KiB for the connection that writes, a quarter of it for each
    /// that reads.
    pub async fn open_with(file: &Path, pages: u32) -> Result<Self, StoreError> {
        let cache = |kib: u32| format!("-{kib}");
        let options = connect_options(file)
            .pragma("cache_size", cache(pages))
            // Pages of the indexes are written again and again: copying them back less often is less work.
            .pragma("wal_autocheckpoint", "8000")
            .pragma("journal_size_limit", "67108864");
        migrate(options.clone()).await?;
        let writer = connect(&options).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            // Whoever asks waits in a queue that is bounded elsewhere: no reason to say so.
            .acquire_slow_threshold(Duration::from_secs(15))
            .connect_lazy_with(connect_options(file).read_only(true).pragma("cache_size", cache(pages / 4)));
        Ok(Self { options, writer: Mutex::new(Some(writer)), readers })
    }

    /// Closes all connections: the WAL is copied back into the file.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        match self.writer.lock().await.take() {
            Some(writer) => writer.close().await.map_err(unavailable),
            None => Ok(()),
        }
    }
}

async fn migrate(options: SqliteConnectOptions) -> Result<(), StoreError> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(broken)?;
    let result = MIGRATIONS.run(&pool).await.map_err(|error| unavailable(error.into()));
    pool.close().await;
    result
}

/// Opens the writing connection, and makes sure that it is as durable as W1 needs it.
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    let mut connection = options.connect().await.map_err(broken)?;
    let (journal, synchronous): (String, i64) =
        sqlx::query_as("SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous")
            .fetch_one(&mut connection)
            .await
            .map_err(broken)?;
    if (journal.as_str(), synchronous) != ("wal", 2) {
        let what =
            format!("SQLite gives journal_mode={journal}, synchronous={synchronous} instead of wal and 2 (FULL)");
        return Err(unavailable(sqlx::Error::Configuration(what.into())));
    }
    Ok(connection)
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn head(&self) -> Result<Head, StoreError> {
        let row = sqlx::query("SELECT position, hash, recorded_at FROM log_head").fetch_one(&self.readers).await;
        let row = row.map_err(broken)?;
        let read = || Some((row.try_get(0).ok()?, hash(&row, 1)?, row.try_get(2).ok()?));
        let (position, hash, recorded_at) =
            read().ok_or_else(|| StoreError::Corrupt { at: "log_head".into(), what: "does not read".into() })?;
        Ok(Head { position: Position::from_i64(position), hash, recorded_at })
    }

    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        let result = append(&mut connection, expected, events, new_head).await;
        if matches!(result, Ok(()) | Err(StoreError::HeadMoved | StoreError::AlreadyStored)) {
            *slot = Some(connection);
        }
        result
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        let rows = sqlx::query(select_events!("events WHERE position > ? ORDER BY position LIMIT ?"))
            .bind(after.as_i64())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(broken)?;
        rows.iter().map(envelope).collect()
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        let rows = sqlx::query(select_events!(
            "events WHERE stream_id = ? AND stream_kind = ? AND version > ? ORDER BY version LIMIT ?"
        ))
        .bind(&stream.id.as_bytes()[..])
        .bind(kind_number(stream.kind))
        .bind(after.as_i64())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(broken)?;
        rows.iter().map(envelope).collect()
    }

    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError> {
        // A command's event ids follow from its own: the first are looked up, and of those found the next, until
        // there are no more.
        let mut found = Vec::new();
        let mut wanted = commands.to_vec();
        for index in 0.. {
            let ids: Vec<EventId> = wanted.iter().map(|command| EventId::derive(*command, index)).collect();
            let events = self.find_events(&ids).await?;
            if events.is_empty() {
                break;
            }
            let there: HashSet<EventId> = events.iter().map(|event| event.event_id).collect();
            wanted.retain(|command| there.contains(&EventId::derive(*command, index)));
            found.extend(events);
        }
        found.sort_unstable_by_key(|event: &Envelope| event.position);
        Ok(found)
    }

    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError> {
        Ok(self.find_events(&[event]).await?.pop())
    }

    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError> {
        let position = sqlx::query_scalar("SELECT position FROM checkpoints WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .map_err(broken)?;
        Ok(position.map_or(Position(0), Position::from_i64))
    }

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        sqlx::query(
            "INSERT INTO checkpoints (name, position) VALUES (?, ?) \
                     ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        )
        .bind(name)
        .bind(position.as_i64())
        .execute(&mut connection)
        .await
        .map_err(broken)?;
        *slot = Some(connection);
        Ok(())
    }
}

impl SqliteStore {
    async fn find_events(&self, ids: &[EventId]) -> Result<Vec<Envelope>, StoreError> {
        // One statement for any number of ids.
        let ids: Vec<String> = ids.iter().map(|id| id.0.simple().to_string()).collect();
        let ids = serde_json::Value::from(ids).to_string();
        let rows = sqlx::query(select_events!(
            "json_each(?) AS wanted CROSS JOIN events ON event_id = unhex(wanted.value) ORDER BY position"
        ))
        .bind(ids)
        .fetch_all(&self.readers)
        .await
        .map_err(broken)?;
        rows.iter().map(envelope).collect()
    }
}

/// One transaction; dropped before its commit it is rolled back.
async fn append(
    connection: &mut SqliteConnection,
    expected: Position,
    events: &[Envelope],
    new_head: &Head,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(broken)?;
    let head: i64 =
        sqlx::query_scalar("SELECT position FROM log_head").fetch_one(&mut *transaction).await.map_err(broken)?;
    if head != expected.as_i64() {
        return Err(StoreError::HeadMoved);
    }
    let mut rest = events;
    for (rows, sql) in CHUNKS.into_iter().zip(&*INSERTS) {
        while let Some((chunk, after)) = rest.split_at_checked(rows) {
            let query = chunk.iter().fold(sqlx::query(sql.as_str()), |query, event| {
                query
                    .bind(event.position.as_i64())
                    .bind(&event.event_id.0.as_bytes()[..])
                    .bind(kind_number(event.stream.kind))
                    .bind(&event.stream.id.as_bytes()[..])
                    .bind(event.version.as_i64())
                    .bind(event.event_type.as_str())
                    .bind(event.schema)
                    .bind(event.payload.as_slice())
                    .bind(event.metadata.as_slice())
                    .bind(event.recorded_at)
                    .bind(&event.hash.0[..])
            });
            query.execute(&mut *transaction).await.map_err(refused)?;
            rest = after;
        }
    }
    sqlx::query("UPDATE log_head SET position = ?, hash = ?, recorded_at = ?")
        .bind(new_head.position.as_i64())
        .bind(&new_head.hash.0[..])
        .bind(new_head.recorded_at)
        .execute(&mut *transaction)
        .await
        .map_err(refused)?;
    transaction.commit().await.map_err(|error| StoreError::OutcomeUnknown(Arc::new(error)))
}

fn envelope(row: &SqliteRow) -> Result<Envelope, StoreError> {
    let position: i64 = row.try_get(0).map_err(broken)?;
    let field =
        |what: &str| StoreError::Corrupt { at: format!("position {position}"), what: format!("{what} does not read") };
    let kind: i64 = row.try_get(2).map_err(|_| field("stream_kind"))?;
    Ok(Envelope {
        position: Position::from_i64(position),
        event_id: EventId(uuid(row, 1).ok_or_else(|| field("event_id"))?),
        stream: StreamId {
            kind: StreamKind::ALL
                .into_iter()
                .find(|known| kind_number(*known) == kind)
                .ok_or_else(|| field("stream_kind"))?,
            id: uuid(row, 3).ok_or_else(|| field("stream_id"))?,
        },
        version: Version::from_i64(row.try_get(4).map_err(|_| field("version"))?),
        event_type: row.try_get(5).map_err(|_| field("event_type"))?,
        schema: row.try_get(6).map_err(|_| field("schema"))?,
        payload: row.try_get(7).map_err(|_| field("payload"))?,
        metadata: row.try_get(8).map_err(|_| field("metadata"))?,
        recorded_at: row.try_get(9).map_err(|_| field("recorded_at"))?,
        hash: hash(row, 10).ok_or_else(|| field("hash"))?,
    })
}

fn uuid(row: &SqliteRow, column: usize) -> Option<Uuid> {
    Uuid::from_slice(row.try_get(column).ok()?).ok()
}

fn hash(row: &SqliteRow, column: usize) -> Option<Hash> {
    row.try_get::<&[u8], _>(column).ok()?.try_into().ok().map(Hash)
}

/// How the file spells a stream's kind, for ever.
fn kind_number(kind: StreamKind) -> i64 {
    match kind {
        StreamKind::Account => 1,
        StreamKind::Transfer => 2,
        StreamKind::Session => 3,
        StreamKind::User => 4,
        StreamKind::Projection => 5,
    }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(Arc::new(error))
}

/// SQLite's primary result code and message, if it was SQLite that failed.
fn sqlite_failure(error: &sqlx::Error) -> Option<(u32, &str)> {
    let error = error.as_database_error()?;
    Some((error.code()?.parse::<u32>().ok()? & 0xff, error.message()))
}

/// A failure before any commit: nothing was stored. Busy, full and I/O may pass; a damaged file (11, 26) does not.
fn broken(error: sqlx::Error) -> StoreError {
    match sqlite_failure(&error) {
        Some((11 | 26, what)) => StoreError::Corrupt { at: "the database file".into(), what: what.to_owned() },
        _ => unavailable(error),
    }
}

/// A failure of a write inside the transaction; 19 is a constraint or a trigger that refused.
fn refused(error: sqlx::Error) -> StoreError {
    match sqlite_failure(&error) {
        Some((19, what)) if what.contains("event id is in the log") || what.contains("events.event_id") => {
            StoreError::AlreadyStored
        }
        // The head was the expected one, so these events do not go on from what is stored.
        Some((19, what)) => StoreError::Corrupt { at: "the end of the log".into(), what: what.to_owned() },
        _ => broken(error),
    }
}
