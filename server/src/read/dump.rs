//! The canonical dump (R4): every row of every projection, as text, in one order. Equal read models, equal bytes.

use std::{io::Write, sync::Arc};

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::{database::ReadDb, projections::Projection, runner::checkpoint};

/// The dump could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("the read database does not answer: {0}")]
    Database(#[from] sqlx::Error),
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
async fn write_table(tx: &mut SqliteConnection, table: &str, to: &mut impl Write) -> Result<(), DumpError> {
    let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?) ORDER BY cid")
        .bind(table)
        .fetch_all(&mut *tx)
        .await?;
    writeln!(to, "{table} ({})", columns.join(", "))?;
    let values: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
    let query = format!("SELECT {} FROM {table} ORDER BY {}", values.join(" || ',' || "), columns.join(", "));
    let mut rows = sqlx::query(AssertSqlSafe(query)).fetch(tx);
    while let Some(row) = rows.try_next().await? {
        writeln!(to, "{}", row.try_get::<&str, _>(0)?)?;
    }
    Ok(())
}
