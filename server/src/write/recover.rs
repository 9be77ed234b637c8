//! Takes in from the bus what the log lost: the tail behind an older backup, which was published before it was lost.
//!
//! Nothing is stored unless all of it follows from what is there, hash by hash, and ends at a head that the command side
//! signed: so nobody who can write to the topics can put anything into the log.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use app::wire::{Envelope, Hash, Position, StreamId, Version, event_hash, log_hash};

use super::store::{EventStore, Head, StoreError};
use crate::bus::{After, Bus, BusError, LogHead};

/// How long the bus may take to bring the next events.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error("the bus does not bring position {0}: it lost it too")]
    Missing(Position),
    #[error("what the bus has at position {position} is not this log's: {what}")]
    Wrong { position: Position, what: &'static str },
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was taken in.
#[derive(Debug)]
pub struct Recovered {
    /// How many events.
    pub events: u64,
    /// Why it ends before the last head, if it does.
    pub short: Option<RecoverError>,
}

/// Takes in everything up to the last of `heads`, which the command side signed; or up to the furthest one that the bus has
/// everything of, if there is one behind what is here. `progress` is told how far it is, of how much, once for looking and
/// once for taking in.
pub async fn recover(
    store: &dyn EventStore,
    bus: &dyn Bus,
    heads: &BTreeMap<Position, LogHead>,
    mut progress: impl FnMut(&str, Position, Position) + Send,
) -> Result<Recovered, RecoverError> {
    let begin = store.head().await?;
    let mut end = heads.last_key_value().map_or(begin.position, |(last, _)| *last);
    let mut short = None;
    // All of it is looked at before any of it is stored.
    for storing in [false, true] {
        let mut tail = Tail { store, head: begin, streams: HashMap::new() };
        let mut good = begin.position;
        let read = async {
            tail.is_signed(heads)?;
            let mut events = bus.events(After { position: begin.position, recorded_at: begin.recorded_at }).await?;
            while tail.head.position < end {
                let missing = RecoverError::Missing(tail.head.position.next());
                let mut brought = tokio::time::timeout(PATIENCE, events.next()).await.map_err(|_| missing)??;
                brought.retain(|event| event.position > tail.head.position && event.position <= end);
                let before = tail.head.position;
                for event in &brought {
                    tail.take(event).await?;
                    if tail.is_signed(heads)? {
                        good = event.position;
                    }
                }
                if storing && !brought.is_empty() {
                    store.append(before, &brought, &tail.head).await?;
                }
                progress(if storing { "taken in" } else { "checked" }, tail.head.position, end);
            }
            Ok(())
        };
        match read.await {
            Ok(()) => {}
            Err(error) if !storing && good > begin.position => (end, short) = (good, Some(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(Recovered { events: end.0.saturating_sub(begin.position.0), short })
}

/// What was looked at behind the end of `store`.
struct Tail<'a> {
    store: &'a dyn EventStore,
    head: Head,
    streams: HashMap<StreamId, (Version, Hash)>,
}

impl Tail<'_> {
    /// Whether there is a head of this position, which has to be of this log.
    fn is_signed(&self, heads: &BTreeMap<Position, LogHead>) -> Result<bool, RecoverError> {
        let Some(signed) = heads.get(&self.head.position) else { return Ok(false) };
        let what = "its running hash is not the one that was signed";
        if signed.hash == self.head.hash {
            Ok(true)
        } else {
            Err(RecoverError::Wrong { position: signed.position, what })
        }
    }

    async fn take(&mut self, event: &Envelope) -> Result<(), RecoverError> {
        let wrong = |what| RecoverError::Wrong { position: event.position, what };
        if event.position != self.head.position.next() {
            return Err(RecoverError::Missing(self.head.position.next()));
        }
        let (version, previous) = match self.streams.get(&event.stream) {
            Some(last) => *last,
            None => self.stored(event).await?,
        };
        if event.version != version.next() {
            return Err(wrong("its version does not follow"));
        }
        if event_hash(event, &previous) != event.hash {
            return Err(wrong("its hash does not follow"));
        }
        if event.recorded_at < self.head.recorded_at {
            return Err(wrong("it was recorded before the event in front of it"));
        }
        self.streams.insert(event.stream, (event.version, event.hash));
        let hash = log_hash(&self.head.hash, &event.hash);
        self.head = Head { position: event.position, hash, recorded_at: event.recorded_at };
        Ok(())
    }

    /// The stream's last event in the store, if `event` is the next one.
    async fn stored(&self, event: &Envelope) -> Result<(Version, Hash), StoreError> {
        let before = Version(event.version.0.saturating_sub(2));
        let there = self.store.read_stream(event.stream, before, 1).await?;
        // While it is being stored, only what was there before counts: the rest is in `streams`.
        Ok(there
            .first()
            .filter(|there| there.version < event.version)
            .map_or((Version(0), app::wire::GENESIS), |there| (there.version, there.hash)))
    }
}
