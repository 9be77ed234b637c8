//! PostgreSQL, through sqlx.

use std::{borrow::Cow, sync::Arc};

use futures_util::{StreamExt as _, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, Column as _, PgConnection, Postgres, Row as _, TypeInfo as _,
    postgres::{PgArguments, PgColumn, PgRow},
};

use super::{DbError, Row, Value};

type PgQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

/// Safe: the read side's own text, in which every value is bound.
fn statement(sql: Cow<'static, str>) -> PgQuery {
    sqlx::query(AssertSqlSafe(sql.into_owned()))
}

fn bound(sql: Cow<'static, str>, values: Vec<Value<'_>>) -> PgQuery {
    values.into_iter().fold(statement(sql), |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value.into_owned()),
        Value::Blob(value) => query.bind(value.into_owned()),
    })
}

pub(super) async fn define(db: &mut PgConnection, sql: &str) -> Result<(), DbError> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(db).await?;
    Ok(())
}

pub(super) async fn fetch(
    db: &mut PgConnection,
    sql: Cow<'static, str>,
    values: Vec<Value<'_>>,
) -> Result<Vec<Row>, DbError> {
    read_all(bound(sql, values).fetch_all(db).await?)
}

pub(super) fn stream<'c>(
    db: &'c mut PgConnection,
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

pub(super) async fn execute(
    db: &mut PgConnection,
    sql: Cow<'static, str>,
    values: Vec<Value<'_>>,
) -> Result<u64, DbError> {
    Ok(bound(sql, values).execute(db).await?.rows_affected())
}

/// All rows in one statement: a column an array.
pub(super) async fn insert(
    db: &mut PgConnection,
    head: &str,
    tail: &str,
    values: &[Value<'_>],
    width: usize,
) -> Result<Vec<Row>, DbError> {
    let column = |index: usize| values.iter().skip(index).step_by(width);
    let kind = |index| column(index).find(|value| !matches!(value, Value::Null)).unwrap_or(&Value::Null);
    let arrays: Vec<String> = (0..width)
        .map(|index| {
            let array = match kind(index) {
                Value::Null | Value::Text(_) => "text",
                Value::Int(_) => "bigint",
                Value::Blob(_) => "bytea",
            };
            format!("${}::{array}[]", index + 1)
        })
        .collect();
    let sql = format!("{head} SELECT * FROM UNNEST({}) AS new{tail}", arrays.join(", "));
    let mut query = statement(sql.into());
    for index in 0..width {
        query = match kind(index) {
            Value::Null | Value::Text(_) => query.bind(column(index).map(as_text).collect::<Vec<_>>()),
            Value::Int(_) => query.bind(column(index).map(as_int).collect::<Vec<_>>()),
            Value::Blob(_) => query.bind(column(index).map(as_blob).collect::<Vec<_>>()),
        };
    }
    read_all(query.fetch_all(db).await?)
}

// A column's values are of one kind: whatever is not is NULL, which the column then refuses.

fn as_text(value: &Value<'_>) -> Option<String> {
    if let Value::Text(value) = value { Some(value.clone().into_owned()) } else { None }
}

fn as_int(value: &Value<'_>) -> Option<i64> {
    if let Value::Int(value) = value { Some(*value) } else { None }
}

fn as_blob(value: &Value<'_>) -> Option<Vec<u8>> {
    if let Value::Blob(value) = value { Some(value.clone().into_owned()) } else { None }
}

fn read_all(found: Vec<PgRow>) -> Result<Vec<Row>, DbError> {
    let Some(first) = found.first() else { return Ok(vec![]) };
    let columns = names(first);
    found.iter().map(|row| read(row, &columns)).collect()
}

fn names(row: &PgRow) -> Arc<[String]> {
    row.columns().iter().map(|column| column.name().to_owned()).collect()
}

fn read(row: &PgRow, columns: &Arc<[String]>) -> Result<Row, DbError> {
    let value = |(index, column): (usize, &PgColumn)| {
        let value = match column.type_info().name() {
            "INT8" => row.try_get::<Option<i64>, _>(index)?.map(Value::Int),
            "INT4" => row.try_get::<Option<i32>, _>(index)?.map(|value| Value::Int(value.into())),
            "TEXT" | "VARCHAR" | "NAME" => {
                row.try_get::<Option<String>, _>(index)?.map(|text| Value::Text(text.into()))
            }
            "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(index)?.map(|bytes| Value::Blob(bytes.into())),
            other => return Err(DbError::Rows(format!("a value of type {other}").into())),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    let values = row.columns().iter().enumerate().map(value).collect::<Result<_, DbError>>()?;
    Ok(Row { columns: columns.clone(), values })
}
