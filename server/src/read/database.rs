//! The read database of a query node, at relaxed durability, since the log can always fill it again.
//!
//! One transaction writes at a time, so that writers wait for each other instead of failing; each read is one
//! transaction and sees one moment of the database, checkpoints included.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, SqlitePool,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::sql::{DbError, NO_DATABASE, Tx, Writing};
use crate::db_url::DbUrl;
use crate::private;

const READERS: u32 = 8;
/// Rebuilds write in the order of keys that are random: 64 MiB.
const PAGES: u32 = 65_536;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 256;
/// How long an answer to a look at the database may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// "daybook:" in ASCII: the advisory lock of whoever owns the database.
const OWNER_LOCK: i64 = 0x6461_7962_6f6f_6b3a;

/// Answered where a log is.
const LOG: &str = "SELECT 1 FROM log_head";

/// The read database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadDbError {
    #[error("the read database was made by a newer Daybook ({what}); use that one, or delete the read database")]
    Newer { what: String },
    #[error("it holds a log: the views have a database of their own")]
    HoldsALog,
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
    Sqlite { writer: Arc<Mutex<Connection>>, readers: SqlitePool, file: Arc<(PathBuf, FileId)> },
    Postgres { writer: Arc<Mutex<()>>, pool: PgPool, owner: Arc<Mutex<Option<PgConnection>>> },
}

/// Device and number of a file: another file of its name is another one.
type FileId = (u64, u64);

