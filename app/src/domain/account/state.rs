//! What an account's events add up to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::{AccountId, Currency, EventId, TransferId, UserId};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Absent,
    Open,
    Frozen,
    Closed,
}

/// Where a transfer out of this account stands here. An ended one is remembered, so that a late copy changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outgoing {
    Held { to: AccountId, amount: i64 },
    Captured,
    Released,
    Declined,
}

/// Where a transfer into this account stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Incoming {
    Expected { from: AccountId, amount: i64 },
    Credited,
    Declined,
}

/// An account's state: its events replayed. Amounts are minor units of `currency`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    pub status: Status,
    pub owner: Option<UserId>,
    pub name: String,
    pub currency: Option<Currency>,
    pub balance: i64,
    /// Part of the balance that is set aside for transfers.
    pub held: i64,
    /// Promised to be taken when it arrives; not part of the balance.
    pub expected: i64,
    pub overdraft_limit: i64,
    pub outgoing: BTreeMap<TransferId, Outgoing>,
    pub incoming: BTreeMap<TransferId, Incoming>,
    pub reversed: BTreeSet<EventId>,
}

impl Account {
    /// What can be spent: balance − held + overdraft limit. Clamped to `i64`, which a legal state never reaches.
    pub fn available(&self) -> i64 {
        let available = i128::from(self.balance) - i128::from(self.held) + i128::from(self.overdraft_limit);
        i64::try_from(available).unwrap_or(if available < 0 { i64::MIN } else { i64::MAX })
    }

    /// How much more money fits in, with everything that is promised.
    pub(super) fn headroom(&self) -> i64 {
        i64::MAX.saturating_sub(self.balance.max(0)).saturating_sub(self.expected)
    }
}
