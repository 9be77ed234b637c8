//! The bus of a process that holds both sides: the event log is the outbox, a subscription is a cursor over it.

use std::sync::Arc;

use app::wire::{Envelope, Position};
use async_trait::async_trait;
use tokio::sync::watch;

use super::{After, Bus, BusError, Events, LogHead, LogSource, People, PersonChange};

/// Most events that one read of the log brings.
const CHUNK: u32 = 1000;

/// In-process bus. The command side owns the sending ends of the two watches.
pub struct InProcess {
    log: Arc<dyn LogSource>,
    head: watch::Receiver<Option<LogHead>>,
    /// Counts changes to people.
    people: watch::Receiver<u64>,
}

impl InProcess {
    pub fn new(log: Arc<dyn LogSource>, head: watch::Receiver<Option<LogHead>>, people: watch::Receiver<u64>) -> Self {
        Self { log, head, people }
    }
}

#[async_trait]
impl Bus for InProcess {
    async fn events(&self, after: After) -> Result<Box<dyn Events>, BusError> {
        Ok(Box::new(Cursor { log: self.log.clone(), head: self.head.clone(), after: after.position }))
    }

    async fn people(&self) -> Result<Box<dyn People>, BusError> {
        let mut changed = self.people.clone();
        changed.mark_changed();
        Ok(Box::new(PeopleCursor { log: self.log.clone(), changed }))
    }

    fn log_head(&self) -> watch::Receiver<Option<LogHead>> {
        self.head.clone()
    }
}

struct Cursor {
    log: Arc<dyn LogSource>,
    head: watch::Receiver<Option<LogHead>>,
    after: Position,
}

#[async_trait]
impl Events for Cursor {
    async fn next(&mut self) -> Result<Vec<Envelope>, BusError> {
        loop {
            // Marked as seen before the read: an append during the read is noticed by the next wait.
            self.head.borrow_and_update();
            let events = self.log.read(self.after, CHUNK).await?;
            if let Some(last) = events.last() {
                self.after = last.position;
                return Ok(events);
            }
            self.head.changed().await.map_err(|closed| BusError(Box::new(closed)))?;
        }
    }
}

struct PeopleCursor {
    log: Arc<dyn LogSource>,
    changed: watch::Receiver<u64>,
}

#[async_trait]
impl People for PeopleCursor {
    async fn next(&mut self) -> Result<Vec<PersonChange>, BusError> {
        self.changed.changed().await.map_err(|closed| BusError(Box::new(closed)))?;
        self.log.people().await
    }
}
