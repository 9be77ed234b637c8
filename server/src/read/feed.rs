//! The feed: this node's own copy of the log, and the only consumer of the bus.
//!
//! It takes events in the order of the log and none twice, never skips a position, and takes none whose hash does not
//! follow from its own bytes and the stream's event before. What is missing or damaged is asked for again, from where
//! the feed stands, for as long as it takes; which position it waits for is said in the node's status.

mod rows;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use app::{
    domain::session::SessionEvent,
    wire::{Envelope, Event, GENESIS, Hash, Metadata, Parked, Position, StreamId, decode, event_hash},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use rows::{ended_sessions, last_hashes, last_taken, store};
pub use rows::{envelope, hashes, last_position, read, read_stream_before};

use super::{batch::Skips, database::ReadDb, sql::DbError, tail::Tail};
use crate::bus::{Bus, BusError};

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
#[derive(Debug)]
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

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
