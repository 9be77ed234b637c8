//! What the write side hands to the bus: its log, and its word on people.

use std::sync::Arc;

use app::wire::{Envelope, Position};
use async_trait::async_trait;

use super::{identity::People, store::EventStore};
use crate::bus::{BusError, LogSource, PersonChange};

/// The log and the people of this process' own write database.
pub struct WriteLog {
    store: Arc<dyn EventStore>,
    people: Arc<People>,
}

impl WriteLog {
    pub fn new(store: Arc<dyn EventStore>, people: Arc<People>) -> Self {
        Self { store, people }
    }
}

#[async_trait]
impl LogSource for WriteLog {
    async fn read(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, BusError> {
        self.store.read_log(after, limit).await.map_err(|error| BusError(Box::new(error)))
    }

    async fn people(&self) -> Result<Vec<PersonChange>, BusError> {
        self.people.published().await.map_err(|error| BusError(Box::new(error)))
    }
}
