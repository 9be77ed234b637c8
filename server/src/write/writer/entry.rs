//! What the writer keeps of each stream: its state, its end, and how much memory that takes.
//!
//! Only ever a shortcut for replay: anything in here can be dropped and read again.

use app::{
    domain::{
        Rejection,
        account::{self, Account},
        transfer::{self, Transfer},
    },
    wire::{
        DecodeError, Envelope, Event, GENESIS, Hash, Position, StreamId, StreamKind, Upcaster, Version, decode_with,
    },
};
use lru::LruCache;

use super::{Intent, SubmitError};
use crate::write::store::{EventStore, StoreError};

const CHUNK: u32 = 1000;
/// A stream is remembered again as it is committed when it has so many events more.
const MUCH: u64 = 256;

/// The state that rules look at.
#[derive(Debug, Clone)]
pub(super) enum State {
    Account(Account),
    Transfer(Transfer),
    /// No rules, no state.
    Facts,
}

/// One stream, as far as it is decided (which may be further than it is committed).
#[derive(Debug, Clone)]
pub(super) struct Entry {
    state: State,
    pub(super) version: Version,
    /// Hash of the last event.
    pub(super) hash: Hash,
    /// Position of the last event.
    pub(super) position: Position,
    /// Up to here, events may be those of other writers.
    pub(super) theirs: Position,
    /// As it was committed some time ago; `None`: the stream's beginning has to do.
    committed: Option<Box<Entry>>,
    /// The same once that is committed.
    decided: Option<Box<Entry>>,
}

impl Entry {
    pub(super) fn empty(kind: StreamKind) -> Self {
        let state = match kind {
            StreamKind::Account => State::Account(Account::default()),
            StreamKind::Transfer => State::Transfer(Transfer::default()),
            StreamKind::Session | StreamKind::User | StreamKind::Projection => State::Facts,
        };
        let (version, position) = (Version(0), Position(0));
        Self { state, version, hash: GENESIS, position, theirs: position, committed: None, decided: None }
    }

    /// Remembers this state, unless there is one from not long ago: what is decided next may be void, and a long stream takes
    /// long to read.
    pub(super) fn remember(&mut self, committed: Position) {
        if let Some(decided) = self.decided.take_if(|decided| decided.position <= committed) {
            self.committed = Some(decided);
        }
        let last = self.decided.as_ref().or(self.committed.as_ref()).map_or(0, |last| last.version.0);
        if self.version.0 - last >= MUCH {
            // What is remembered of it is not a part of it.
            let before = self.committed.take();
            self.decided = None;
            self.decided = Some(Box::new(self.clone()));
            self.committed = before;
        }
    }

    /// The last state that was remembered and is committed.
    fn remembered(self, committed: Position) -> Option<Self> {
        let decided = self.decided.filter(|decided| decided.position <= committed);
        decided.or(self.committed).map(|entry| *entry)
    }

    /// Replays what follows in the stream from the store.
    pub(super) async fn read_on(
        &mut self,
        store: &dyn EventStore,
        stream: StreamId,
        upcasters: &[Upcaster],
    ) -> Result<(), StoreError> {
        loop {
            let events = store.read_stream(stream, self.version, CHUNK).await?;
            for event in &events {
                if event.version != self.version.next() {
                    let what = format!("version {} is missing before version {}", self.version.next(), event.version);
                    return Err(StoreError::Corrupt { at: stream.to_string(), what });
                }
                self.take_in(event, upcasters)?;
            }
            if events.len() < CHUNK as usize {
                self.theirs = self.position;
                return Ok(());
            }
        }
    }

    /// Takes in a stored event, the next of its stream.
    pub(super) fn take_in(&mut self, event: &Envelope, upcasters: &[Upcaster]) -> Result<(), StoreError> {
        let decoded = decode_with(upcasters, &event.event_type, event.schema, &event.payload)
            .map_err(|error| unreadable(event, &error))?;
        self.apply(&decoded).map_err(|what| StoreError::Corrupt { at: place(event), what })?;
        self.follow(event);
        Ok(())
    }

