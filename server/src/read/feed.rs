//! The feed: this node's own copy of the log, and the only consumer of the bus.
//!
//! It takes events in the order of the log and none twice, never skips a position, and takes none whose hash does not
//! follow from its own bytes and the stream's event before. What is missing or damaged is asked for again, from where
//! the feed stands, for as long as it takes; which position it waits for is said in the node's status.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use app::{
    domain::session::SessionEvent,
    wire::{Envelope, Event, GENESIS, Hash, Metadata, Parked, Position, StreamId, decode, event_hash},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    batch::Skips,
    columns::{json_array, position, text, unreadable, version},
    database::ReadDb,
    sql::{DbError, Row, Sql, Tx, insert},
    tail::Tail,
};
use crate::bus::{After, Bus, BusError};

/// Is told of each ended session, in the order of the log, with the time it was recorded (microseconds since 1970).
pub type OnSessionEvent = Arc<dyn Fn(&SessionEvent, i64) + Send + Sync>;

/// Sessions that ended longer ago than this have no token left, microseconds. No session lives longer.
const SESSION_MEMORY: i64 = 13 * 3600 * 1_000_000;
/// How long it waits before it asks again: at first, and at most.
const PATIENCE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// Why the feed does not go on from where it stands.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error("waiting for position {missing}: the bus brought {found} next")]
    Hole { missing: Position, found: Position },
    #[error("waiting for an undamaged position {position}: {what}")]
    Damaged {
        position: Position,
        what: String,
        /// It and what came behind it: not taken.
        rest: Vec<Envelope>,
    },
    #[error("it ended at position {last} and ends at {found}")]
    Moved { last: Position, found: Position },
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("the read database does not answer: {0}")]
    Database(#[from] DbError),
}

/// The feed of a node.
pub struct Feed {
    db: ReadDb,
    position: watch::Sender<Position>,
    waiting: watch::Sender<Option<Waiting>>,
    on_session: OnSessionEvent,
    tail: Arc<Tail>,
    /// Why what is stored is not what was.
    lost: OnceLock<String>,
}

/// What a feed waits for.
#[derive(Debug, Clone)]
struct Waiting {
    what: Parked,
    /// There is an event, and it does not follow from what is here.
    damaged: bool,
}

impl Feed {
    /// Stands where the read database left it. `on_session` is told at once of what ended lately.
    pub async fn open(db: ReadDb, on_session: OnSessionEvent) -> Result<Self, DbError> {
        let mut tx = db.read().await?;
        let position = last_position(&mut tx).await?;
        let since = now().saturating_sub(SESSION_MEMORY);
        for envelope in ended_sessions(&mut tx, since).await? {
            tell(&on_session, &envelope);
        }
        let tail = Arc::new(Tail::new(Skips::load(&mut tx).await?));
        let (position, waiting) = (watch::Sender::new(position), watch::Sender::new(None));
        Ok(Self { db, position, waiting, on_session, tail, lost: OnceLock::new() })
    }

    /// What it has taken in lately.
    pub(super) fn tail(&self) -> Arc<Tail> {
        self.tail.clone()
    }

    /// The position of the last event taken in; it is committed.
    pub fn position(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// What it waits for, where it cannot go on.
    pub fn waiting(&self) -> Option<Parked> {
        self.waiting.borrow().as_ref().map(|waiting| waiting.what.clone())
    }

    /// Whether it waits because what the bus has does not follow from what is here.
    pub(super) fn does_not_follow(&self) -> bool {
        self.waiting.borrow().as_ref().is_some_and(|waiting| waiting.damaged)
    }

    /// Why it has to be opened anew: the database has lost what it had.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// Follows the bus until it is cancelled.
    pub async fn run(&self, bus: &dyn Bus, cancelled: CancellationToken) {
        let mut patience = PATIENCE[0];
        loop {
            let before = *self.position.borrow();
            let error = tokio::select! {
                () = cancelled.cancelled() => return,
                error = self.follow(bus) => error,
            };
            let position = *self.position.borrow();
            tracing::warn!(after = position.0, %error, "the feed does not go on");
            self.wait(position.next(), &error);
            patience = if position > before { PATIENCE[0] } else { PATIENCE[1].min(patience * 2) };
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = tokio::time::sleep(patience) => {}
            }
        }
    }

    fn wait(&self, position: Position, error: &FeedError) {
        let damaged = matches!(error, FeedError::Damaged { .. });
        self.waiting.send_replace(Some(Waiting { what: Parked { position, error: error.to_string() }, damaged }));
    }

    /// Takes in what one subscription brings, until it fails.
    async fn follow(&self, bus: &dyn Bus) -> FeedError {
        let subscribed = async {
            let mut tx = self.db.read().await?;
            // A commit whose answer was lost.
            let known = *self.position.borrow();
            let unheard = read(&mut tx, known, u32::MAX).await?;
            let skips = Skips::changed(&mut tx, &unheard).await?;
            let after = last_taken(&mut tx).await?;
            tx.commit().await?;
            self.stored(unheard, skips);
            Ok::<_, FeedError>(bus.events(after).await?)
        };
        let mut events = match subscribed.await {
            Ok(events) => events,
            Err(error) => return error,
        };
        loop {
            let taken = match events.next().await {
                Ok(envelopes) => self.take(envelopes).await,
                Err(error) => return error.into(),
            };
            match taken {
                Ok(()) => {}
                Err(FeedError::Damaged { position, what, rest }) => {
                    let error = FeedError::Damaged { position, what, rest: Vec::new() };
                    if !events.give_back(rest) {
                        return error;
                    }
                    tracing::warn!(%error, "the feed waits");
                    self.wait(position, &error);
                }
                Err(error) => return error,
            }
        }
    }

