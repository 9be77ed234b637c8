//! What the read side says to its database, the same for SQLite and PostgreSQL.
//!
//! Statements are written once, in the words that both know. `?` stands for a value; a few words in braces stand for what
//! the two call differently, see [`Dialect`]. SQLite is written to directly (rusqlite, a row a statement), since sqlx
//! hands each statement to a thread of its own; PostgreSQL takes all rows of an insert in one statement.

mod insert;
mod postgres;
mod row;
mod sqlite;
mod value;

use std::borrow::Cow;

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use sqlx::{Postgres, Sqlite, Transaction, error::ErrorKind};
use tokio::sync::OwnedMutexGuard;

pub use insert::insert;
pub use row::{FromValue, Row};
pub use value::Value;

pub(super) use sqlite::Writing;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The read database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// It refuses what was to be written, or holds something that does not read.
    #[error("{0}")]
    Rows(#[source] Source),
    #[error("all connections are in use")]
    Busy,
    /// It does not answer for now.
    #[error("it is away: {0}")]
    Away(#[source] Source),
    #[error("{0}")]
    Failed(#[source] Source),
}

impl DbError {
    pub(super) fn failed(source: impl Into<Source>) -> Self {
        Self::Failed(source.into())
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        use ErrorKind as K;
        let (away, refused) = error.as_database_error().map_or((false, false), |error| {
            let code = error.code().unwrap_or_default();
            let broken = matches!(
                error.kind(),
                K::UniqueViolation | K::NotNullViolation | K::CheckViolation | K::ForeignKeyViolation
            );
            (is_away(&code) || sqlite::is_away(error), broken || code.starts_with(BAD_DATA))
        });
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::PoolClosed | sqlx::Error::Io(_) => Self::Away(error.into()),
            _ if away => Self::Away(error.into()),
            sqlx::Error::ColumnDecode { .. } => Self::Rows(error.into()),
            _ if refused => Self::Rows(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

/// PostgreSQL is being stopped, begins again, or has no such database or table (any more, or yet).
pub(super) fn is_away(code: &str) -> bool {
    code.starts_with("57P") || code == NO_DATABASE || code == NO_TABLE
}

/// What the codes of PostgreSQL begin with for values that it cannot hold: a number that is too large is one.
const BAD_DATA: &str = "22";

/// PostgreSQL's word for a database that is not there.
pub(super) const NO_DATABASE: &str = "3D000";
const NO_TABLE: &str = "42P01";

/// Where the two databases have different words for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Each word in braces, in SQLite's terms and in PostgreSQL's.
    const WORDS: [(&str, &str, &str); 5] = [
        // A JSON array of texts as a table `keys` with the column `value`; `?` is the array.
        ("{keys}", "json_each(?) AS keys", "jsonb_array_elements_text(CAST(? AS jsonb)) AS keys(value)"),
        // The same for an array of pairs: `value ->> 0`, `value ->> 1`.
        ("{pairs}", "json_each(?) AS keys", "jsonb_array_elements(CAST(? AS jsonb)) AS keys(value)"),
        // Joins in this order: SQLite's planner would sometimes begin with the larger table.
        ("{then}", "CROSS JOIN", "JOIN"),
        // SQLite looks for no index on a column behind it.
        ("{unindexed}", "+", ""),
        ("{find}", "instr", "strpos"),
    ];

    /// `sql` in this database's words, with its kind of placeholders.
    fn text(self, mut sql: Cow<'static, str>) -> Cow<'static, str> {
        if sql.contains('{') {
            for (word, sqlite, postgres) in Self::WORDS {
                sql = sql.replace(word, if self == Self::Sqlite { sqlite } else { postgres }).into();
            }
        }
        if self == Self::Sqlite {
            return sql;
        }
        let mut numbered = String::with_capacity(sql.len() + 16);
        for (index, part) in sql.split('?').enumerate() {
            if index > 0 {
                numbered.push('$');
                numbered.push_str(&index.to_string());
            }
            numbered += part;
        }
        numbered.into()
    }

    /// Definitions of tables, which are written as SQLite has them.
    pub(super) fn ddl(self, ddl: &str) -> String {
        if self == Self::Sqlite {
            return ddl.to_owned();
        }
        // "C": texts are in the order of their bytes, as in SQLite.
        [
            ("INTEGER", "BIGINT"),
            ("BLOB", "BYTEA"),
            ("TEXT", "TEXT COLLATE \"C\""),
            (") STRICT, WITHOUT ROWID", ")"),
            (") STRICT", ")"),
        ]
        .iter()
        .fold(ddl.to_owned(), |ddl, (theirs, ours)| ddl.replace(theirs, ours))
    }
}

/// A transaction of the read database; one that is dropped is rolled back.
pub struct Tx(Inner);

enum Inner {
    /// SQLite, the one connection that writes.
    Writing(Writing),
    /// SQLite, a snapshot.
    Reading(Transaction<'static, Sqlite>),
    Postgres {
        tx: Transaction<'static, Postgres>,
        /// To write: the next one waits until this is dropped.
        _turn: Option<OwnedMutexGuard<()>>,
    },
}

impl From<Writing> for Tx {
    fn from(tx: Writing) -> Self {
        Self(Inner::Writing(tx))
    }
}

impl From<Transaction<'static, Sqlite>> for Tx {
    fn from(tx: Transaction<'static, Sqlite>) -> Self {
        Self(Inner::Reading(tx))
    }
}

impl From<Transaction<'static, Postgres>> for Tx {
    fn from(tx: Transaction<'static, Postgres>) -> Self {
        Self(Inner::Postgres { tx, _turn: None })
    }
}

impl Tx {
    /// A transaction of PostgreSQL that writes, and whose turn it is.
    pub(super) fn writing(tx: Transaction<'static, Postgres>, turn: OwnedMutexGuard<()>) -> Self {
        Self(Inner::Postgres { tx, _turn: Some(turn) })
    }

    pub fn dialect(&self) -> Dialect {
        match &self.0 {
            Inner::Writing(_) | Inner::Reading(_) => Dialect::Sqlite,
            Inner::Postgres { .. } => Dialect::Postgres,
        }
    }

    pub async fn commit(self) -> Result<(), DbError> {
        match self.0 {
            Inner::Writing(tx) => tx.commit(),
            Inner::Reading(tx) => Ok(tx.commit().await?),
            Inner::Postgres { tx, .. } => Ok(tx.commit().await?),
        }
    }

    /// Statements without values: definitions of tables. `sql` is Daybook's own text.
    pub async fn define(&mut self, sql: &str) -> Result<(), DbError> {
        match &mut self.0 {
            Inner::Writing(tx) => tx.define(sql),
            Inner::Reading(tx) => sqlite::define(tx, sql).await,
            Inner::Postgres { tx, .. } => postgres::define(tx, sql).await,
        }
    }
}

/// A statement with its values.
#[derive(Debug)]
#[must_use]
pub struct Sql<'v> {
    sql: Cow<'static, str>,
    values: Vec<Value<'v>>,
}

impl<'v> Sql<'v> {
    /// A statement, to which more may be added; `?` in it stands for the values that are bound, in their order.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    pub fn bind(mut self, value: impl Into<Value<'v>>) -> Self {
        self.values.push(value.into());
        self
    }

    pub fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// The value of a `?` that was pushed with the text before it.
    pub fn bind_last(&mut self, value: impl Into<Value<'v>>) -> &mut Self {
        self.values.push(value.into());
        self
    }

    pub fn push_bind(&mut self, value: impl Into<Value<'v>>) -> &mut Self {
        self.push("?");
        self.values.push(value.into());
        self
    }

    /// All rows.
    pub async fn fetch_all(self, tx: &mut Tx) -> Result<Vec<Row>, DbError> {
        let sql = tx.dialect().text(self.sql);
        match &mut tx.0 {
            Inner::Writing(tx) => tx.fetch(&sql, &self.values),
            Inner::Reading(tx) => sqlite::fetch(tx, sql, self.values).await,
            Inner::Postgres { tx, .. } => postgres::fetch(tx, sql, self.values).await,
        }
    }

    /// Row by row, for more of them than memory should hold.
    pub fn fetch(self, tx: &mut Tx) -> BoxStream<'_, Result<Row, DbError>> {
        let sql = tx.dialect().text(self.sql);
        match &mut tx.0 {
            Inner::Writing(tx) => stream::iter(rows_or_error(tx.fetch(&sql, &self.values))).boxed(),
            Inner::Reading(tx) => sqlite::stream(tx, sql, self.values),
            Inner::Postgres { tx, .. } => postgres::stream(tx, sql, self.values),
        }
    }

    /// The only row, if there is one.
    pub async fn fetch_optional(self, tx: &mut Tx) -> Result<Option<Row>, DbError> {
        Ok(self.fetch_all(tx).await?.into_iter().next())
    }

    /// The only row.
    pub async fn fetch_one(self, tx: &mut Tx) -> Result<Row, DbError> {
        self.fetch_optional(tx).await?.ok_or_else(|| DbError::failed("a row that must be there is not there"))
    }

    /// How many rows it changed.
    pub async fn execute(self, tx: &mut Tx) -> Result<u64, DbError> {
        let sql = tx.dialect().text(self.sql);
        match &mut tx.0 {
            Inner::Writing(tx) => tx.execute(&sql, &self.values),
            Inner::Reading(_) => Err(DbError::failed("a snapshot is not written to")),
            Inner::Postgres { tx, .. } => postgres::execute(tx, sql, self.values).await,
        }
    }
}

fn rows_or_error(rows: Result<Vec<Row>, DbError>) -> Vec<Result<Row, DbError>> {
    rows.map_or_else(|error| vec![Err(error)], |rows| rows.into_iter().map(Ok).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_serves_both_databases() {
        let sql = "SELECT a FROM t WHERE a IN (SELECT value FROM {keys}) AND b = ?";
        assert_eq!(
            Dialect::Sqlite.text(sql.into()),
            "SELECT a FROM t WHERE a IN (SELECT value FROM json_each(?) AS keys) AND b = ?"
        );
        assert_eq!(
            Dialect::Postgres.text(sql.into()),
            "SELECT a FROM t WHERE a IN (SELECT value FROM jsonb_array_elements_text(CAST($1 AS jsonb)) AS keys(value)) \
             AND b = $2"
        );
    }

    #[test]
    fn tables_are_defined_once_for_both_databases() {
        let ddl =
            "CREATE TABLE t (\n    a INTEGER PRIMARY KEY,\n    b TEXT NOT NULL,\n    c BLOB\n) STRICT, WITHOUT ROWID;";
        assert_eq!(Dialect::Sqlite.ddl(ddl), ddl);
        assert_eq!(
            Dialect::Postgres.ddl(ddl),
            "CREATE TABLE t (\n    a BIGINT PRIMARY KEY,\n    b TEXT COLLATE \"C\" NOT NULL,\n    c BYTEA\n);"
        );
    }
}
