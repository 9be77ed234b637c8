//! Reads the log on and on, and notices where it is not any more what was read of it: a server that failed over to a copy
//! that lagged has an older one, and other events by and by.

use app::wire::{Envelope, Hash, Position};

use super::store::{EventStore, StoreError};

/// How far one reader has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Following {
    /// Everything up to here was read.
    pub(super) position: Position,
    /// Of the event there; `None` until one was read.
    hash: Option<Hash>,
}

impl Following {
    /// From behind `position`, which is not looked at.
    pub(super) fn after(position: Position) -> Self {
        Self { position, hash: None }
    }

    /// Up to `limit` events that follow; `None` if the log does not hold any more what was read last.
    pub(super) async fn next(&self, store: &dyn EventStore, limit: u32) -> Result<Option<Vec<Envelope>>, StoreError> {
        let Some(hash) = self.hash else { return store.read_log(self.position, limit).await.map(Some) };
        let before = Position(self.position.0.saturating_sub(1));
        let mut events = store.read_log(before, limit.saturating_add(1)).await?;
        let same = events.first().is_some_and(|event| event.hash == hash);
        Ok(same.then(|| events.split_off(1)))
    }

    /// Everything up to `event` was read.
    pub(super) fn at(event: &Envelope) -> Self {
        Self { position: event.position, hash: Some(event.hash) }
    }
}
