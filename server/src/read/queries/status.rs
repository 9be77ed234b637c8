//! What this node knows of itself: how far its copy of the log and its projections have come.

use std::time::{SystemTime, UNIX_EPOCH};

use app::wire::{Parked, Position, ProjectionStatus, ReadStatus};
use sqlx::{Row as _, SqliteConnection};

use crate::bus::LogHead;

use super::super::columns::position;

/// After that long without a word the head is not known any more. Microseconds.
const HEAD_KNOWN: i64 = 10_000_000;

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

pub(super) async fn status(
    tx: &mut SqliteConnection,
    head: Option<LogHead>,
    started: i64,
    now: i64,
) -> Result<ReadStatus, sqlx::Error> {
    let known = head.filter(|head| now.saturating_sub(head.at) <= HEAD_KNOWN);
    let feed = sqlx::query("SELECT COALESCE(MAX(position), 0) AS position FROM feed").fetch_one(&mut *tx).await?;
    let rows = sqlx::query(
        "SELECT projection, position, parked_at, parked_error, rebuilding FROM checkpoints ORDER BY projection",
    )
    .fetch_all(tx)
    .await?;
    let projections = rows.iter().map(|row| {
        let checkpoint = position(row, "position")?;
        let parked_at: Option<i64> = row.try_get("parked_at")?;
        let error: Option<String> = row.try_get("parked_error")?;
        Ok(ProjectionStatus {
            name: row.try_get("projection")?,
            checkpoint,
            lag: known.map(|head| head.position.0.saturating_sub(checkpoint.0)),
            parked: parked_at.map(|at| Parked { position: Position::from_i64(at), error: error.unwrap_or_default() }),
            rebuilding: row.try_get::<Option<i64>, _>("rebuilding")?.map(Position::from_i64),
        })
    });
    Ok(ReadStatus {
        head: known.map(|head| head.position),
        unknown_since: if known.is_some() { None } else { Some(head.map_or(started, |head| head.at)) },
        feed: position(&feed, "position")?,
        projections: projections.collect::<Result<_, sqlx::Error>>()?,
    })
}
