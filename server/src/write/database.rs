//! The write database, wherever it is: `sqlite:PATH` or `postgres://…`. The log and the people of one ledger.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use sqlx::{SqlitePool, postgres::PgConnectOptions, sqlite::SqlitePoolOptions};

use super::{
    identity::People,
    store::{EventStore, OpenError, PostgresStore, SqliteStore, StoreError, connect_options},
};

/// Connections of SQLite for people.
const PEOPLE: u32 = 2;

/// Where a write database is. Shows no password.
#[derive(Clone, PartialEq, Eq)]
pub enum WriteUrl {
    /// A file, made if it is not there.
    Sqlite(PathBuf),
    /// As PostgreSQL writes it, `sslmode` and all.
    Postgres(String),
}

/// Text that is no URL of a write database.
#[derive(Debug, thiserror::Error)]
#[error("is neither sqlite:PATH nor postgres://USER:PASSWORD@HOST/DATABASE{0}")]
pub struct NoWriteUrl(String);

impl FromStr for WriteUrl {
    type Err = NoWriteUrl;

    fn from_str(text: &str) -> Result<Self, NoWriteUrl> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(path.strip_prefix("//").unwrap_or(path).into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let read = PgConnectOptions::from_str(text);
            return read.map(|_| Self::Postgres(text.to_owned())).map_err(|error| NoWriteUrl(format!(" ({error})")));
        }
        Err(NoWriteUrl(String::new()))
    }
}

impl fmt::Display for WriteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url) {
                Ok(options) => {
                    let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
                    write!(f, "postgres://{user}@{host}:{port}/{}", options.get_database().unwrap_or(user))
                }
                Err(_) => f.write_str("postgres://"),
            },
        }
    }
}

impl fmt::Debug for WriteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An open write database.
pub struct WriteDb {
    pub store: Arc<dyn EventStore>,
    pub people: Arc<People>,
    kind: Kind,
}

enum Kind {
    Sqlite(Arc<SqliteStore>, SqlitePool),
    Postgres(Arc<PostgresStore>),
}

impl WriteDb {
    /// Opens it. A SQLite file is made and brought up to date; of PostgreSQL the version is only checked, see
    /// [`Self::migrate`]. `pages`: KiB of memory for SQLite's pages, its default if `None`.
    pub async fn open(url: &WriteUrl, pages: Option<u32>) -> Result<Self, OpenError> {
        match url {
            WriteUrl::Sqlite(file) => {
                let store = Arc::new(match pages {
                    Some(pages) => SqliteStore::open_with(file, pages).await?,
                    None => SqliteStore::open(file).await?,
                });
                let pool = SqlitePoolOptions::new().max_connections(PEOPLE).connect_with(connect_options(file)).await;
                let pool = pool.map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
                let people = Arc::new(People::new(pool.clone()));
                Ok(Self { store: store.clone(), people, kind: Kind::Sqlite(store, pool) })
            }
            WriteUrl::Postgres(url) => {
                let store = Arc::new(PostgresStore::open(url).await?);
                let people = Arc::new(People::new(store.pool().clone()));
                Ok(Self { store: store.clone(), people, kind: Kind::Postgres(store) })
            }
        }
    }

    /// Makes the tables or brings them up to date, as the owner of the database `admin`, and lets the user in `node` do
    /// what a node does. Can be done by several at once, and again.
    pub async fn migrate(admin: &WriteUrl, node: Option<&WriteUrl>) -> Result<(), OpenError> {
        match (admin, node) {
            (WriteUrl::Sqlite(file), _) => Ok(SqliteStore::open(file).await?.close().await?),
            (WriteUrl::Postgres(admin), Some(WriteUrl::Postgres(node))) => {
                let role =
                    PgConnectOptions::from_str(node).map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
                PostgresStore::migrate(admin, Some(role.get_username())).await
            }
            (WriteUrl::Postgres(admin), Some(WriteUrl::Sqlite(_)) | None) => PostgresStore::migrate(admin, None).await,
        }
    }

    /// Closes all connections. What still uses them fails.
    pub async fn close(&self) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Sqlite(store, pool) => {
                pool.close().await;
                store.close().await
            }
            Kind::Postgres(store) => store.close().await,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_their_password() {
        let read = |text: &str| text.parse::<WriteUrl>();
        assert_eq!(read("sqlite:data/w.db").unwrap(), WriteUrl::Sqlite("data/w.db".into()));
        assert_eq!(read("sqlite:///data/w.db").unwrap(), WriteUrl::Sqlite("/data/w.db".into()));
        let postgres = read("postgres://eva:secret@db:5433/ledger?sslmode=require").unwrap();
        assert_eq!(format!("{postgres} {postgres:?}").matches("postgres://eva@db:5433/ledger").count(), 2);
        for wrong in ["", "sqlite:", "data/w.db", "mysql://x", "postgres://db:port/x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
