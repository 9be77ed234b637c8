//! What an account's event does to its balance.

use app::{
    domain::{
        AccountId, Date, EventId, TransferId,
        account::{AccountEvent as E, Direction},
    },
    wire::EntryKind,
};

/// A movement of an account's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub kind: EntryKind,
    /// Positive: in; negative: out.
    pub amount: i64,
    pub effective_on: Date,
    pub description: Option<&'a str>,
    pub transfer: Option<(TransferId, AccountId)>,
    pub reverses: Option<EventId>,
}

/// The movement in `event`, recorded at `recorded_at`; `None` if it moves nothing. A transfer takes effect on the day
/// it is recorded.
pub(super) fn entry(event: &E, recorded_at: i64) -> Option<Entry<'_>> {
    let plain = |kind, amount, effective_on, description| Entry {
        kind,
        amount,
        effective_on,
        description,
        transfer: None,
        reverses: None,
    };
    match event {
        E::MoneyDeposited { amount, effective_on, description } => {
            Some(plain(EntryKind::Deposit, *amount, *effective_on, description.as_deref()))
        }
        E::MoneyWithdrawn { amount, effective_on, description } => {
            Some(plain(EntryKind::Withdrawal, -amount, *effective_on, description.as_deref()))
        }
        E::EntryReversed { event_id, direction, amount, effective_on, reason } => {
            let amount = match direction {
                Direction::In => -amount,
                Direction::Out => *amount,
            };
            let reversal = plain(EntryKind::Reversal, amount, *effective_on, Some(reason.as_str()));
            Some(Entry { reverses: Some(*event_id), ..reversal })
        }
        E::HoldCaptured { transfer_id, to, amount } => {
            let out = plain(EntryKind::TransferOut, -amount, Date::of_micros(recorded_at), None);
            Some(Entry { transfer: Some((*transfer_id, *to)), ..out })
        }
        E::TransferCredited { transfer_id, from, amount } => {
            let into = plain(EntryKind::TransferIn, *amount, Date::of_micros(recorded_at), None);
            Some(Entry { transfer: Some((*transfer_id, *from)), ..into })
        }
        E::AccountOpened { .. }
        | E::OverdraftLimitChanged { .. }
        | E::AccountFrozen { .. }
        | E::AccountUnfrozen {}
        | E::AccountClosed {}
        | E::FundsHeld { .. }
        | E::HoldDeclined { .. }
        | E::HoldReleased { .. }
        | E::TransferExpected { .. }
        | E::TransferDeclined { .. } => None,
    }
}
