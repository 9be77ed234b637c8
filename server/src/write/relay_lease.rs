//! The relay's lease, lent by the write database to one command node at a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::wire::Position;
use async_trait::async_trait;

use super::store::{EventStore, Lease as Held, StoreError};
use crate::bus::{BusError, Fence, Lease};

/// The lease's name: there is one relay, whatever the topics.
const NAME: &str = "relay";
/// A relay that stands still for longer than this is taken over from.
const LASTS: Duration = Duration::from_secs(5);

/// See [`Lease`].
pub struct RelayLease {
    store: Arc<dyn EventStore>,
    /// The checkpoint's name: other topics begin at the beginning.
    checkpoint: String,
    held: Mutex<Option<Held>>,
}

impl RelayLease {
    /// `topics`: the prefix of those that are published to.
    pub fn new(store: Arc<dyn EventStore>, topics: &str) -> Self {
        Self { store, checkpoint: format!("{NAME}:{topics}"), held: Mutex::new(None) }
    }

    /// Has the next relay go on behind `position`: everything up to there is on the topics.
    pub async fn go_on_after(&self, position: Position) -> Result<(), StoreError> {
        self.store.save_checkpoint(&self.checkpoint, position).await
    }

    /// What is held under `fence`.
    fn held(&self, fence: Fence) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        held.filter(|held| held.fence == fence.0)
    }
}

/// False where someone else has taken over.
fn still_ours(result: Result<(), StoreError>) -> Result<bool, BusError> {
    match result {
        Ok(()) => Ok(true),
        Err(StoreError::FencedOff) => Ok(false),
        Err(error) => Err(away(error)),
    }
}

fn away(error: StoreError) -> BusError {
    BusError(Box::new(error))
}

#[async_trait]
impl Lease for RelayLease {
    fn lasts(&self) -> Duration {
        LASTS
    }

    async fn acquire(&self) -> Result<Option<Fence>, BusError> {
        let held = self.store.acquire(NAME, &self.store.holder(), LASTS).await.map_err(away)?;
        let fence = held.as_ref().map(|held| Fence(held.fence));
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(fence)
    }

    async fn renew(&self, fence: Fence) -> Result<bool, BusError> {
        let Some(held) = self.held(fence) else { return Ok(false) };
        still_ours(self.store.renew(&held, LASTS).await)
    }

    async fn release(&self, fence: Fence) -> Result<(), BusError> {
        let Some(held) = self.held(fence) else { return Ok(()) };
        still_ours(self.store.renew(&held, Duration::ZERO).await).map(|_| ())
    }

    async fn checkpoint(&self) -> Result<Position, BusError> {
        self.store.checkpoint(&self.checkpoint).await.map_err(away)
    }

    async fn save_checkpoint(&self, fence: Fence, position: Position) -> Result<bool, BusError> {
        let Some(held) = self.held(fence) else { return Ok(false) };
        still_ours(self.store.save_checkpoint_under(&held, &self.checkpoint, position).await)
    }
}
