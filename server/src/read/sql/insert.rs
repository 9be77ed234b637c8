//! Many rows into one table.

use super::{DbError, Inner, Row, Tx, Value, postgres};

/// Inserts `rows` by `head`, as `INSERT INTO t (a, b)`, with `tail` behind it, as ` ON CONFLICT …`; no two of them have
/// one key. Gives what a `RETURNING` in `tail` returns.
pub async fn insert<'v, const WIDTH: usize>(
    tx: &mut Tx,
    head: &str,
    tail: &str,
    rows: impl IntoIterator<Item = [Value<'v>; WIDTH]> + Send,
) -> Result<Vec<Row>, DbError> {
    let values: Vec<Value<'_>> = rows.into_iter().flatten().collect();
    if values.is_empty() {
        return Ok(vec![]);
    }
    match &mut tx.0 {
        Inner::Writing(tx) => {
            let places = ["?"; WIDTH].join(",");
            tx.insert(&format!("{head} VALUES ({places}){tail}"), &values, WIDTH)
        }
        Inner::Reading(_) => Err(DbError::failed("a snapshot is not written to")),
        Inner::Postgres { tx, .. } => postgres::insert(tx, head, tail, &values, WIDTH).await,
    }
}