    /// The events that `intent` leads to now; none if it was done before.
    pub(super) fn decide(&self, intent: Intent) -> Result<Vec<Event>, SubmitError> {
        let refused = |rejection: Rejection| SubmitError::Rejected(rejection);
        match (&self.state, intent) {
            (State::Account(state), Intent::Account(command)) => {
                let events = account::decide(state, command).map_err(refused)?;
                Ok(events.into_iter().map(Event::Account).collect())
            }
            (State::Transfer(state), Intent::Transfer(command)) => {
                let events = transfer::decide(state, command).map_err(refused)?;
                Ok(events.into_iter().map(Event::Transfer).collect())
            }
            (State::Facts, Intent::Record(event @ (Event::Session(_) | Event::Projection(_)))) => Ok(vec![event]),
            (State::Account(_) | State::Transfer(_) | State::Facts, intent) => {
                Err(SubmitError::Internal(format!("this kind of stream does not take {intent:?}")))
            }
        }
    }

    /// Takes the event into the state. Moves the state, since it can be large.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), String> {
        match (&mut self.state, event) {
            (State::Account(state), Event::Account(event)) => *state = account::evolve(std::mem::take(state), event),
            (State::Transfer(state), Event::Transfer(event)) => *state = transfer::evolve(std::mem::take(state), event),
            (State::Facts, Event::Session(_) | Event::Projection(_)) => {}
            (State::Account(_) | State::Transfer(_) | State::Facts, event) => {
                return Err(format!("an event of another kind of stream: {event:?}"));
            }
        }
        Ok(())
    }

    /// Moves the end of the stream to `event`.
    pub(super) fn follow(&mut self, event: &Envelope) {
        (self.version, self.hash, self.position) = (event.version, event.hash, event.position);
    }

    fn weight(&self) -> usize {
        1 + match &self.state {
            State::Account(state) => state.outgoing.len() + state.incoming.len() + state.reversed.len(),
            State::Transfer(_) | State::Facts => 0,
        } + [&self.committed, &self.decided].into_iter().flatten().map(|kept| kept.weight()).sum::<usize>()
    }
}

/// Streams in memory, the longest unused first to go.
pub(super) struct Cache {
    entries: LruCache<StreamId, (Entry, usize)>,
    weight: usize,
    limit: usize,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: LruCache::unbounded(), weight: 0, limit }
    }

    /// Works on one stream, if it is here.
    pub(super) fn with<R>(&mut self, stream: StreamId, work: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let (entry, weight) = self.entries.get_mut(&stream)?;
        let result = work(entry);
        let now = entry.weight();
        self.weight = self.weight - *weight + now;
        *weight = now;
        Some(result)
    }

    pub(super) fn put(&mut self, stream: StreamId, entry: Entry) {
        let weight = entry.weight();
        self.weight += weight;
        if let Some((_, before)) = self.entries.put(stream, (entry, weight)) {
            self.weight -= before;
        }
    }

    pub(super) fn forget(&mut self, stream: StreamId) {
        self.take_back(stream, Position(0));
    }

    /// Forgets a stream that was decided in vain. What it was when it was committed, if it was remembered.
    pub(super) fn take_back(&mut self, stream: StreamId, committed: Position) -> Option<Entry> {
        let (entry, weight) = self.entries.pop(&stream)?;
        self.weight -= weight;
        entry.remembered(committed)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.weight = 0;
    }

    /// Keeps to the limit. What is not committed yet stays: it cannot be read again; so does the last one used.
    pub(super) fn trim(&mut self, committed: Position) {
        while self.weight > self.limit && self.entries.len() > 1 {
            match self.entries.peek_lru() {
                Some((_, (entry, _))) if entry.position <= committed => {}
                Some(_) | None => return,
            }
            if let Some((_, (_, weight))) = self.entries.pop_lru() {
                self.weight -= weight;
            }
        }
    }
}

/// W6: an event that cannot be read stops whoever reads it.
pub(super) fn unreadable(event: &Envelope, error: &DecodeError) -> StoreError {
    StoreError::Corrupt { at: place(event), what: error.to_string() }
}

fn place(event: &Envelope) -> String {
    format!("position {} ({} version {})", event.position, event.stream, event.version)
}
