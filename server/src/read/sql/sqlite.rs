//! SQLite: one connection that writes, directly; snapshots through sqlx's pool.

use std::{borrow::Cow, sync::Arc};

use futures_util::{StreamExt as _, stream::BoxStream};
use rusqlite::{
    Connection, ErrorCode, Statement, ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use sqlx::{
    AssertSqlSafe, Column as _, Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _,
    error::DatabaseError,
    sqlite::{SqliteArguments, SqliteError, SqliteRow},
};
use tokio::{runtime::RuntimeFlavor, sync::OwnedMutexGuard};

use super::{DbError, Row, Value};

/// A transaction of the connection that writes.
pub struct Writing {
    db: OwnedMutexGuard<Connection>,
    open: bool,
}

impl Writing {
    pub fn begin(db: OwnedMutexGuard<Connection>) -> Result<Self, DbError> {
        blocking(|| db.execute_batch("BEGIN IMMEDIATE"))?;
        Ok(Self { db, open: true })
    }

    pub fn commit(mut self) -> Result<(), DbError> {
        blocking(|| self.db.execute_batch("COMMIT"))?;
        self.open = false;
        Ok(())
    }

    pub(super) fn define(&mut self, sql: &str) -> Result<(), DbError> {
        Ok(blocking(|| self.db.execute_batch(sql))?)
    }

    pub(super) fn fetch(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, DbError> {
        blocking(|| rows(&mut *self.db.prepare_cached(sql)?, values))
    }

    pub(super) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, DbError> {
        let changed = blocking(|| self.db.prepare_cached(sql)?.execute(params_from_iter(values)))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    /// One statement, for each of `rows`; what they return, all together.
    pub(super) fn insert(&mut self, sql: &str, values: &[Value<'_>], width: usize) -> Result<Vec<Row>, DbError> {
        blocking(|| {
            let mut statement = self.db.prepare_cached(sql)?;
            let returns = statement.column_count() > 0;
            let mut returned = Vec::new();
            for row in values.chunks_exact(width) {
                if returns {
                    returned.extend(rows(&mut statement, row)?);
                } else {
                    statement.execute(params_from_iter(row))?;
                }
            }
            Ok(returned)
        })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.db.execute_batch("ROLLBACK")
            && !self.db.is_autocommit()
        {
            tracing::error!(%error, "a transaction of the read database is not rolled back");
        }
    }
}

/// Other tasks of this thread go to another one meanwhile.
fn blocking<R>(work: impl FnOnce() -> R) -> R {
    match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn rows(statement: &mut Statement<'_>, values: &[Value<'_>]) -> Result<Vec<Row>, DbError> {
    let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut found = statement.query(params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let value = |index| {
            Ok(match row.get_ref(index)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Text(_) => Value::Text(row.get::<_, String>(index)?.into()),
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec().into()),
                ValueRef::Real(_) => return Err(DbError::Rows("a number with decimals".into())),
            })
        };
        let values = (0..columns.len()).map(value).collect::<Result<_, DbError>>()?;
        rows.push(Row { columns: columns.clone(), values });
    }
    Ok(rows)
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Rows(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

/// The file was deleted, or another is being made in its place.
pub(super) fn is_away(error: &dyn DatabaseError) -> bool {
    let Some(error) = error.try_downcast_ref::<SqliteError>() else { return false };
    let code: Option<i32> = error.code().and_then(|code| code.parse().ok());
    // SQLITE_IOERR and SQLITE_CANTOPEN, whose low byte tells the kind.
    matches!(code.map(|code| code & 0xff), Some(10 | 14)) || error.message().starts_with("no such table")
}

pub(super) async fn define(db: &mut SqliteConnection, sql: &str) -> Result<(), DbError> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(db).await?;
    Ok(())
}

/// Safe: the read side's own text, in which every value is bound.
fn bound(sql: Cow<'static, str>, values: Vec<Value<'_>>) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(AssertSqlSafe(sql.into_owned())), |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value.into_owned()),
        Value::Blob(value) => query.bind(value.into_owned()),
    })
}

pub(super) async fn fetch(
    db: &mut SqliteConnection,
    sql: Cow<'static, str>,
    values: Vec<Value<'_>>,
) -> Result<Vec<Row>, DbError> {
    let found = bound(sql, values).fetch_all(db).await?;
    let Some(first) = found.first() else { return Ok(vec![]) };
    let columns = names(first);
    found.iter().map(|row| read(row, &columns)).collect()
}

pub(super) fn stream<'c>(
    db: &'c mut SqliteConnection,
    sql: Cow<'static, str>,
    values: Vec<Value<'_>>,
) -> BoxStream<'c, Result<Row, DbError>> {
    bound(sql, values)
        .fetch(db)
        .map(|row| {
            let row = row?;
            read(&row, &names(&row))
        })
        .boxed()
}

fn names(row: &SqliteRow) -> Arc<[String]> {
    row.columns().iter().map(|column| column.name().to_owned()).collect()
}

fn read(row: &SqliteRow, columns: &Arc<[String]>) -> Result<Row, DbError> {
    let value = |index| {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        Ok(match raw.type_info().name() {
            "INTEGER" => Value::Int(row.try_get(index)?),
            "TEXT" => Value::Text(row.try_get::<String, _>(index)?.into()),
            "BLOB" => Value::Blob(row.try_get::<Vec<u8>, _>(index)?.into()),
            other => return Err(DbError::Rows(format!("a value of type {other}").into())),
        })
    };
    let values = (0..columns.len()).map(value).collect::<Result<_, DbError>>()?;
    Ok(Row { columns: columns.clone(), values })
}
