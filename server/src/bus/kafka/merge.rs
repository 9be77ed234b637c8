//! Partitions merged by position: positions are gapless, so the merge is exact, a duplicate is below the next position, and
//! a hole is a position that has not come yet.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use app::wire::{Envelope, Position};

/// Bytes that one lane may have waiting.
const BYTES: usize = 16 << 20;

/// Where an event came from: a partition of the events.
pub type Lane = i32;
/// The lane of what was asked for again, and of what was given back.
pub const AGAIN: Lane = -1;

/// Events that wait for those before them.
#[derive(Debug)]
pub struct Merge {
    next: Position,
    /// When `next` last became another.
    since: Instant,
    waiting: BTreeMap<Position, (Lane, Envelope)>,
    lanes: HashMap<Lane, Load>,
    /// Events that one lane may have waiting.
    ahead: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Load {
    events: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, event: &Envelope) {
        self.events += 1;
        self.bytes += size(event);
    }

    fn remove(&mut self, event: &Envelope) {
        self.events -= 1;
        self.bytes -= size(event);
    }
}

fn size(event: &Envelope) -> usize {
    size_of::<Envelope>() + event.payload.len() + event.metadata.len() + event.event_type.len()
}

impl Merge {
    /// Brings what follows `after`; a lane may have `ahead` events waiting.
    pub fn new(after: Position, ahead: usize) -> Self {
        Self { next: after.next(), since: Instant::now(), waiting: BTreeMap::new(), lanes: HashMap::new(), ahead }
    }

    /// The position that comes next.
    pub fn next(&self) -> Position {
        self.next
    }

    /// For how long `next` has been the same.
    pub fn waits(&self) -> Duration {
        self.since.elapsed()
    }

    /// Takes in an event; one that is there or was brought already is dropped.
    pub fn offer(&mut self, lane: Lane, event: Envelope) {
        if event.position < self.next || self.waiting.contains_key(&event.position) {
            return;
        }
        self.lanes.entry(lane).or_default().add(&event);
        self.waiting.insert(event.position, (lane, event));
    }

    /// Up to `limit` events, the next ones without a gap.
    pub fn take(&mut self, limit: usize) -> Vec<Envelope> {
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some(first) = self.waiting.first_entry()
            && *first.key() == self.next
        {
            let (lane, event) = first.remove();
            if let Some(load) = self.lanes.get_mut(&lane) {
                load.remove(&event);
            }
            self.next = self.next.next();
            taken.push(event);
        }
        if !taken.is_empty() {
            self.since = Instant::now();
        }
        taken
    }

    /// Takes back what was brought: the first of `rest` was damaged, so its position has not come.
    pub fn give_back(&mut self, rest: Vec<Envelope>) {
        let mut rest = rest.into_iter();
        let Some(damaged) = rest.next() else { return };
        self.next = damaged.position;
        self.since = Instant::now();
        for event in rest {
            self.offer(AGAIN, event);
        }
    }

    /// Whether this lane has as much waiting as it may.
    pub fn is_full(&self, lane: Lane) -> bool {
        let load = self.load(lane);
        load.events >= self.ahead || load.bytes >= BYTES
    }

    /// Whether a lane that was full has room worth reading on for.
    pub fn has_room(&self, lane: Lane) -> bool {
        let load = self.load(lane);
        load.events <= self.ahead / 2 && load.bytes <= BYTES / 2
    }

    /// Whether this lane has an event waiting: what is missing will not come from it any more.
    pub fn is_beyond(&self, lane: Lane) -> bool {
        self.load(lane).events > 0
    }

    /// The positions that have not come though they exist: those before what waits, or before the end of the log.
    pub fn hole(&self, head: Option<Position>) -> Option<(Position, Position)> {
        // What the command side says counts: a damaged message may claim any position.
        if head.is_some_and(|head| head < self.next) {
            return None;
        }
        let waiting = self.waiting.first_key_value().map(|(position, _)| Position(position.0 - 1));
        let to = match (waiting, head) {
            (Some(waiting), Some(head)) => waiting.min(head),
            (Some(known), None) | (None, Some(known)) => known,
            (None, None) => return None,
        };
        (to >= self.next).then_some((self.next, to))
    }

    fn load(&self, lane: Lane) -> Load {
        self.lanes.get(&lane).copied().unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use app::{
        domain::EventId,
        wire::{GENESIS, StreamId, StreamKind, Version},
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn event(position: u64) -> Envelope {
        Envelope {
            position: Position(position),
            event_id: EventId(Uuid::nil()),
            stream: StreamId::new(StreamKind::Account, Uuid::nil()),
            version: Version(1),
            event_type: String::new(),
            schema: 1,
            payload: vec![],
            metadata: vec![],
            recorded_at: 0,
            hash: GENESIS,
        }
    }

    fn positions(events: &[Envelope]) -> Vec<u64> {
        events.iter().map(|event| event.position.0).collect()
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_order_goes_out_once_and_in_order(
            arrivals in proptest::collection::vec((0..4_i32, 1..60_u64), 0..400),
            after in 0..20_u64,
        ) {
            let mut merge = Merge::new(Position(after), 8);
            let mut out = Vec::new();
            for (lane, position) in arrivals {
                merge.offer(lane, event(position));
                out.extend(positions(&merge.take(3)));
            }
            // Everything, for the end.
            (1..60).for_each(|position| merge.offer(0, event(position)));
            out.extend(positions(&merge.take(usize::MAX)));
            prop_assert_eq!(out, (after + 1..60).collect::<Vec<_>>());
            prop_assert!((0..4).all(|lane| !merge.is_beyond(lane)));
        }
    }

    #[test]
    fn a_lane_is_full_until_half_of_it_is_gone() {
        let mut merge = Merge::new(Position(0), 4);
        (2..6).for_each(|position| merge.offer(7, event(position)));
        assert!(merge.is_full(7) && !merge.has_room(7) && merge.has_room(8));
        merge.offer(8, event(1));
        assert_eq!(positions(&merge.take(2)), [1, 2]);
        assert!(!merge.is_full(7) && !merge.has_room(7));
        assert_eq!(positions(&merge.take(1)), [3]);
        assert!(merge.has_room(7));
    }

    #[test]
    fn b3_a_hole_ends_where_something_waits_or_the_log_does() {
        let mut merge = Merge::new(Position(3), 10);
        assert_eq!(merge.hole(None), None);
        assert_eq!(merge.hole(Some(Position(3))), None);
        assert_eq!(merge.hole(Some(Position(9))), Some((Position(4), Position(9))));
        merge.offer(0, event(8));
        assert_eq!(merge.hole(Some(Position(9))), Some((Position(4), Position(7))));
        assert_eq!(merge.hole(None), Some((Position(4), Position(7))));
        // It claims to be beyond the end of the log.
        assert_eq!(merge.hole(Some(Position(3))), None);
    }

    #[test]
    fn b3_what_is_given_back_comes_again_without_its_damaged_first() {
        let mut merge = Merge::new(Position(0), 10);
        (1..6).for_each(|position| merge.offer(0, event(position)));
        let taken = merge.take(10);
        merge.give_back(taken[2..].to_vec());
        assert_eq!(merge.hole(None), Some((Position(3), Position(3))));
        assert_eq!(merge.take(10), []);
        merge.offer(AGAIN, event(3));
        assert_eq!(positions(&merge.take(10)), [3, 4, 5]);
    }
}
