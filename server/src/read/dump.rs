//! The canonical dump (R4): every row of every projection, as text, in one order. Equal read models, equal bytes.

use std::{io::Write, sync::Arc};

use futures_util::TryStreamExt as _;

use super::{
    database::ReadDb,
    projections::Projection,
    runner::checkpoint,
    sql::{DbError, Dialect, Row, Sql, Tx, Value},
};

/// The dump could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("the read database does not answer: {0}")]
    Database(#[from] DbError),
    #[error("the dump cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes what `projections` show, read at one moment. Who people are is not in it.
pub async fn dump(db: &ReadDb, projections: &[Arc<dyn Projection>], to: &mut impl Write) -> Result<(), DumpError> {
    let mut tx = db.read().await?;
    for projection in projections {
        let position = checkpoint(&mut tx, projection.name()).await?.map_or(0, |found| found.position.0);
        writeln!(to, "# {} at {position}", projection.name())?;
        for table in projection.tables() {
            write_table(&mut tx, table, to).await?;
        }
    }
    Ok(())
}

/// One line for the columns' names, one for each row: values as SQL literals, in the order of the rows' values.
async fn write_table(tx: &mut Tx, table: &str, to: &mut impl Write) -> Result<(), DumpError> {
    let columns = columns(tx, table).await?;
    writeln!(to, "{table} ({})", columns.join(", "))?;
    let order: Vec<_> = columns.iter().map(|column| format!("{column} NULLS FIRST")).collect();
    let mut rows =
        Sql::new(format!("SELECT {} FROM {table} ORDER BY {}", columns.join(", "), order.join(", "))).fetch(tx);
    while let Some(row) = rows.try_next().await? {
        let values: Vec<_> = row.values().iter().map(literal).collect();
        writeln!(to, "{}", values.join(","))?;
    }
    Ok(())
}

async fn columns(tx: &mut Tx, table: &str) -> Result<Vec<String>, DbError> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info(?) ORDER BY cid",
        Dialect::Postgres => {
            "SELECT column_name FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position"
        }
    };
    Sql::new(sql).bind(table).fetch_all(tx).await?.iter().map(Row::only).collect()
}

fn literal(value: &Value<'_>) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Text(value) => format!("'{}'", value.replace('\'', "''")),
        Value::Blob(value) => {
            let digits = value.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
            format!("X'{digits}'")
        }
    }
}
