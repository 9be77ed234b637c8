//! The one connection that appends. It is used directly, on a thread that may block: sqlx would send a message to a
//! thread of its own and back for each row, which costs more than the row.

use std::{path::Path, sync::Arc, time::Duration};

use app::{
    domain::EventId,
    wire::{Envelope, Position},
};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, ffi, params};

use super::{Head, Lease, StoreError, Under, failure, kind_number};

/// The time in SQL, microseconds since 1970.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    };
}

pub(super) struct Appender(Connection);

impl Appender {
    /// Opens a file that is there and migrated, with `pages` KiB of memory for pages, and makes sure that it is as durable as W1 needs it.
    pub(super) fn open(file: &Path, pages: u32) -> Result<Self, StoreError> {
        let connection = Connection::open(file).map_err(broken)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(broken)?;
        connection.pragma_update(None, "cache_size", -i64::from(pages)).map_err(broken)?;
        connection.set_prepared_statement_cache_capacity(8);
        connection
            .execute_batch(
                "PRAGMA synchronous = FULL;
                 -- macOS: a plain fsync does not reach the disk.
                 PRAGMA fullfsync = ON;
                 -- Pages of the indexes are written again and again: copying them back less often is less work.
                 PRAGMA wal_autocheckpoint = 8000;
                 PRAGMA journal_size_limit = 67108864;",
            )
            .map_err(broken)?;
        let sql = "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (journal, synchronous): (String, i64) = connection.query_row(sql, [], read).map_err(broken)?;
        if (journal.as_str(), synchronous) != ("wal", 2) {
            let what =
                format!("SQLite gives journal_mode={journal}, synchronous={synchronous} instead of wal and 2 (FULL)");
            return Err(StoreError::Unavailable(Arc::new(std::io::Error::other(what))));
        }
        Ok(Self(connection))
    }

    /// One transaction; what comes before its commit is rolled back if anything fails.
    pub(super) fn append(
        &mut self,
        under: Option<Under<'_>>,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
        if let Some(Under { lease, causes }) = under {
            still_held(&transaction, lease)?;
            still_there(&transaction, causes)?;
        }
        let head: i64 = transaction
            .prepare_cached("SELECT position FROM log_head")
            .and_then(|mut head| head.query_row([], |row| row.get(0)))
            .map_err(broken)?;
        if head != expected.as_i64() {
            return Err(StoreError::HeadMoved);
        }
        let mut insert = transaction
            .prepare_cached(
                "INSERT INTO events (position, event_id, stream_kind, stream_id, version, event_type, schema, payload, \
                 metadata, recorded_at, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .map_err(broken)?;
        for event in events {
            let row = params![
                event.position.as_i64(),
                event.event_id.0.as_bytes(),
                kind_number(event.stream.kind),
                event.stream.id.as_bytes(),
                event.version.as_i64(),
                event.event_type,
                event.schema,
                event.payload,
                event.metadata,
                event.recorded_at,
                event.hash.0,
            ];
            insert.execute(row).map_err(refused)?;
        }
        drop(insert);
        transaction
            .prepare_cached("UPDATE log_head SET position = ?, hash = ?, recorded_at = ?")
            .and_then(|mut move_on| {
                move_on.execute(params![new_head.position.as_i64(), new_head.hash.0, new_head.recorded_at])
            })
            .map_err(refused)?;
        transaction.commit().map_err(|error| StoreError::OutcomeUnknown(Arc::new(error)))
    }

    pub(super) fn save_checkpoint(
        &mut self,
        lease: Option<&Lease>,
        name: &str,
        position: Position,
    ) -> Result<(), StoreError> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
        if let Some(lease) = lease {
            still_held(&transaction, lease)?;
        }
        transaction
            .prepare_cached(
                "INSERT INTO checkpoints (name, position) VALUES (?, ?) \
                 ON CONFLICT (name) DO UPDATE SET position = excluded.position",
            )
            .and_then(|mut save| save.execute(params![name, position.as_i64()]))
            .map_err(broken)?;
        transaction.commit().map_err(broken)
    }

    pub(super) fn acquire(&mut self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let sql = concat!(
            "INSERT INTO leases (name, holder, fence, expires_at) VALUES (?1, ?2, 1, ",
            now!(),
            " + ?3) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1, \
             expires_at = excluded.expires_at WHERE leases.expires_at <= ",
            now!(),
            " OR leases.holder = excluded.holder RETURNING fence"
        );
        let row = params![name, holder, micros(ttl)];
        let fence = self.0.query_row(sql, row, |row| row.get(0)).optional().map_err(broken)?;
        Ok(fence.map(|fence| Lease { name: name.to_owned(), fence }))
    }

    pub(super) fn renew(&mut self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let sql = concat!("UPDATE leases SET expires_at = ", now!(), " + ?3 WHERE name = ?1 AND fence = ?2");
        match self.0.execute(sql, params![lease.name, lease.fence, micros(ttl)]).map_err(broken)? {
            0 => Err(StoreError::FencedOff),
            _ => Ok(()),
        }
    }

    pub(super) fn close(self) -> Result<(), StoreError> {
        self.0.close().map_err(|(_, error)| broken(error))
    }
}

fn still_there(connection: &Connection, events: &[EventId]) -> Result<(), StoreError> {
    let mut find = connection.prepare_cached("SELECT 1 FROM events WHERE event_id = ?").map_err(broken)?;
    for event in events {
        if !find.exists([event.0.as_bytes()]).map_err(broken)? {
            return Err(StoreError::FencedOff);
        }
    }
    Ok(())
}

fn still_held(connection: &Connection, lease: &Lease) -> Result<(), StoreError> {
    let held = connection
        .prepare_cached("SELECT 1 FROM leases WHERE name = ? AND fence = ?")
        .and_then(|mut held| held.exists(params![lease.name, lease.fence]))
        .map_err(broken)?;
    if held { Ok(()) } else { Err(StoreError::FencedOff) }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2)
}

/// SQLite's primary result code and message, if it was SQLite that failed.
fn sqlite_failure(error: &rusqlite::Error) -> Option<(i32, &str)> {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            Some((failure.extended_code & 0xff, message.as_deref().unwrap_or_default()))
        }
        _ => None,
    }
}

/// A failure before any commit: nothing was stored.
fn broken(error: rusqlite::Error) -> StoreError {
    let code = sqlite_failure(&error).map(|(code, _)| code);
    failure(code, error)
}

/// A failure of a write inside the transaction: a constraint or a trigger may have refused.
fn refused(error: rusqlite::Error) -> StoreError {
    match sqlite_failure(&error) {
        Some((ffi::SQLITE_CONSTRAINT, what))
            if what.contains("event id is in the log") || what.contains("events.event_id") =>
        {
            StoreError::AlreadyStored
        }
        // The head was the expected one, so these events do not go on from what is stored.
        Some((ffi::SQLITE_CONSTRAINT, what)) => {
            StoreError::Corrupt { at: "the end of the log".into(), what: what.to_owned() }
        }
        _ => broken(error),
    }
}
