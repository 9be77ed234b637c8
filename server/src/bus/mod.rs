//! The event bus: the only place where the write side and the read side meet.
//!
//! Delivery is at least once, the first delivery of each event in the order of the log. A subscriber says from which
//! position it wants to go on; what it was sent before and asks for again, it gets again.

pub mod head;
#[cfg(all(feature = "command", feature = "query"))]
mod in_process;
pub mod kafka;
#[cfg(feature = "command")]
mod lease;
mod status;

use app::{
    domain::UserId,
    ports::Role,
    wire::{Envelope, Hash, Position, StreamId, Version},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

#[cfg(all(feature = "command", feature = "query"))]
pub use in_process::InProcess;
#[cfg(feature = "command")]
pub use lease::{Fence, Lease};
pub use status::{BusStatus, OddMessage, PartitionStatus, ReplayAsked};

/// What the command side says about the log after each batch and every second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    pub position: Position,
    /// The running hash at `position`.
    pub hash: Hash,
    /// When this was said, microseconds since 1970.
    pub at: i64,
}

/// Who someone is. Not in the log, so that they can be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub roles: Vec<Role>,
}

/// The latest word on a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonChange {
    Known(Person),
    Forgotten(UserId),
}

/// The bus does not answer; the subscriber tries again from where it stands.
#[derive(Debug, thiserror::Error)]
#[error("the bus is not available: {0}")]
pub struct BusError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What the write side hands to the bus: its log, to be read, and its word on people.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// Up to `limit` events after `after`, in order.
    async fn read(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, BusError>;
    /// Where the log ends now, whoever wrote it.
    async fn head(&self) -> Result<LogHead, BusError>;
    /// The hash of this event of a stream, if the log has it.
    async fn hash_of(&self, stream: StreamId, version: Version) -> Result<Option<Hash>, BusError>;
    /// Everyone who is known.
    async fn people(&self) -> Result<Vec<PersonChange>, BusError>;
}

/// The last event that a subscriber has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct After {
    /// 0 before the first.
    pub position: Position,
    /// When it was recorded, microseconds since 1970: says where to look for the next one.
    pub recorded_at: i64,
}

/// One subscription to the events.
#[async_trait]
pub trait Events: Send {
    /// The next events, at least one, in the order of the log; waits until there are some. Cancel-safe.
    async fn next(&mut self) -> Result<Vec<Envelope>, BusError>;

    /// Gives back what was brought last and was not taken: the first of `rest` is damaged, what follows it is not known
    /// to be. True: another copy of it is fetched, and then the rest comes again. False: subscribe again.
    fn give_back(&mut self, rest: Vec<Envelope>) -> bool {
        drop(rest);
        false
    }
}

/// One subscription to what is known of people: first all that are known, then each change.
#[async_trait]
pub trait People: Send {
    async fn next(&mut self) -> Result<Vec<PersonChange>, BusError>;
}

/// What a query node needs of a bus.
#[async_trait]
pub trait Bus: Send + Sync {
    /// All events after `after`, then each new one.
    async fn events(&self, after: After) -> Result<Box<dyn Events>, BusError>;
    /// All events from the first on, beside another subscription: what this one meets is not in the status.
    async fn events_beside(&self) -> Result<Box<dyn Events>, BusError> {
        self.events(After::default()).await
    }
    async fn people(&self) -> Result<Box<dyn People>, BusError>;
    /// The newest `LogHead`, again whenever it changes.
    fn log_head(&self) -> tokio::sync::watch::Receiver<Option<LogHead>>;
    /// What it meets on its way, as this node sees it.
    fn status(&self) -> BusStatus {
        BusStatus::default()
    }
}
