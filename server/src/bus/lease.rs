//! The right to be the one relay, lent by the write database.

use std::time::Duration;

use app::wire::Position;
use async_trait::async_trait;

use super::BusError;

/// Grows with each change of hands: whoever comes with a lower one is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub i64);

/// A lease with a checkpoint that only its holder can move. Times are the database's, so that clocks need not agree.
#[async_trait]
pub trait Lease: Send + Sync {
    /// How long it stays ours after it was acquired or renewed.
    fn lasts(&self) -> Duration;
    /// Takes it, with a fence higher than any before. `None`: someone holds it.
    async fn acquire(&self) -> Result<Option<Fence>, BusError>;
    /// Holds it for another while. False: it was taken over.
    async fn renew(&self, fence: Fence) -> Result<bool, BusError>;
    /// Lets others have it at once. Nothing happens if it is not ours any more.
    async fn release(&self, fence: Fence) -> Result<(), BusError>;
    /// How far its holders have come.
    async fn checkpoint(&self) -> Result<Position, BusError>;
    /// Moves the checkpoint, in the transaction that sees that the fence is still ours. False: it is not; nothing moved.
    async fn save_checkpoint(&self, fence: Fence, position: Position) -> Result<bool, BusError>;
}
