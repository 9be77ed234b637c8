//! The one connection that appends.
//!
//! Usually a batch is one statement of its own: one round trip, one commit. While the log is held it is the statement of
//! a transaction that has taken the one row of `log_head` before.
//!
//! When the answer to a commit is lost, the statement may still be under way. So before anyone looks for its events the
//! server process that had it is ended: a connection that appends holds an advisory lock of this store's own, and the
//! next one begins by getting it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use app::wire::{Envelope, Position};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
};
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;

use super::{Head, StoreError, Under, broken, head, kind_number};
use crate::write::in_time::{InTime as _, PATIENCE};

/// Both triggers and all conditions are looked at within this one statement. `held` comes first: whoever wants to take
/// over the lease waits until this is committed.
const APPEND: &str = "
    WITH held AS MATERIALIZED (
        SELECT count(*) = 1 AND (
            SELECT coalesce(bool_and(EXISTS (SELECT FROM events WHERE event_id = cause.id)), TRUE)
            FROM UNNEST($18::uuid[]) AS cause (id)
        ) AS may FROM (
            SELECT 1 FROM leases WHERE name = $15 AND fence = $16 FOR SHARE
        ) AS mine
    ), taken AS (
        UPDATE log_head SET position = $2, hash = $3, recorded_at = $4
        WHERE position = $1 AND ($15 IS NULL OR (SELECT may FROM held))
        RETURNING 1
    ), added AS (
        INSERT INTO events (position, event_id, stream_kind, stream_id, version, event_type, schema, payload, metadata,
            recorded_at, hash)
        SELECT event.* FROM taken CROSS JOIN UNNEST($5::bigint[], $6::uuid[], $7::smallint[], $8::uuid[], $9::bigint[],
            $10::text[], $11::integer[], $12::bytea[], $13::bytea[], $14::bigint[], $17::bytea[]) AS event
    )
    SELECT (SELECT count(*) FROM taken) = 1, $15 IS NULL OR (SELECT may FROM held)";

/// One connection, or none after a failure.
enum Line {
    Closed,
    Open(PgConnection),
    /// In a transaction that holds `log_head`.
    Holding(PgConnection),
}

pub(super) struct Appender {
    options: PgConnectOptions,
    /// Key of the advisory lock.
    key: i64,
    line: Mutex<Line>,
    /// A statement may be under way whose answer was lost.
    unsettled: AtomicBool,
}

impl Appender {
    pub(super) fn new(options: PgConnectOptions, key: i64) -> Self {
        // Where there is no lease a plan without its conditions looks cheaper than one for all: PostgreSQL would make it anew
        // for each batch, which takes longer than the batch.
        let options = options.options([("plan_cache_mode", "force_generic_plan")]);
        Self { options, key, line: Mutex::new(Line::Closed), unsettled: AtomicBool::new(false) }
    }

    pub(super) async fn append(
        &self,
        under: Option<Under<'_>>,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        let mut line = self.line.lock().await;
        let (mut connection, holding) = match std::mem::replace(&mut *line, Line::Closed) {
            Line::Open(connection) => (connection, false),
            Line::Holding(connection) => (connection, true),
            Line::Closed => (self.connect().await?, false),
        };
        let work = async {
            insert(&mut connection, under, expected, events, new_head).await?;
            if holding {
                sqlx::raw_sql("COMMIT").execute(&mut connection).await.map_err(refused)?;
            }
            Ok(())
        };
        let result =
            timeout(PATIENCE, work).await.unwrap_or_else(|late| Err(StoreError::OutcomeUnknown(Arc::new(late))));
        match &result {
            Ok(()) => *line = Line::Open(connection),
            Err(StoreError::OutcomeUnknown(_)) => self.unsettled.store(true, Ordering::SeqCst),
            Err(_) if holding => *line = rolled_back(connection).await,
            Err(_) => *line = Line::Open(connection),
        }
        result
    }

    /// Waits for whoever appends or holds, and keeps all others out.
    pub(super) async fn hold(&self) -> Result<Head, StoreError> {
        let mut line = self.line.lock().await;
        let mut connection = match std::mem::replace(&mut *line, Line::Closed) {
            Line::Open(connection) => connection,
            // Whoever held it is gone; its transaction ends with its connection.
            Line::Holding(_) | Line::Closed => self.connect().await?,
        };
        let work = async {
            sqlx::raw_sql("BEGIN").execute(&mut connection).await.map_err(broken)?;
            let sql = "SELECT position, hash, recorded_at FROM log_head FOR UPDATE";
            head(&sqlx::query(sql).fetch_one(&mut connection).await.map_err(broken)?)
        };
        let head = timeout(PATIENCE, work).await.unwrap_or_else(|late| Err(StoreError::Unavailable(Arc::new(late))))?;
        *line = Line::Holding(connection);
        Ok(head)
    }

