//! The end of the feed as all projections read it: what was stored last is read and decoded once, not by each of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use app::wire::{Envelope, Position};

use super::batch::{Read, Skips, decode_all, place};

/// Events that are kept; one take may be more.
const KEPT: usize = 20_000;

/// The latest events of the feed, and all skips in it.
#[derive(Debug)]
pub struct Tail(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// Takes of the feed, each without a gap behind the one before it.
    takes: VecDeque<Arc<Read>>,
    /// In all of them.
    events: usize,
    skips: Arc<Skips>,
}

impl Tail {
    pub fn new(skips: Skips) -> Self {
        Self(Mutex::new(Known { takes: VecDeque::new(), events: 0, skips: Arc::new(skips) }))
    }

    /// Takes in what the feed has stored behind all before; `skips`: all that there are, if these brought one.
    pub fn add(&self, stored: Vec<Envelope>, skips: Option<Skips>) {
        let stored = Arc::new(decode_all(stored));
        let mut known = self.known();
        if let Some(skips) = skips {
            known.skips = Arc::new(skips);
        }
        known.events += stored.len();
        known.takes.push_back(stored);
        while known.takes.len() > 1
            && known.events > KEPT
            && let Some(oldest) = known.takes.pop_front()
        {
            known.events -= oldest.len();
        }
    }

    /// What follows `after`, up to the end; `None` where that is further back than this goes.
    pub fn following(&self, after: Position) -> Option<Vec<Arc<Read>>> {
        let known = self.known();
        let from = known.takes.partition_point(|take| take.last().is_none_or(|last| place(last).0 <= after));
        let first = known.takes.get(from)?.first()?;
        (place(first).0 <= after.next()).then(|| known.takes.range(from..).cloned().collect())
    }

    /// Which events which projection skips, by all that was stored.
    pub fn skips(&self) -> Arc<Skips> {
        self.known().skips.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::batch::tests::envelope, *};

    fn take(tail: &Tail, positions: std::ops::RangeInclusive<u64>) {
        tail.add(positions.map(envelope).collect(), None);
    }

    fn following(tail: &Tail, after: u64) -> Option<Vec<u64>> {
        let takes = tail.following(Position(after))?;
        Some(takes.iter().flat_map(|take| take.iter()).map(|event| place(event).0.0).collect())
    }

    #[test]
    fn it_goes_from_the_take_that_has_the_next_event_to_the_end() {
        let tail = Tail::new(Skips::default());
        assert_eq!(following(&tail, 0), None);
        take(&tail, 4..=5);
        take(&tail, 6..=6);
        take(&tail, 7..=9);
        assert_eq!(following(&tail, 2), None, "the third is not here");
        assert_eq!(following(&tail, 3), Some((4..=9).collect()));
        assert_eq!(following(&tail, 4), Some((4..=9).collect()));
        assert_eq!(following(&tail, 5), Some((6..=9).collect()));
        assert_eq!(following(&tail, 8), Some((7..=9).collect()));
        assert_eq!(following(&tail, 9), None, "there is nothing yet");
    }

    #[test]
    fn it_keeps_the_newest_take_and_no_more_than_it_may() {
        let tail = Tail::new(Skips::default());
        let many = KEPT as u64;
        take(&tail, 1..=10);
        take(&tail, 11..=many);
        assert_eq!(following(&tail, 0).map(|events| events.len()), Some(KEPT));
        take(&tail, many + 1..=many + 1);
        assert_eq!(following(&tail, 0), None);
        take(&tail, many + 2..=2 * many + 7);
        assert_eq!(following(&tail, many), None);
        assert_eq!(following(&tail, many + 1).map(|events| events.len()), Some(KEPT + 6));
    }
}
