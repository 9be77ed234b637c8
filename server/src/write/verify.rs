//! Walks the whole log as it is stored and finds the first thing that does not hold (W2, W3, W5).
//!
//! From the log alone: positions and versions without gaps, each stream's hash chain, the running hash against
//! `log_head`. That finds a change that did not recompute the chain. Against an [`Anchor`] it also finds a history
//! that was rewritten and recomputed, a removed stream and a removed tail.
//!
//! Memory: one hash and one version a stream.

use std::{collections::HashMap, fmt};

use app::wire::{Envelope, GENESIS, Hash, Position, StreamId, Version, decode, event_hash, log_hash};

use super::{
    anchor::Anchor,
    store::{EventStore, Head, StoreError},
};

const CHUNK: u32 = 1000;

/// Everything holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub events: u64,
    pub streams: u64,
    /// Where the log ended when the walk began.
    pub head: Head,
    /// How many anchors were found to hold.
    pub anchors: usize,
    /// Events whose hashes hold but whose payload this program cannot read.
    pub unreadable: u64,
    pub first_unreadable: Option<Finding>,
}

/// The first thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the walk stood; 0 if it is about the log as a whole.
    pub position: Position,
    pub event: Option<(StreamId, Version)>,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.position != Position(0) {
            write!(f, "position {}", self.position)?;
        }
        if let Some((stream, version)) = self.event {
            write!(f, ", stream {stream}, version {version}")?;
        }
        if self.position != Position(0) {
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{0}")]
    Bad(Box<Finding>),
    #[error(transparent)]
    Store(StoreError),
}

/// Checks everything up to where the log ends now; events that are appended meanwhile are left for the next time.
///
/// `anchors`: their signatures are the caller's to check. `progress` is told how far it is, of how much.
pub async fn verify(
    store: &dyn EventStore,
    anchors: &[Anchor],
    mut progress: impl FnMut(Position, Position) + Send,
) -> Result<Verified, VerifyError> {
    let head = store.head().await.map_err(unreadable(Position(0)))?;
    let mut walk = Walk::new(anchors);
    while walk.position < head.position {
        let left = u32::try_from(head.position.0 - walk.position.0).unwrap_or(CHUNK);
        let events = match store.read_log(walk.position, left.min(CHUNK)).await {
            Ok(events) => events,
            // One of them does not read: one by one it is clear which.
            Err(StoreError::Corrupt { .. }) => {
                store.read_log(walk.position, 1).await.map_err(unreadable(walk.position.next()))?
            }
            Err(error) => return Err(VerifyError::Store(error)),
        };
        if events.is_empty() {
            let what = format!("the log ends here, but log_head says {}: the rest was removed", head.position);
            return Err(bad(walk.position, None, what));
        }
        for event in &events {
            walk.step(event)?;
        }
        progress(walk.position, head.position);
    }
    if walk.hash != head.hash {
        let what = "the running hash over all events is not the one in log_head: events were changed and recomputed";
        return Err(bad(Position(0), None, what.to_owned()));
    }
    let beyond = store.read_log(head.position, 1).await.map_err(unreadable(head.position.next()))?;
    if !beyond.is_empty() && store.head().await.map_err(unreadable(Position(0)))?.position == head.position {
        let what = format!("there are events after position {}, where log_head says the log ends", head.position);
        return Err(bad(Position(0), None, what));
    }
    if let Some(anchor) = walk.anchors.first() {
        let what = format!(
            "the log ends at position {}, but an anchor was taken at {}: events were removed",
            head.position, anchor.position
        );
        return Err(bad(Position(0), None, what));
    }
    Ok(Verified {
        events: walk.position.0,
        streams: walk.streams.len() as u64,
        head,
        anchors: anchors.len(),
        unreadable: walk.unreadable,
        first_unreadable: walk.first_unreadable,
    })
}

struct Walk {
    position: Position,
    hash: Hash,
    recorded_at: i64,
    streams: HashMap<StreamId, (Version, Hash)>,
    /// Still to come, by position.
    anchors: Vec<Anchor>,
    unreadable: u64,
    first_unreadable: Option<Finding>,
}

impl Walk {
    fn new(anchors: &[Anchor]) -> Self {
        let mut anchors = anchors.to_vec();
        anchors.sort_by_key(|anchor| anchor.position);
        // Nothing can be wrong before the first event.
        anchors.retain(|anchor| anchor.position != Position(0));
        Self {
            position: Position(0),
            hash: GENESIS,
            recorded_at: i64::MIN,
            streams: HashMap::new(),
            anchors,
            unreadable: 0,
            first_unreadable: None,
        }
    }

    fn step(&mut self, event: &Envelope) -> Result<(), VerifyError> {
        let here = Some((event.stream, event.version));
        let wrong = |what: String| Err(bad(event.position, here, what));
        if event.position != self.position.next() {
            return wrong(format!("position {} is missing before it", self.position.next()));
        }
        let (version, previous) = self.streams.get(&event.stream).copied().unwrap_or((Version(0), GENESIS));
        if event.version != version.next() {
            return wrong(format!("version {} of its stream should be here", version.next()));
        }
        if event_hash(event, &previous) != event.hash {
            return wrong("its hash does not follow from what is stored: this event was changed".to_owned());
        }
        if event.recorded_at < self.recorded_at {
            return wrong("it was recorded before the event in front of it".to_owned());
        }
        if let Err(error) = decode(&event.event_type, event.schema, &event.payload) {
            self.unreadable += 1;
            self.first_unreadable.get_or_insert_with(|| Finding {
                position: event.position,
                event: here,
                what: error.to_string(),
            });
        }
        self.streams.insert(event.stream, (event.version, event.hash));
        self.position = event.position;
        self.recorded_at = event.recorded_at;
        self.hash = log_hash(&self.hash, &event.hash);

        let reached = self.anchors.iter().take_while(|anchor| anchor.position == self.position).count();
        if self.anchors.drain(..reached).any(|anchor| anchor.hash != self.hash) {
            let what = "the running hash is not the anchor's: history up to here was rewritten and recomputed";
            return wrong(what.to_owned());
        }
        Ok(())
    }
}

fn bad(position: Position, event: Option<(StreamId, Version)>, what: String) -> VerifyError {
    VerifyError::Bad(Box::new(Finding { position, event, what }))
}

/// What does not even read is what was looked for; a store that is away is not.
fn unreadable(position: Position) -> impl Fn(StoreError) -> VerifyError {
    move |error| match error {
        StoreError::Corrupt { at, what } => bad(position, None, format!("{at}: {what}")),
        other => VerifyError::Store(other),
    }
}
