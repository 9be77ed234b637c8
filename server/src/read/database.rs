//! The read database of a query node, at relaxed durability, since the log can always fill it again.
//!
//! One transaction writes at a time, so that writers wait for each other instead of failing; each read is one
//! transaction and sees one moment of the database, checkpoints included.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use rusqlite::Connection;
use sqlx::{
    ConnectOptions as _, PgPool, SqlitePool,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::sql::{DbError, Tx, Writing};
use crate::private;

const READERS: u32 = 8;
/// Rebuilds write in the order of keys that are random: 64 MiB.
const PAGES: u32 = 65_536;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 256;
/// "daybook:" in ASCII: the advisory lock of whoever owns the database.
const OWNER_LOCK: i64 = 0x6461_7962_6f6f_6b3a;

/// The read database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadDbError {
    #[error("the read database was made by a newer Daybook ({what}); use that one, or delete the read database")]
    Newer { what: String },
    #[error("another daybook uses this read database: each query node has one of its own")]
    InUse,
    #[error("the read database cannot be brought up to date")]
    Migration(#[source] MigrateError),
    #[error("the read database does not answer")]
    Database(#[from] DbError),
}

impl From<sqlx::Error> for ReadDbError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A node's read database, open.
#[derive(Clone)]
pub struct ReadDb(Inner);

#[derive(Clone)]
enum Inner {
    Sqlite { writer: Arc<Mutex<Connection>>, readers: SqlitePool },
    Postgres { writer: Arc<Mutex<()>>, pool: PgPool, owner: Arc<Mutex<Option<sqlx::PgConnection>>> },
}

impl fmt::Debug for ReadDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inner::Sqlite { .. } => "ReadDb(sqlite)",
            Inner::Postgres { .. } => "ReadDb(postgres)",
        })
    }
}

impl ReadDb {
    /// Opens the file at `path`, makes it if there is none, and brings it up to date.
    pub async fn open(path: &Path) -> Result<Self, ReadDbError> {
        Self::open_with(path, PAGES).await
    }

    /// [`Self::open`], with this much memory for pages of the connection that writes, KiB.
    pub async fn open_with(path: &Path, pages: u32) -> Result<Self, ReadDbError> {
        private::file(path).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10))
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(STATEMENTS)
            .row_buffer_size(1000)
            .disable_statement_logging();
        let migrating = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let migrated = sqlx::migrate!("../migrations/read/sqlite").run(&migrating).await;
        migrating.close().await;
        migrated.map_err(migration)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options.pragma("query_only", "ON"))
            .await?;
        let writer = Arc::new(Mutex::new(writer(path, pages).map_err(DbError::from)?));
        Ok(Self(Inner::Sqlite { writer, readers }))
    }

    /// Opens the database at `url`, `postgres://…`, which is this node's alone, and brings it up to date.
    pub async fn connect(url: &str) -> Result<Self, ReadDbError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options
            .application_name("daybook query")
            .statement_cache_capacity(STATEMENTS)
            .options([("synchronous_commit", "off"), ("default_transaction_isolation", "repeatable read")])
            .disable_statement_logging();
        let mut owner = options.connect().await?;
        let free: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(OWNER_LOCK).fetch_one(&mut owner).await?;
        if !free {
            return Err(ReadDbError::InUse);
        }
        let pool = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options)
            .await?;
        sqlx::migrate!("../migrations/read/postgres").run(&pool).await.map_err(migration)?;
        let owner = Arc::new(Mutex::new(Some(owner)));
        Ok(Self(Inner::Postgres { writer: Arc::default(), pool, owner }))
    }

    /// A snapshot to read from.
    pub async fn read(&self) -> Result<Tx, DbError> {
        match &self.0 {
            // It begins with its first query.
            Inner::Sqlite { readers, .. } => Ok(readers.begin().await?.into()),
            Inner::Postgres { pool, .. } => {
                let mut tx = pool.begin().await?;
                // Before the snapshot is taken: a rebuild that takes over waits for those who read, and whoever reads
                // afterwards sees all that it made.
                sqlx::query("LOCK TABLE takeover IN ACCESS SHARE MODE").execute(&mut *tx).await?;
                Ok(tx.into())
            }
        }
    }

    /// The one transaction that writes; waits for the one before it.
    pub async fn write(&self) -> Result<Tx, DbError> {
        match &self.0 {
            Inner::Sqlite { writer, .. } => Ok(Writing::begin(writer.clone().lock_owned().await)?.into()),
            Inner::Postgres { writer, pool, .. } => {
                let turn: OwnedMutexGuard<()> = writer.clone().lock_owned().await;
                Ok(Tx::writing(pool.begin().await?, turn))
            }
        }
    }

    /// Waits for everything under way and closes the database.
    pub async fn close(&self) {
        match &self.0 {
            Inner::Sqlite { writer, readers } => {
                readers.close().await;
                // The connection itself closes with the last that knows it; its WAL goes into the file now.
                if let Err(error) = writer.lock().await.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
                    tracing::warn!(%error, "the read database's WAL stays beside it");
                }
            }
            Inner::Postgres { pool, owner, .. } => {
                pool.close().await;
                if let Some(owner) = owner.lock().await.take()
                    && let Err(error) = sqlx::Connection::close(owner).await
                {
                    tracing::warn!(%error, "the read database was not closed");
                }
            }
        }
    }
}

fn migration(error: MigrateError) -> ReadDbError {
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
            ReadDbError::Newer { what: format!("migration {version}") }
        }
        other => ReadDbError::Migration(other),
    }
}

/// The connection that writes. A WAL of 16 MiB between checkpoints.
fn writer(path: &Path, pages: u32) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.execute_batch(&format!(
        "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{pages}; \
         PRAGMA wal_autocheckpoint = 4000;"
    ))?;
    Ok(db)
}
