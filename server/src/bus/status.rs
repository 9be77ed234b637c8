//! What a query node's bus meets on its way, for status pages.

use app::wire::{Parked, Position};
use serde::Serialize;
use utoipa::ToSchema;

/// As it is now, since this node started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BusStatus {
    /// The position that has not come, and why not.
    pub waiting: Option<Parked>,
    /// What was asked for again and is not here yet.
    pub replay: Option<ReplayAsked>,
    /// Messages that are not ours; they were ignored.
    pub foreign: u64,
    /// Copies of events that were cut off or altered; each is a hole that a replay fills.
    pub damaged: u64,
    /// The newest of both kinds.
    pub odd: Vec<OddMessage>,
    /// Where reading stands in each partition of the events.
    pub partitions: Vec<PartitionStatus>,
}

/// A range of positions that was asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayAsked {
    pub from: Position,
    pub to: Position,
}

/// A message that no event was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OddMessage {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartitionStatus {
    pub partition: i32,
    /// Of the last message read; -1 before the first.
    pub offset: i64,
    /// Everything that is there was read.
    pub at_end: bool,
    /// It is so far ahead of the others that it waits for them.
    pub paused: bool,
}

#[cfg(feature = "query")]
impl BusStatus {
    /// Odd messages that are kept.
    const KEPT: usize = 20;

    pub(super) fn note_odd(&mut self, message: OddMessage, ours: bool) {
        if ours {
            self.damaged += 1;
        } else {
            self.foreign += 1;
        }
        if self.odd.len() == Self::KEPT {
            self.odd.remove(0);
        }
        self.odd.push(message);
    }
}