fn file_id(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
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
    /// Opens the database at `url`. `pages`: see [`Self::open_with`], SQLite's default if `None`.
    pub async fn at(url: &DbUrl, pages: Option<u32>) -> Result<Self, ReadDbError> {
        match url {
            DbUrl::Sqlite(file) => Self::open_with(file, pages.unwrap_or(PAGES)).await,
            DbUrl::Postgres(text) => Self::connect(text).await,
        }
    }

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
        let log = migrated.is_err() && sqlx::query(LOG).execute(&migrating).await.is_ok();
        migrating.close().await;
        migrated.map_err(|error| migration(error, log))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
            .await?;
        let file = file_id(path).map_err(DbError::failed)?;
        let writer = Arc::new(Mutex::new(writer(path, pages).map_err(DbError::from)?));
        Ok(Self(Inner::Sqlite { writer, readers, file: Arc::new((path.to_owned(), file)) }))
    }

    /// Opens the database at `url`, `postgres://…`, which is this node's alone, and brings it up to date; makes it where it
    /// is not there and the user may.
    pub async fn connect(url: &str) -> Result<Self, ReadDbError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options
            .application_name("daybook query")
            .statement_cache_capacity(STATEMENTS)
            .options([
                ("synchronous_commit", "off"),
                ("default_transaction_isolation", "repeatable read"),
                // The lock of a node whose machine is gone is free soon.
                ("tcp_keepalives_idle", "5"),
                ("tcp_keepalives_interval", "2"),
                ("tcp_keepalives_count", "3"),
            ])
            .disable_statement_logging();
        // Where a server says nothing it is asked again.
        let owner = tokio::time::timeout(PATIENCE, own(&options)).await;
        let owner = owner.map_err(|late| ReadDbError::Database(DbError::failed(late)))??;
        let pool = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options)
            .await?;
        let migrated = sqlx::migrate!("../migrations/read/postgres").run(&pool).await;
        let log = migrated.is_err() && sqlx::query(LOG).execute(&pool).await.is_ok();
        migrated.map_err(|error| migration(error, log))?;
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
        self.begin(false).await
    }

    /// As [`Self::write`], and what is deleted leaves no bytes in the file. (PostgreSQL's vacuum sees to that by itself.)
    pub async fn wipe(&self) -> Result<Tx, DbError> {
        self.begin(true).await
    }

    async fn begin(&self, wiping: bool) -> Result<Tx, DbError> {
        match &self.0 {
            Inner::Sqlite { writer, .. } => {
                let writer = writer.clone().lock_owned().await;
                writer.execute_batch(&format!("PRAGMA secure_delete = {wiping}"))?;
                Ok(Writing::begin(writer)?.into())
            }
            Inner::Postgres { writer, pool, .. } => {
                let turn: OwnedMutexGuard<()> = writer.clone().lock_owned().await;
                Ok(Tx::writing(pool.begin().await?, turn))
            }
        }
    }

    /// Why this database is not this node's any more; `None` while it is. PostgreSQL's is let go with that, and it is said
    /// once. SQLite goes on in a file that was deleted, and an advisory lock of PostgreSQL ends with its connection: neither
    /// would be noticed by working on.
    pub async fn lost(&self) -> Option<String> {
        match &self.0 {
            Inner::Sqlite { file, .. } => {
                let (path, id) = &**file;
                match file_id(path) {
                    Ok(found) if found == *id => None,
                    Ok(_) => Some(format!("another file has taken the place of {}", path.display())),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        Some(format!("{} was deleted", path.display()))
                    }
                    // It cannot be looked at: no word on whether it is there.
                    Err(_) => None,
                }
            }
            Inner::Postgres { owner, .. } => {
                let mut owner = owner.lock().await;
                let sql = "SELECT to_regclass('checkpoints') IS NOT NULL";
                let look = sqlx::query_scalar(sql).fetch_one(owner.as_mut()?);
                let why = match tokio::time::timeout(PATIENCE, look).await {
                    Ok(Ok(true)) => return None,
                    Ok(Ok(false)) => "its tables are gone".to_owned(),
                    Ok(Err(error)) => format!("the connection that owns it has ended: {error}"),
                    Err(late) => format!("the connection that owns it does not answer: {late}"),
                };
                // Its lock would keep out this node, too, once the server answers again.
                owner.take();
                Some(why)
            }
        }
    }

    /// Waits for everything under way and closes the database.
    pub async fn close(&self) {
        match &self.0 {
            Inner::Sqlite { writer, readers, .. } => {
                readers.close().await;
                let mut writer = writer.lock().await;
                // The WAL goes into the file now. With a file that is gone there is nothing to save.
                if self.lost().await.is_none()
                    && let Err(error) = writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                {
                    tracing::warn!(%error, "the read database's WAL stays beside it");
                }
                // No connection to this file outlives it: to SQLite two files of one name would be one.
                match Connection::open_in_memory() {
                    Ok(nothing) => drop(std::mem::replace(&mut *writer, nothing)),
                    Err(error) => tracing::warn!(%error, "the read database is closed with the process"),
                }
            }
            Inner::Postgres { pool, owner, .. } => {
                pool.close().await;
                if let Some(owner) = owner.lock().await.take()
                    && let Err(error) = owner.close().await
                {
                    tracing::warn!(%error, "the read database was not closed");
                }
            }
        }
    }
}

/// The connection that owns the database, which is made where it is not there.
async fn own(options: &PgConnectOptions) -> Result<PgConnection, ReadDbError> {
    let mut owner = match options.connect().await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_DATABASE) => {
            make_database(options).await?;
            options.connect().await?
        }
        other => other?,
    };
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(OWNER_LOCK);
    let free: bool = lock.fetch_one(&mut owner).await?;
    if free { Ok(owner) } else { Err(ReadDbError::InUse) }
}

/// Through the database that every server has.
async fn make_database(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let name = options.get_database().unwrap_or_else(|| options.get_username());
    let mut connection = options.clone().database("postgres").connect().await?;
    let made = sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))))
        .execute(&mut connection)
        .await;
    connection.close().await?;
    made.map(|_| tracing::info!("the read database was not there: made"))
}

fn migration(error: MigrateError, holds_a_log: bool) -> ReadDbError {
    match error {
        _ if holds_a_log => ReadDbError::HoldsALog,
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