    pub(super) async fn release(&self) {
        let mut line = self.line.lock().await;
        *line = match std::mem::replace(&mut *line, Line::Closed) {
            Line::Holding(connection) => rolled_back(connection).await,
            other => other,
        };
    }

    /// Returns once no statement of this store's can be under way any more without its answer being awaited.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        if self.unsettled.load(Ordering::SeqCst) {
            let mut line = self.line.lock().await;
            if matches!(*line, Line::Closed) {
                *line = Line::Open(self.connect().await?);
            }
        }
        Ok(())
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        match std::mem::replace(&mut *self.line.lock().await, Line::Closed) {
            Line::Open(connection) | Line::Holding(connection) => connection.close().await.map_err(broken),
            Line::Closed => Ok(()),
        }
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        let work = async {
            let mut connection = self.options.connect().await?;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_locks
                WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = $1 AND objsubid = 1
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            sqlx::query(end).bind(self.key).execute(&mut connection).await?;
            sqlx::query("SELECT pg_advisory_lock($1)").bind(self.key).execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        let connection = work.in_time().await.map_err(broken)?;
        self.unsettled.store(false, Ordering::SeqCst);
        Ok(connection)
    }
}

async fn insert(
    connection: &mut PgConnection,
    under: Option<Under<'_>>,
    expected: Position,
    events: &[Envelope],
    new_head: &Head,
) -> Result<(), StoreError> {
    fn each<'a, T>(events: &'a [Envelope], column: impl Fn(&'a Envelope) -> T) -> Vec<T> {
        events.iter().map(column).collect()
    }
    // All rows, though it is one: the first is there before the commit, the end of them only after it.
    let rows: Vec<(bool, bool)> = sqlx::query_as(APPEND)
        .bind(expected.as_i64())
        .bind(new_head.position.as_i64())
        .bind(&new_head.hash.0[..])
        .bind(new_head.recorded_at)
        .bind(each(events, |event| event.position.as_i64()))
        .bind(each(events, |event| event.event_id.0))
        .bind(each(events, |event| kind_number(event.stream.kind)))
        .bind(each::<Uuid>(events, |event| event.stream.id))
        .bind(each(events, |event| event.version.as_i64()))
        .bind(each(events, |event| event.event_type.as_str()))
        .bind(each(events, |event| event.schema.cast_signed()))
        .bind(each(events, |event| &event.payload[..]))
        .bind(each(events, |event| &event.metadata[..]))
        .bind(each(events, |event| event.recorded_at))
        .bind(under.map(|under| under.lease.name.as_str()))
        .bind(under.map(|under| under.lease.fence))
        .bind(each(events, |event| &event.hash.0[..]))
        .bind(under.map(|under| under.causes.iter().map(|cause| cause.0).collect::<Vec<_>>()))
        .fetch_all(connection)
        .await
        .map_err(refused)?;
    match rows.first() {
        Some((_, false)) => Err(StoreError::FencedOff),
        Some((true, true)) => Ok(()),
        Some((false, true)) | None => Err(StoreError::HeadMoved),
    }
}

/// The connection, in no transaction.
async fn rolled_back(mut connection: PgConnection) -> Line {
    match sqlx::raw_sql("ROLLBACK").execute(&mut connection).in_time().await {
        Ok(_) => Line::Open(connection),
        // Closing it does the same.
        Err(error) => {
            tracing::debug!(%error, "a connection is closed instead of rolled back");
            Line::Closed
        }
    }
}

/// A failure of the statement that appends, or of its commit: an answer from the server that is an ERROR says that
/// nothing was stored; a server that ends the connection, or a connection that ends, says nothing.
fn refused(error: sqlx::Error) -> StoreError {
    let Some(refusal) = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) else {
        return StoreError::OutcomeUnknown(Arc::new(error));
    };
    match (refusal.severity(), refusal.code(), refusal.constraint()) {
        (PgSeverity::Fatal | PgSeverity::Panic, ..) => StoreError::OutcomeUnknown(Arc::new(error)),
        (_, "23505", Some("events_event_id")) => StoreError::AlreadyStored,
        // Only where the server insists on another isolation: another writer was first.
        (_, "40001" | "40P01", _) => StoreError::HeadMoved,
        // The head was the expected one, so these events do not go on from what is stored.
        (_, code, _) if code.starts_with("23") => {
            StoreError::Corrupt { at: "the end of the log".into(), what: refusal.message().to_owned() }
        }
        _ => StoreError::Unavailable(Arc::new(error)),
    }
}
