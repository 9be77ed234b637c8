//! The event bus: the only place where the write side and the read side meet.
//!
//! Delivery is at least once, the first delivery of each event in the order of the log. A subscriber says from which
//! position it wants to go on; what it was sent before and asks for again, it gets again.

mod in_process;

use app::{
    domain::UserId,
    ports::Role,
    wire::{Envelope, Hash, Position},
};
use async_trait::async_trait;

pub use in_process::{InProcess, LogSource};

/// What the command side says about the log after each batch and every second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// One subscription to the events.
#[async_trait]
pub trait Events: Send {
    /// The next events, at least one, in the order of the log; waits until there are some. Cancel-safe.
    async fn next(&mut self) -> Result<Vec<Envelope>, BusError>;
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
    async fn events(&self, after: Position) -> Result<Box<dyn Events>, BusError>;
    async fn people(&self) -> Result<Box<dyn People>, BusError>;
    /// The newest `LogHead`, again whenever it changes.
    fn log_head(&self) -> tokio::sync::watch::Receiver<Option<LogHead>>;
}
