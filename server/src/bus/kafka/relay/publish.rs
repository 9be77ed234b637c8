//! The events of the log, and how far they have come.

use std::time::Duration;

use app::wire::{Envelope, Position};
use tokio::time::timeout;

use super::{Ended, Go, Never, SAVE};
use crate::bus::Fence;

/// Most events that one read of the log brings.
const CHUNK: u32 = 1000;
/// How long what another node appended may stay unnoticed.
const LOOK: Duration = Duration::from_millis(50);
/// How long an acknowledgement may take before someone should look.
const OVERDUE: Duration = Duration::from_secs(10);

impl Go<'_> {
    /// Publishes what follows `sent`.
    pub(super) async fn events(&self, mut sent: Position) -> Never {
        let mut appended = self.parts.appended.clone();
        let mut events = Vec::new();
        loop {
            // Marked as seen before the read: an append during the read is noticed by the next wait.
            appended.borrow_and_update();
            let last = events.last().map_or(sent, |event: &Envelope| event.position);
            // What follows is read while these are sent.
            let (published, following) = tokio::join!(self.send(&events, sent), self.parts.log.read(last, CHUNK));
            published?;
            (sent, events) = (last, following?);
            if events.is_empty() {
                // Whatever it was, the log is read again.
                let news = timeout(LOOK, appended.changed()).await;
                if matches!(news, Ok(Err(_))) {
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    async fn send(&self, events: &[Envelope], mut sent: Position) -> Result<(), Ended> {
        for event in events {
            if event.position != sent.next() {
                return Err(Ended::Gap { after: sent, found: event.position });
            }
            self.producer.event(event).await?;
            sent = event.position;
        }
        Ok(())
    }

    /// Says how far it has come, and when it comes no further.
    pub(super) async fn progress(&self) -> Never {
        let mut acknowledged = self.producer.acknowledged();
        loop {
            let up_to = *acknowledged.borrow_and_update();
            self.status.send_modify(|status| status.published = up_to);
            let due = self.parts.appended.borrow().is_some_and(|head| head.position > up_to);
            match timeout(OVERDUE, acknowledged.changed()).await {
                Ok(Ok(())) => self.status.send_modify(|status| status.error = None),
                // The producer outlives this.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) if due => {
                    let error = format!("no broker acknowledges what follows position {up_to}");
                    tracing::warn!(error, "the relay does not go on");
                    self.status.send_modify(|status| status.error = Some(error));
                }
                Err(_) => {}
            }
        }
    }

    /// Moves the checkpoint, at `saved` now, behind what the brokers have acknowledged.
    pub(super) async fn checkpoint(&self, fence: Fence, mut saved: Position) -> Never {
        let mut acknowledged = self.producer.acknowledged();
        loop {
            let moved = acknowledged.wait_for(|up_to| *up_to > saved).await.map(|up_to| *up_to);
            let up_to = match moved {
                Ok(up_to) => up_to,
                // The producer outlives this.
                Err(_) => std::future::pending().await,
            };
            if !self.parts.lease.save_checkpoint(fence, up_to).await? {
                return Err(Ended::LeaseLost);
            }
            saved = up_to;
            tokio::time::sleep(SAVE).await;
        }
    }
}
