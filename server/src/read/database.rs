//! The read database of a query node: SQLite at relaxed durability, since the log can always fill it again.
//!
//! One connection writes, so that writers wait for each other instead of failing; each read is one deferred
//! transaction and sees one moment of the database, checkpoints included.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Sqlite, SqlitePool, Transaction,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

const READERS: u32 = 8;
/// Rebuilds write in the order of keys that are random: 64 MiB.
const PAGES: u32 = 65_536;

/// The read database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadDbError {
    #[error("the read database was made by a newer Daybook ({what}); use that one, or delete the read database")]
    Newer { what: String },
    #[error("the read database cannot be brought up to date")]
    Migration(#[source] MigrateError),
    #[error("the read database does not answer")]
    Database(#[from] sqlx::Error),
}

/// A node's read database, open.
#[derive(Debug, Clone)]
pub struct ReadDb {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl ReadDb {
    /// Opens the file at `path`, makes it if there is none, and brings it up to date.
    pub async fn open(path: &Path) -> Result<Self, ReadDbError> {
        Self::open_with(path, PAGES).await
    }

    /// [`Self::open`], with this much memory for pages of the connection that writes, KiB.
    pub async fn open_with(path: &Path, pages: u32) -> Result<Self, ReadDbError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10))
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(256)
            .row_buffer_size(1000)
            .disable_statement_logging();
        // A WAL of 16 MiB between checkpoints.
        let writing = options.clone().pragma("cache_size", format!("-{pages}")).pragma("wal_autocheckpoint", "4000");
        let writer = pool(1).connect_with(writing).await?;
        sqlx::migrate!("../migrations/read/sqlite").run(&writer).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
                ReadDbError::Newer { what: format!("migration {version}") }
            }
            other => ReadDbError::Migration(other),
        })?;
        let readers = pool(READERS).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(Self { writer, readers })
    }

    /// A snapshot to read from; it begins with its first query.
    pub async fn read(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.readers.begin().await
    }

    /// The one transaction that writes; waits for the one before it.
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Waits for everything under way and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(30))
        // Projections take turns at the one connection that writes: waiting is no reason to say so.
        .acquire_slow_threshold(Duration::from_secs(15))
}
