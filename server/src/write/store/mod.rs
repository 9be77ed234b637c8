//! The event store: an append-only log of events, one trait, one contract for every implementation.

mod sqlite;

use std::sync::Arc;

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Hash, Position, StreamId, Version},
};
use async_trait::async_trait;

pub use sqlite::{SqliteStore, connect_options};

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub position: Position,
    /// Running hash over all events up to `position`.
    pub hash: Hash,
    /// Recorded time of the event at `position`, microseconds since 1970; 0 in an empty log.
    pub recorded_at: i64,
}

impl Head {
    /// Before the first event.
    pub const EMPTY: Self = Self { position: Position(0), hash: app::wire::GENESIS, recorded_at: 0 };
}

/// What the database said.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why the store did not do it. Cloned to everyone whose command was in the batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another writer appended meanwhile: nothing was stored.
    #[error("the log has moved on")]
    HeadMoved,
    /// An event id is in the log already: nothing was stored. Look the commands up.
    #[error("one of these commands was stored before")]
    AlreadyStored,
    /// The log no longer belongs to whoever held this fence.
    #[error("the lease was taken over")]
    FencedOff,
    /// Nothing was stored; try again.
    #[error("the event store is not available")]
    Unavailable(#[source] Cause),
    /// The commit was sent but its answer was lost: it may be stored or not.
    #[error("whether the commit happened is not known")]
    OutcomeUnknown(#[source] Cause),
    /// What is stored does not read, or does not fit together.
    #[error("the event store holds something unreadable at {at}: {what}")]
    Corrupt { at: String, what: String },
}

/// An append-only log. W1: `append` returns after the fsync. W3: positions are gapless and visible in order.
#[async_trait]
pub trait EventStore: Send + Sync {
    async fn head(&self) -> Result<Head, StoreError>;

    /// Appends `events` and moves the head to `new_head` in one durable transaction, if the head is still `expected`.
    ///
    /// May block its thread while it does. `events` follow `expected` without a gap and end at `new_head`; each stream's versions go on without a gap.
    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError>;

    /// Up to `limit` events of all streams after `after`, in order.
    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError>;

    /// Up to `limit` events of one stream after `after`, in order.
    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError>;

    /// The events that these commands led to, in order of position; nothing for commands that are not in the log.
    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError>;

    /// One event by id.
    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError>;

    /// How far the reader `name` has come; 0 if it never said.
    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError>;

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError>;
}