    /// Takes in the events that follow on its own, in one transaction. Before a hole or a damaged event it takes what
    /// comes before, then says what is missing.
    pub async fn take(&self, mut envelopes: Vec<Envelope>) -> Result<(), FeedError> {
        let mut last = *self.position.borrow();
        envelopes.retain(|envelope| envelope.position > last);
        if envelopes.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        // A server that crashed may have lost the last commits; nothing goes in behind a gap.
        let found = last_position(&mut tx).await?;
        if found != last {
            let moved = FeedError::Moved { last, found };
            if found < last {
                self.lost.get_or_init(|| moved.to_string());
            }
            return Err(moved);
        }
        let mut chains = last_hashes(&mut tx, &envelopes).await?;
        let mut taken: Vec<(Envelope, Metadata)> = Vec::with_capacity(envelopes.len());
        let mut problem = None;
        let mut arrived = envelopes.into_iter();
        while let Some(envelope) = arrived.next() {
            match check(&envelope, last, &mut chains) {
                Ok(Some(metadata)) => {
                    last = envelope.position;
                    taken.push((envelope, metadata));
                }
                Ok(None) => {}
                Err(mut error) => {
                    if let FeedError::Damaged { rest, .. } = &mut error {
                        rest.push(envelope);
                        rest.extend(arrived);
                    }
                    problem = Some(error);
                    break;
                }
            }
        }
        if !taken.is_empty() {
            store(&mut tx, &taken).await?;
            let taken: Vec<_> = taken.into_iter().map(|(envelope, _)| envelope).collect();
            let skips = Skips::changed(&mut tx, &taken).await?;
            tx.commit().await?;
            self.stored(taken, skips);
        }
        if let Some(error) = problem {
            return Err(error);
        }
        self.waiting.send_if_modified(|waiting| waiting.take().is_some());
        Ok(())
    }

    /// Has everyone know what was committed; `skips`: if that has changed them.
    fn stored(&self, events: Vec<Envelope>, skips: Option<Skips>) {
        let Some(last) = events.last().map(|event| event.position) else { return };
        for event in &events {
            tell(&self.on_session, event);
        }
        self.tail.add(events, skips);
        // Last: whoever hears of it finds the rest done.
        self.position.send_replace(last);
    }
}

/// `Ok(None)`: a duplicate. Moves the stream's chain on.
fn check(
    envelope: &Envelope,
    last: Position,
    chains: &mut HashMap<StreamId, Hash>,
) -> Result<Option<Metadata>, FeedError> {
    if envelope.position <= last {
        return Ok(None);
    }
    if envelope.position != last.next() {
        return Err(FeedError::Hole { missing: last.next(), found: envelope.position });
    }
    let damaged = |what: String| FeedError::Damaged { position: envelope.position, what, rest: Vec::new() };
    let previous = match chains.get(&envelope.stream) {
        None if envelope.version.0 == 1 => &GENESIS,
        None => return Err(damaged(format!("nothing of {} before version {}", envelope.stream, envelope.version))),
        Some(hash) => hash,
    };
    if event_hash(envelope, previous) != envelope.hash {
        return Err(damaged("its hash does not follow from its bytes and the event before".to_owned()));
    }
    let metadata = serde_json::from_slice(&envelope.metadata)
        .map_err(|error| damaged(format!("its metadata does not read: {error}")))?;
    chains.insert(envelope.stream, envelope.hash);
    Ok(Some(metadata))
}

/// The hash of the event before the first new one, for each stream that has one.
async fn last_hashes(tx: &mut Tx, envelopes: &[Envelope]) -> Result<HashMap<StreamId, Hash>, DbError> {
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

async fn store(tx: &mut Tx, taken: &[(Envelope, Metadata)]) -> Result<(), DbError> {
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

fn tell(on_session: &OnSessionEvent, envelope: &Envelope) {
    if !envelope.event_type.starts_with("session.") {
        return;
    }
    match decode(&envelope.event_type, envelope.schema, &envelope.payload) {
        Ok(Event::Session(event)) => on_session(&event, envelope.recorded_at),
        Ok(Event::Account(_) | Event::Transfer(_) | Event::Projection(_)) => {}
        // The feed keeps what it cannot read; that a session ended is then not known here until its token runs out.
        Err(error) => tracing::error!(position = envelope.position.0, %error, "a session event does not read"),
    }
}

async fn ended_sessions(tx: &mut Tx, since: i64) -> Result<Vec<Envelope>, DbError> {
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
async fn last_taken(tx: &mut Tx) -> Result<After, DbError> {
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

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
