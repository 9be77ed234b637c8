//! The log in PostgreSQL, for one writer or several.
//!
//! W1: an append returns after its commit, which is checked at start to wait for the disk. W3: whoever appends moves the
//! one row of `log_head` in the same statement, which orders all writers: positions are gapless and become visible in
//! order. Triggers refuse every change to an event, to the owner too; the role that a node runs as has no such privilege.

mod appender;
mod schema;

use std::{str::FromStr as _, sync::Arc, time::Duration};

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Hash, Position, StreamId, Version},
};
use async_trait::async_trait;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use uuid::Uuid;

use self::appender::Appender;
use super::{EventStore, Head, Lease, StoreError, Under, find_commands, kind_number, kind_of, one_moment};
use crate::write::in_time::InTime as _;

pub use schema::OpenError;

/// Connections that read, and the one that listens.
const READERS: u32 = 9;
/// How long to wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How often the head is looked at where nothing is heard.
const LOOK_EVERY: Duration = Duration::from_secs(1);

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "SELECT position, event_id, stream_kind, stream_id, version, event_type, schema, payload, metadata, \
             recorded_at, hash FROM events ",
            $rest
        )
    };
}

/// The log in one database of a server.
pub struct PostgresStore {
    appender: Appender,
    pool: PgPool,
    holder: String,
    heard: watch::Receiver<Position>,
    /// Ends with the store.
    _listening: JoinSet<()>,
}

/// How a node connects. `url`: `postgres://user:password@host:port/database?sslmode=verify-full`.
pub fn connect_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(broken)?.disable_statement_logging();
    Ok(options.application_name("daybook").options([
        ("default_transaction_isolation", "read committed"),
        // A writer that stands still while it holds the log is put out; others wait for it a little longer than that.
        ("idle_in_transaction_session_timeout", "5s"),
        ("lock_timeout", "10s"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
    ]))
}

