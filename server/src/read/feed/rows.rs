//! The feed as rows of the read database.

use std::collections::{BTreeMap, HashMap};

use app::wire::{Envelope, Hash, Metadata, Position, StreamId};

use super::super::{
    columns::{json_array, position, text, unreadable, version},
    sql::{DbError, Row, Sql, Tx, insert},
};
use crate::bus::After;

/// The hash of the event before the first new one, for each stream that has one.
pub(super) async fn last_hashes(tx: &mut Tx, envelopes: &[Envelope]) -> Result<HashMap<StreamId, Hash>, DbError> {
    let mut first: BTreeMap<StreamId, u64> = BTreeMap::new();
    for envelope in envelopes {
        first.entry(envelope.stream).or_insert(envelope.version.0.saturating_sub(1));
    }
    let rows = Sql::new(
        "SELECT stream, hash FROM {pairs} JOIN feed ON stream = value ->> 0 AND version = CAST(value ->> 1 AS BIGINT)",
    )
    .bind(json_array(first.iter().filter(|(_, version)| **version > 0)))
    .fetch_all(tx)
    .await?;
    rows.iter().map(|row| Ok((text(row, "stream")?, hash(row)?))).collect()
}

/// Stores what was taken, with what is asked for of its metadata.
pub(super) async fn store(tx: &mut Tx, taken: &[(Envelope, Metadata)]) -> Result<(), DbError> {
    insert(
        tx,
        "INSERT INTO feed (position, event_id, stream, version, event_type, schema, payload, metadata, recorded_at,
                 hash, command_id, correlation_id, causation_id)",
        "",
        taken.iter().map(|(envelope, metadata)| {
            [
                envelope.position.as_i64().into(),
                envelope.event_id.to_string().into(),
                envelope.stream.to_string().into(),
                envelope.version.as_i64().into(),
                envelope.event_type.as_str().into(),
                i64::from(envelope.schema).into(),
                envelope.payload.as_slice().into(),
                envelope.metadata.as_slice().into(),
                envelope.recorded_at.into(),
                envelope.hash.0.as_slice().into(),
                metadata.command_id.to_string().into(),
                metadata.correlation_id.to_string().into(),
                metadata.causation_id.map(|id| id.to_string()).into(),
            ]
        }),
    )
    .await?;
    Ok(())
}

/// The events that ended sessions since then, microseconds since 1970, in order.
pub(super) async fn ended_sessions(tx: &mut Tx, since: i64) -> Result<Vec<Envelope>, DbError> {
    // In order of time, which is the order of the log: the index serves it.
    let rows = Sql::new(
        "SELECT position, event_id, stream, version, event_type, schema, payload, metadata, recorded_at, hash
         FROM feed
         WHERE event_type IN ('session.session_ended', 'session.user_sessions_ended') AND recorded_at >= ?
         ORDER BY recorded_at, position",
    )
    .bind(since)
    .fetch_all(tx)
    .await?;
    rows.iter().map(envelope).collect()
}

/// The last event in the feed.
pub(super) async fn last_taken(tx: &mut Tx) -> Result<After, DbError> {
    let sql = "SELECT position, recorded_at FROM feed ORDER BY position DESC LIMIT 1";
    let Some(row) = Sql::new(sql).fetch_optional(tx).await? else { return Ok(After::default()) };
    Ok(After { position: position(&row, "position")?, recorded_at: row.try_get("recorded_at")? })
}

/// The position of the last event in the feed.
pub async fn last_position(tx: &mut Tx) -> Result<Position, DbError> {
    let last: Option<i64> = Sql::new("SELECT max(position) AS last FROM feed").fetch_one(tx).await?.only()?;
    Ok(Position::from_i64(last.unwrap_or(0)))
}

/// Up to `limit` events after `after`, in order.
pub async fn read(tx: &mut Tx, after: Position, limit: u32) -> Result<Vec<Envelope>, DbError> {
    let rows = Sql::new(
        "SELECT position, event_id, stream, version, event_type, schema, payload, metadata, recorded_at, hash
         FROM feed WHERE position > ? ORDER BY position LIMIT ?",
    )
    .bind(after.as_i64())
    .bind(limit)
    .fetch_all(tx)
    .await?;
    rows.iter().map(envelope).collect()
}

/// The hashes of the next events behind `after` and up to `to`, with their positions; some thousands at most.
pub async fn hashes(tx: &mut Tx, after: Position, to: Position) -> Result<Vec<(Position, Hash)>, DbError> {
    let sql = "SELECT position, hash FROM feed WHERE position > ? AND position <= ? ORDER BY position LIMIT 10000";
    let rows = Sql::new(sql).bind(after.as_i64()).bind(to.as_i64()).fetch_all(tx).await?;
    rows.iter().map(|row| Ok((position(row, "position")?, hash(row)?))).collect()
}

/// The events of a stream before the position `before`, in order.
pub async fn read_stream_before(tx: &mut Tx, stream: StreamId, before: Position) -> Result<Vec<Envelope>, DbError> {
    let rows = Sql::new(
        "SELECT position, event_id, stream, version, event_type, schema, payload, metadata, recorded_at, hash
         FROM feed WHERE stream = ? AND position < ? ORDER BY version",
    )
    .bind(stream.to_string())
    .bind(before.as_i64())
    .fetch_all(tx)
    .await?;
    rows.iter().map(envelope).collect()
}

/// A row of `feed`: the envelope's columns by name.
pub fn envelope(row: &Row) -> Result<Envelope, DbError> {
    Ok(Envelope {
        position: position(row, "position")?,
        event_id: text(row, "event_id")?,
        stream: text(row, "stream")?,
        version: version(row, "version")?,
        event_type: row.try_get("event_type")?,
        schema: row.try_get("schema")?,
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        recorded_at: row.try_get("recorded_at")?,
        hash: hash(row)?,
    })
}

fn hash(row: &Row) -> Result<Hash, DbError> {
    let bytes: &[u8] = row.try_get("hash")?;
    bytes.try_into().map(Hash).map_err(|error| unreadable("hash", error))
}
