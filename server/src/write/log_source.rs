//! What the write side hands to the bus: its log, its word on people, and its signature.

use std::sync::Arc;

use app::wire::{Envelope, Hash, Position, StreamId, Version};
use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    identity::People,
    keys::SigningKeys,
    store::{EventStore, Head},
    writer::{Clock as _, SystemClock},
};
use crate::bus::{
    BusError, LogHead, LogSource, PersonChange,
    head::{SignHead, SignedHead, head_message},
};

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

    async fn head(&self) -> Result<LogHead, BusError> {
        // Asked first: what is said of the log was true by then.
        let at = SystemClock.now_micros();
        let Head { position, hash, .. } = self.store.head().await.map_err(|error| BusError(Box::new(error)))?;
        Ok(LogHead { position, hash, at })
    }

    async fn hash_of(&self, stream: StreamId, version: Version) -> Result<Option<Hash>, BusError> {
        let before = Version(version.0.saturating_sub(1));
        let events = self.store.read_stream(stream, before, 1).await.map_err(|error| BusError(Box::new(error)))?;
        Ok(events.first().filter(|event| event.version == version).map(|event| event.hash))
    }

    async fn people(&self) -> Result<Vec<PersonChange>, BusError> {
        self.people.published().await.map_err(|error| BusError(Box::new(error)))
    }
}

/// Signs what is said of the log with `keys`: each signed head is an anchor.
pub fn head_signer(keys: Arc<SigningKeys>) -> SignHead {
    Arc::new(move |head| {
        let signature = BASE64_URL_SAFE_NO_PAD.encode(keys.sign(head_message(&head).as_bytes()));
        SignedHead { head, key_id: keys.key_id().to_owned(), signature }
    })
}
