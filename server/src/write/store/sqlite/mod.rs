//! The log in one SQLite file: WAL, `synchronous=FULL`, one connection that appends, a few that read.
//!
//! W1: a commit returns after the fsync of the WAL. W3: SQLite has one writer at a time and its readers see whole
//! transactions, so positions become visible in order. Triggers refuse every change to an event, also from outside.

mod appender;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Hash, Position, StreamId, Version},
};
use async_trait::async_trait;
use rusqlite::ffi;
use sqlx::{
    ConnectOptions as _, Connection as _, Row, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use uuid::Uuid;

use self::appender::Appender;
use super::{
    EventStore, Head, Lease, OpenError, StoreError, Under, find_commands, kind_number, kind_of, newest, one_moment,
};
use crate::private;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/write/sqlite");

const READERS: u32 = 4;
/// Memory for pages by default: see [`SqliteStore::open_with`].
const PAGES: u32 = 65_536;

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
    there(file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
}

/// A connection to a file that is there, and that stays in the journal mode that it has.
fn there(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
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
    file: PathBuf,
    /// See [`Self::open_with`].
    pages: u32,
    /// Taken out while in use: after a failure it is closed, which rolls back, and opened anew.
    appender: Mutex<Option<Appender>>,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the log in `file`, makes it if it is not there, and brings its tables up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        Self::open_with(file, PAGES).await
    }

    /// [`Self::open`], with this much memory for pages: KiB for the connection that appends, a quarter of it for each
    /// that reads.
    pub async fn open_with(file: &Path, pages: u32) -> Result<Self, StoreError> {
        private::file(file).map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
        migrate(connect_options(file)).await?;
        let appender = Appender::open(file, pages)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            // Whoever asks waits in a queue that is bounded elsewhere: no reason to say so.
            .acquire_slow_threshold(Duration::from_secs(15))
            .connect_lazy_with(connect_options(file).read_only(true).pragma("cache_size", format!("-{}", pages / 4)));
        Ok(Self { file: file.to_owned(), pages, appender: Mutex::new(Some(appender)), readers })
    }

    /// The log in `file` as it is at this moment, whatever is appended meanwhile: only to be read. It has to be there and
    /// of this program's version. The pool behind it is for what else is to be read of the same moment.
    pub async fn snapshot(file: &Path) -> Result<(Self, SqlitePool), OpenError> {
        let (store, found) = Self::only_read(file, one_moment(SqlitePoolOptions::new(), "BEGIN")).await?;
        let needed = newest(&MIGRATIONS);
        if found < needed {
            return Err(OpenError::Older { found, needed });
        }
        let pool = store.readers.clone();
        Ok((store, pool))
    }

    /// The same as it is at each moment, of this program's version or one before: the log is the same in all of them.
    pub async fn read_only(file: &Path) -> Result<(Self, SqlitePool), OpenError> {
        let pool = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false);
        let (store, _) = Self::only_read(file, pool).await?;
        let pool = store.readers.clone();
        Ok((store, pool))
    }

    /// And the version of its tables.
    async fn only_read(file: &Path, pool: SqlitePoolOptions) -> Result<(Self, i64), OpenError> {
        let readers = pool.connect_with(there(file).read_only(true)).await.map_err(broken)?;
        let applied = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&readers).await;
        let (found, known) = (applied.map_err(broken)?, newest(&MIGRATIONS));
        if found > known {
            return Err(OpenError::Newer { found, known });
        }
        Ok((Self { file: file.to_owned(), pages: PAGES, appender: Mutex::new(None), readers }, found))
    }

    /// Closes all connections: the WAL is copied back into the file.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.slot().take().map_or(Ok(()), Appender::close)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Appender>> {
        self.appender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, work: impl FnOnce(&mut Appender) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut slot = self.slot();
        let mut appender = match slot.take() {
            Some(appender) => appender,
            None => Appender::open(&self.file, self.pages)?,
        };
        let result = work(&mut appender);
        if matches!(result, Ok(_) | Err(StoreError::HeadMoved | StoreError::AlreadyStored | StoreError::FencedOff)) {
            *slot = Some(appender);
        }
        result
    }
}

/// Has the database in `file`, which nobody has open, need no file beside it: it can be read where nothing can be written.
pub async fn into_one_file(file: &Path) -> Result<(), StoreError> {
    let connection = there(file).journal_mode(SqliteJournalMode::Delete).connect().await.map_err(broken)?;
    connection.close().await.map_err(broken)
}

async fn migrate(options: SqliteConnectOptions) -> Result<(), StoreError> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(broken)?;
    let result = MIGRATIONS.run(&pool).await.map_err(|error| unavailable(error.into()));
    pool.close().await;
    result
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
        self.write(|appender| appender.append(None, expected, events, new_head))
    }

    async fn append_under(
        &self,
        under: Under<'_>,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        self.write(|appender| appender.append(Some(under), expected, events, new_head))
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
        find_commands(commands, |ids| async move { self.find_events(&ids).await }).await
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
        self.write(|appender| appender.save_checkpoint(None, name, position))
    }

    async fn save_checkpoint_under(&self, lease: &Lease, name: &str, position: Position) -> Result<(), StoreError> {
        self.write(|appender| appender.save_checkpoint(Some(lease), name, position))
    }

    async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.write(|appender| appender.acquire(name, holder, ttl))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.write(|appender| appender.renew(lease, ttl))
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

fn envelope(row: &SqliteRow) -> Result<Envelope, StoreError> {
    let position: i64 = row.try_get(0).map_err(broken)?;
    let field =
        |what: &str| StoreError::Corrupt { at: format!("position {position}"), what: format!("{what} does not read") };
    let kind: i16 = row.try_get(2).map_err(|_| field("stream_kind"))?;
    Ok(Envelope {
        position: Position::from_i64(position),
        event_id: EventId(uuid(row, 1).ok_or_else(|| field("event_id"))?),
        stream: StreamId {
            kind: kind_of(kind).ok_or_else(|| field("stream_kind"))?,
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

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(Arc::new(error))
}

/// A failure before any commit: nothing was stored.
fn broken(error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    failure(code.map(|code| code & 0xff), error)
}

/// Busy, full and I/O may pass; a damaged file does not. `code`: SQLite's primary result code.
fn failure(code: Option<i32>, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    match code {
        Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) => {
            StoreError::Corrupt { at: "the database file".into(), what: error.to_string() }
        }
        _ => StoreError::Unavailable(Arc::new(error)),
    }
}
