//! The write database, wherever it is: `sqlite:PATH` or `postgres://…`. The log and the people of one ledger.

use std::{str::FromStr, sync::Arc};

use sqlx::{SqlitePool, postgres::PgConnectOptions, sqlite::SqlitePoolOptions};

use super::{
    identity::People,
    store::{EventStore, OpenError, PostgresStore, SqliteStore, StoreError, connect_options},
};
use crate::db_url::DbUrl;

/// Connections of SQLite for people.
const PEOPLE: u32 = 2;

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
    pub async fn open(url: &DbUrl, pages: Option<u32>) -> Result<Self, OpenError> {
        match url {
            DbUrl::Sqlite(file) => {
                let store = match pages {
                    Some(pages) => SqliteStore::open_with(file, pages).await?,
                    None => SqliteStore::open(file).await?,
                };
                let pool = SqlitePoolOptions::new().max_connections(PEOPLE).connect_with(connect_options(file)).await;
                Ok(Self::of_file(store, pool.map_err(|error| StoreError::Unavailable(Arc::new(error)))?))
            }
            DbUrl::Postgres(url) => {
                let store = Arc::new(PostgresStore::open(url).await?);
                let people = Arc::new(People::new(store.pool().clone()));
                Ok(Self { store: store.clone(), people, kind: Kind::Postgres(store) })
            }
        }
    }

    /// What it holds at this moment, whatever is written meanwhile: only to be read. Changes nothing there, nor waits for
    /// anyone. Whoever is slow has the database keep what it could otherwise clear away.
    pub async fn snapshot(url: &DbUrl) -> Result<Self, OpenError> {
        match url {
            DbUrl::Sqlite(file) => {
                let (store, pool) = SqliteStore::snapshot(file).await?;
                Ok(Self::of_file(store, pool))
            }
            DbUrl::Postgres(url) => {
                let store = Arc::new(PostgresStore::snapshot(url).await?);
                let people = Arc::new(People::new(store.pool().clone()));
                Ok(Self { store: store.clone(), people, kind: Kind::Postgres(store) })
            }
        }
    }

    /// Opens it only to be read, as it is at each moment. A file has to be there, and stays as it is.
    pub async fn read_only(url: &DbUrl) -> Result<Self, OpenError> {
        let DbUrl::Sqlite(file) = url else { return Self::open(url, None).await };
        let (store, pool) = SqliteStore::read_only(file).await?;
        Ok(Self::of_file(store, pool))
    }

    fn of_file(store: SqliteStore, pool: SqlitePool) -> Self {
        let (store, people) = (Arc::new(store), Arc::new(People::new(pool.clone())));
        Self { store: store.clone(), people, kind: Kind::Sqlite(store, pool) }
    }

    /// Makes the tables or brings them up to date, as the owner of the database `admin`, and lets the user in `node` do
    /// what a node does. Can be done by several at once, and again.
    pub async fn migrate(admin: &DbUrl, node: Option<&DbUrl>) -> Result<(), OpenError> {
        match (admin, node) {
            (DbUrl::Sqlite(file), _) => Ok(SqliteStore::open(file).await?.close().await?),
            (DbUrl::Postgres(admin), Some(DbUrl::Postgres(node))) => {
                let role =
                    PgConnectOptions::from_str(node).map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
                PostgresStore::migrate(admin, Some(role.get_username())).await
            }
            (DbUrl::Postgres(admin), Some(DbUrl::Sqlite(_)) | None) => PostgresStore::migrate(admin, None).await,
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
        let read = |text: &str| text.parse::<DbUrl>();
        assert_eq!(read("sqlite:data/w.db").unwrap(), DbUrl::Sqlite("data/w.db".into()));
        assert_eq!(read("sqlite:///data/w.db").unwrap(), DbUrl::Sqlite("/data/w.db".into()));
        let postgres = read("postgres://eva:secret@db:5433/ledger?sslmode=require").unwrap();
        assert_eq!(format!("{postgres} {postgres:?}").matches("postgres://eva@db:5433/ledger").count(), 2);
        for wrong in ["", "sqlite:", "data/w.db", "mysql://x", "postgres://db:port/x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
