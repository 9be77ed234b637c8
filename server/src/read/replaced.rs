//! Whether the log is still the one that this node's views were made of.

use std::time::{Duration, Instant};

use app::wire::{GENESIS, Hash, Position, log_hash};

use super::{ReadSide, feed, sql::DbError};
use crate::bus::{BusError, LogHead};

/// For so long, and so often, the log has to be said to end before what is here until that is believed: a head may be said
/// behind the events, and be held up on its way. Clocks of command nodes do not count.
const BELIEVED: Duration = Duration::from_secs(10);
const OFTEN: u32 = 5;
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

/// Heads, one after another, of a log that ended before what was here at the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    here: Position,
    since: Instant,
    heads: u32,
}

impl Short {
    /// With one more head, which was heard `now`, when `here` was here.
    fn then(before: Option<Self>, said: Position, here: Position, now: Instant) -> Option<Self> {
        match before {
            Some(before) if said < before.here => Some(Self { heads: before.heads + 1, ..before }),
            _ => (said < here).then_some(Self { here, since: now, heads: 1 }),
        }
    }

    fn is_believed(&self, now: Instant) -> bool {
        self.heads >= OFTEN && now - self.since >= BELIEVED
    }
}

impl ReadSide {
    /// Returns once the log is not what this node has of it: it is said again and again to end earlier; it has another
    /// hash where it ends; or the feed waits, and what the bus has leads to the log's hash by other events than are here.
    pub async fn replaced(&self) -> OtherLog {
        let (mut head, mut feed) = (self.head.clone(), self.feed.position());
        let (mut known, mut short) = (Hashed::NOTHING, None);
        loop {
            let (said, here) = (*head.borrow_and_update(), *feed.borrow_and_update());
            if let Some(said) = said {
                let now = Instant::now();
                short = Short::then(short, said.position, here, now);
                if let Some(short) = short.filter(|short| short.is_believed(now)) {
                    return OtherLog::Older { last: short.here, log: said.position };
                }
            }
            let changed = match said {
                Some(said) if said.position > here => tokio::select! {
                    changed = feed.changed() => changed,
                    () = self.another_on_the_bus(said, here, &mut known) => return OtherLog::Another { position: here },
                },
                Some(said) => {
                    if self.contradicted(said, &mut known).await {
                        return OtherLog::Another { position: said.position };
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

    /// Whether the log that ends with `said` is another one than this node has up to there.
    async fn contradicted(&self, said: LogHead, known: &mut Hashed) -> bool {
        if known.position > said.position {
            return false;
        }
        match self.further(known, said.position).await {
            Ok(()) => known.hash != said.hash,
            // It goes on from there at the next head.
            Err(error) => {
                tracing::debug!(%error, after = known.position.0, "the hashes of the feed could not be read");
                false
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

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(1);

    fn hear(heads: impl IntoIterator<Item = (u64, u64)>) -> bool {
        let (mut short, mut now) = (None, Instant::now());
        heads.into_iter().any(|(said, here)| {
            now += TICK;
            short = Short::then(short, Position(said), Position(here), now);
            short.is_some_and(|short| short.is_believed(now))
        })
    }

    #[test]
    fn heads_that_come_behind_the_events_for_ever_are_not_an_older_log() {
        assert!(!hear((1..1000).map(|at| (at * 10, at * 10 + 35))));
    }

    #[test]
    fn one_head_that_was_held_up_for_long_is_not_an_older_log() {
        assert!(!hear([(90, 100), (90, 100), (90, 100), (90, 100), (200, 200)]));
        let now = Instant::now();
        let late =
            Short::then(Some(Short { here: Position(100), since: now, heads: 1 }), Position(90), Position(100), now);
        assert!(!late.unwrap().is_believed(now + Duration::from_mins(1)));
    }

    #[test]
    fn a_log_that_is_said_to_end_earlier_again_and_again_is_an_older_one() {
        assert!(hear((0..12).map(|_| (90, 100))));
        assert!(hear((0..12).map(|at| (50 + at, 100))), "it goes on");
        assert!(!hear((0..12).map(|_| (100, 100))));
    }
}
