//! Whether the log is still the one that this node's views were made of.

use std::time::Duration;

use app::wire::{GENESIS, Hash, Position, log_hash};

use super::{ReadSide, feed, sql::DbError};
use crate::bus::{BusError, LogHead};

/// Clocks of command nodes may differ by so much, microseconds.
const LATER: i64 = 10_000_000;
/// How long the feed waits for what is said to be there before it is looked whether the bus has another log; at first, and at
/// most between two looks.
const SUSPICIOUS: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_mins(5);

/// The log is not the one that this node's views were made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtherLog {
    #[error(
        "the views hold position {last}, but the log ends at {log}: it was replaced by an older one. If that was meant, \
         delete the read database and start again: it is built from the log"
    )]
    Older { last: Position, log: Position },
    #[error(
        "the views hold other events up to position {position} than the log does: it was replaced by another one. If that was \
         meant, delete the read database and start again: it is built from the log"
    )]
    Another { position: Position },
}

/// The hash of the whole log up to a position.
#[derive(Debug, Clone, Copy)]
struct Hashed {
    position: Position,
    hash: Hash,
}

impl Hashed {
    const NOTHING: Self = Self { position: Position(0), hash: GENESIS };

    /// With the event at `position`, which has this hash.
    fn then(self, position: Position, event: &Hash) -> Self {
        Self { position, hash: log_hash(&self.hash, event) }
    }
}

impl ReadSide {
    /// Returns once the log is not what this node has of it: it ends earlier, though that is said well after what is here
    /// was recorded; it has another hash where it ends; or the feed waits, and what the bus has leads to the log's hash by
    /// other events than are here.
    pub async fn replaced(&self) -> OtherLog {
        let (mut head, mut feed) = (self.head.clone(), self.feed.position());
        let mut known = Hashed::NOTHING;
        loop {
            let (said, here) = (*head.borrow_and_update(), *feed.borrow_and_update());
            let changed = match said {
                Some(said) if said.position > here => tokio::select! {
                    changed = feed.changed() => changed,
                    () = self.another_on_the_bus(said, here, &mut known) => return OtherLog::Another { position: here },
                },
                Some(said) => {
                    if let Some(replaced) = self.contradicted(said, here, &mut known).await {
                        return replaced;
                    }
                    head.changed().await
                }
                None => head.changed().await,
            };
            if changed.is_err() {
                // The bus is gone: the node stops.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether the log that ends with `said` is another one than this node has up to `here`, which is not before that.
    async fn contradicted(&self, said: LogHead, here: Position, known: &mut Hashed) -> Option<OtherLog> {
        let LogHead { position, at, .. } = said;
        if position < here
            && let Ok(Some(last)) = self.last().await
            && position < last.position
            && at > last.recorded_at.saturating_add(LATER)
        {
            return Some(OtherLog::Older { last: last.position, log: position });
        }
        if known.position > position {
            return None;
        }
        match self.further(known, position).await {
            Ok(()) => (known.hash != said.hash).then_some(OtherLog::Another { position }),
            // It goes on from there at the next head.
            Err(error) => {
                tracing::debug!(%error, after = known.position.0, "the hashes of the feed could not be read");
                None
            }
        }
    }

    /// Returns once it is sure that the log that ends with `said` has other events up to `here` than this node.
    async fn another_on_the_bus(&self, said: LogHead, here: Position, known: &mut Hashed) {
        let mut patience = SUSPICIOUS;
        loop {
            tokio::time::sleep(patience).await;
            patience = SELDOM.min(patience * 2);
            if !self.feed.does_not_follow() {
                continue;
            }
            match self.hash_on_the_bus(here, said).await {
                Ok(Some(hash)) => match self.further(known, here).await {
                    Ok(()) if hash != known.hash => return,
                    Ok(()) => {}
                    Err(error) => tracing::debug!(%error, "the hashes of the feed could not be read"),
                },
                Ok(None) => tracing::debug!("the bus does not have the log as it was signed"),
                Err(error) => tracing::debug!(%error, "the log cannot be read from the bus"),
            }
        }
    }

    /// The log's hash at `position`, as the bus has it; `None` if that does not lead to `said`.
    async fn hash_on_the_bus(&self, position: Position, said: LogHead) -> Result<Option<Hash>, BusError> {
        let mut events = self.bus.events_beside().await?;
        let (mut read, mut found) = (Hashed::NOTHING, None);
        while read.position < said.position {
            for event in events.next().await? {
                if event.position == read.position.next() && event.position <= said.position {
                    read = read.then(event.position, &event.hash);
                    if event.position == position {
                        found = Some(read.hash);
                    }
                }
            }
        }
        Ok(found.filter(|_| read.hash == said.hash))
    }

    /// Carries what is `known` of this node's feed on to `to`.
    async fn further(&self, known: &mut Hashed, to: Position) -> Result<(), DbError> {
        while known.position < to {
            let hashes = feed::hashes(&mut self.db.read().await?, known.position, to).await?;
            let first = known.position;
            for (position, event) in &hashes {
                if *position != known.position.next() {
                    return Err(DbError::failed("the feed has a hole"));
                }
                *known = known.then(*position, event);
            }
            if known.position == first {
                return Err(DbError::failed("the feed is shorter than it was"));
            }
        }
        Ok(())
    }
}