impl PostgresStore {
    /// Opens a log whose tables are those of this program: [`Self::migrate`] makes them. Says loudly if commits there are not durable.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let options = connect_options(url)?;
        let pool = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE)
            .acquire_slow_threshold(Duration::from_secs(15))
            // One that was in use just now is not asked first.
            .test_before_acquire(false)
            .before_acquire(|connection, used| {
                Box::pin(async move { if used.idle_for < LOOK_EVERY { Ok(true) } else { answers(connection).await } })
            })
            // The pool's own look has no limit: what a dead server has of it would never come back.
            .after_release(|connection, _| Box::pin(answers(connection)))
            .connect_with(options.clone())
            .await
            .map_err(broken)?;
        schema::check(&pool).await?;
        schema::check_durability(&pool).await?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
        let key = i64::from_be_bytes(random) & i64::MAX;
        let (heard, hears) = watch::channel(Position(0));
        let mut listening = JoinSet::new();
        listening.spawn(listen(pool.clone(), heard));
        Ok(Self {
            appender: Appender::new(options, key),
            pool,
            holder: format!("{key:016x}"),
            heard: hears,
            _listening: listening,
        })
    }

    /// The log at `url` as it is at this moment, whatever is appended meanwhile: only to be read, its pool too.
    pub async fn snapshot(url: &str) -> Result<Self, OpenError> {
        // It stays in its transaction for as long as it takes.
        let options = connect_options(url)?.options([("idle_in_transaction_session_timeout", "0")]);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let pool = one_moment(PgPoolOptions::new(), begin).connect_with(options.clone()).await.map_err(broken)?;
        schema::check(&pool).await?;
        let appender = Appender::new(options, 0);
        Ok(Self {
            appender,
            pool,
            holder: String::new(),
            heard: watch::channel(Position(0)).1,
            _listening: JoinSet::new(),
        })
    }

    /// Makes the tables, or brings them up to date, as the owner of the database. One at a time, whoever else tries.
    /// `role`: whom a node runs as; it is given what that needs, and no more.
    pub async fn migrate(admin_url: &str, role: Option<&str>) -> Result<(), OpenError> {
        schema::migrate(admin_url, role).await
    }

    /// The pool that everything but appends goes through.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Closes all connections.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.pool.close().await;
        self.appender.close().await
    }

    async fn find_events(&self, ids: &[EventId]) -> Result<Vec<Envelope>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query(select_events!("WHERE event_id = ANY($1) ORDER BY position"))
            .bind(ids)
            .fetch_all(&self.pool)
            .in_time()
            .await
            .map_err(broken)?;
        rows.iter().map(envelope).collect()
    }

    async fn save(&self, lease: Option<&Lease>, name: &str, position: Position) -> Result<(), StoreError> {
        let saved = sqlx::query(
            "WITH held AS MATERIALIZED (SELECT 1 FROM leases WHERE name = $3 AND fence = $4 FOR SHARE)
             INSERT INTO checkpoints (name, position) SELECT $1, $2 WHERE $3 IS NULL OR EXISTS (SELECT 1 FROM held)
             ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        )
        .bind(name)
        .bind(position.as_i64())
        .bind(lease.map(|lease| lease.name.as_str()))
        .bind(lease.map(|lease| lease.fence))
        .execute(&self.pool)
        .in_time()
        .await
        .map_err(broken)?;
        if saved.rows_affected() == 1 { Ok(()) } else { Err(StoreError::FencedOff) }
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn head(&self) -> Result<Head, StoreError> {
        self.appender.settle().await?;
        let row = sqlx::query("SELECT position, hash, recorded_at FROM log_head").fetch_one(&self.pool);
        head(&row.in_time().await.map_err(broken)?)
    }

    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError> {
        self.appender.append(None, expected, events, new_head).await
    }

    async fn append_under(
        &self,
        under: Under<'_>,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        self.appender.append(Some(under), expected, events, new_head).await
    }

    async fn hold(&self) -> Result<Head, StoreError> {
        self.appender.hold().await
    }

    async fn release(&self) -> Result<(), StoreError> {
        self.appender.release().await;
        Ok(())
    }

    fn heard(&self) -> Option<watch::Receiver<Position>> {
        Some(self.heard.clone())
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        let rows = sqlx::query(select_events!("WHERE position > $1 ORDER BY position LIMIT $2"))
            .bind(after.as_i64())
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .in_time()
            .await
            .map_err(broken)?;
        rows.iter().map(envelope).collect()
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        let rows = sqlx::query(select_events!(
            "WHERE stream_id = $1 AND stream_kind = $2 AND version > $3 ORDER BY version LIMIT $4"
        ))
        .bind(stream.id)
        .bind(kind_number(stream.kind))
        .bind(after.as_i64())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .in_time()
        .await
        .map_err(broken)?;
        rows.iter().map(envelope).collect()
    }

    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError> {
        self.appender.settle().await?;
        find_commands(commands, |ids| async move { self.find_events(&ids).await }).await
    }

    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError> {
        Ok(self.find_events(&[event]).await?.pop())
    }

    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError> {
        let position = sqlx::query_scalar("SELECT position FROM checkpoints WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .in_time()
            .await
            .map_err(broken)?;
        Ok(position.map_or(Position(0), Position::from_i64))
    }

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError> {
        self.save(None, name, position).await
    }

    async fn save_checkpoint_under(&self, lease: &Lease, name: &str, position: Position) -> Result<(), StoreError> {
        self.save(Some(lease), name, position).await
    }

    fn holder(&self) -> String {
        self.holder.clone()
    }

    async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let fences: Vec<i64> = sqlx::query_scalar(
            "INSERT INTO leases (name, holder, fence, expires_at)
             VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
             ON CONFLICT (name) DO UPDATE
             SET holder = excluded.holder, fence = leases.fence + 1, expires_at = excluded.expires_at
             WHERE leases.expires_at <= clock_timestamp() OR leases.holder = excluded.holder
             RETURNING fence",
        )
        .bind(name)
        .bind(holder)
        .bind(ttl.as_secs_f64())
        // All rows: see the appender.
        .fetch_all(&self.pool)
        .in_time()
        .await
        .map_err(broken)?;
        Ok(fences.first().map(|fence| Lease { name: name.to_owned(), fence: *fence }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let sql = "UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => $3)
            WHERE name = $1 AND fence = $2";
        let renewed = sqlx::query(sql).bind(&lease.name).bind(lease.fence).bind(ttl.as_secs_f64());
        match renewed.execute(&self.pool).in_time().await.map_err(broken)?.rows_affected() {
            0 => Err(StoreError::FencedOff),
            _ => Ok(()),
        }
    }
}

/// Whether there is someone at the other end, who may not take for ever to say so.
async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    timeout(ACQUIRE, connection.ping()).await.map_err(|late| sqlx::Error::Io(late.into()))?.map(|()| true)
}

/// Keeps `heard` where the log ends: told by each append, and looking by itself when nothing was said for a while. What is
/// seen counts more than what was said: a server may have failed over to a copy whose log is shorter.
async fn listen(pool: PgPool, heard: watch::Sender<Position>) {
    let hear = |position| heard.send_if_modified(|known| std::mem::replace(known, position) != position);
    let follow = async || -> Result<(), StoreError> {
        let mut listener = PgListener::connect_with(&pool).in_time().await.map_err(broken)?;
        listener.listen("daybook_log").in_time().await.map_err(broken)?;
        loop {
            let seen =
                sqlx::query_scalar("SELECT position FROM log_head").fetch_one(&pool).in_time().await.map_err(broken)?;
            hear(Position::from_i64(seen));
            while let Ok(said) = timeout(LOOK_EVERY, listener.recv()).await {
                let said = Position(said.map_err(broken)?.payload().parse().unwrap_or_default());
                let furthest = said.max(*heard.borrow());
                hear(furthest);
            }
        }
    };
    while !pool.is_closed() {
        if let Err(error) = follow().await {
            tracing::debug!(%error, "the log is not listened to");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn head(row: &PgRow) -> Result<Head, StoreError> {
    let read = || Some((row.try_get(0).ok()?, hash(row, 1)?, row.try_get(2).ok()?));
    let (position, hash, recorded_at) =
        read().ok_or_else(|| StoreError::Corrupt { at: "log_head".into(), what: "does not read".into() })?;
    Ok(Head { position: Position::from_i64(position), hash, recorded_at })
}

fn envelope(row: &PgRow) -> Result<Envelope, StoreError> {
    let position: i64 = row.try_get(0).map_err(broken)?;
    let field =
        |what: &str| StoreError::Corrupt { at: format!("position {position}"), what: format!("{what} does not read") };
    let kind: i16 = row.try_get(2).map_err(|_| field("stream_kind"))?;
    let schema: i32 = row.try_get(6).map_err(|_| field("schema"))?;
    Ok(Envelope {
        position: Position::from_i64(position),
        event_id: EventId(row.try_get(1).map_err(|_| field("event_id"))?),
        stream: StreamId {
            kind: kind_of(kind).ok_or_else(|| field("stream_kind"))?,
            id: row.try_get(3).map_err(|_| field("stream_id"))?,
        },
        version: Version::from_i64(row.try_get(4).map_err(|_| field("version"))?),
        event_type: row.try_get(5).map_err(|_| field("event_type"))?,
        schema: schema.cast_unsigned(),
        payload: row.try_get(7).map_err(|_| field("payload"))?,
        metadata: row.try_get(8).map_err(|_| field("metadata"))?,
        recorded_at: row.try_get(9).map_err(|_| field("recorded_at"))?,
        hash: hash(row, 10).ok_or_else(|| field("hash"))?,
    })
}

fn hash(row: &PgRow, column: usize) -> Option<Hash> {
    row.try_get::<&[u8], _>(column).ok()?.try_into().ok().map(Hash)
}

/// A failure before any commit: nothing was stored. Damaged data (class XX) does not pass, everything else may.
fn broken(error: sqlx::Error) -> StoreError {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if code == "XX001" || code == "XX002" => {
            StoreError::Corrupt { at: "the database".into(), what: error.to_string() }
        }
        _ => StoreError::Unavailable(Arc::new(error)),
    }
}
