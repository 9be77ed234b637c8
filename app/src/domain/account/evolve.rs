//! State after event: total, no rule in it.

use super::{Account, AccountEvent as E, Direction, Incoming, Outgoing, Status};

/// The state after `event`. Total: any event can follow any state, since the past is not argued with.
#[must_use]
pub fn evolve(mut state: Account, event: &E) -> Account {
    match event {
        E::AccountOpened { owner, name, currency, overdraft_limit } => {
            state.status = Status::Open;
            state.owner = Some(*owner);
            state.name.clone_from(name);
            state.currency = Some(*currency);
            state.overdraft_limit = *overdraft_limit;
        }
        E::MoneyDeposited { amount, .. } => credit(&mut state, *amount),
        E::MoneyWithdrawn { amount, .. } => debit(&mut state, *amount),
        E::EntryReversed { event_id, direction, amount, .. } => {
            match direction {
                Direction::In => debit(&mut state, *amount),
                Direction::Out => credit(&mut state, *amount),
            }
            state.reversed.insert(*event_id);
        }
        E::OverdraftLimitChanged { limit } => state.overdraft_limit = *limit,
        E::AccountFrozen { .. } => state.status = Status::Frozen,
        E::AccountUnfrozen {} => state.status = Status::Open,
        E::AccountClosed {} => state.status = Status::Closed,
        E::FundsHeld { transfer_id, to, amount, .. } => {
            state.held = state.held.saturating_add(*amount);
            state.outgoing.insert(*transfer_id, Outgoing::Held { to: *to, amount: *amount });
        }
        E::HoldDeclined { transfer_id, .. } => {
            state.outgoing.insert(*transfer_id, Outgoing::Declined);
        }
        E::HoldCaptured { transfer_id, amount, .. } => {
            state.held = state.held.saturating_sub(*amount);
            debit(&mut state, *amount);
            state.outgoing.insert(*transfer_id, Outgoing::Captured);
        }
        E::HoldReleased { transfer_id, amount, .. } => {
            state.held = state.held.saturating_sub(*amount);
            state.outgoing.insert(*transfer_id, Outgoing::Released);
        }
        E::TransferExpected { transfer_id, from, amount } => {
            state.expected = state.expected.saturating_add(*amount);
            state.incoming.insert(*transfer_id, Incoming::Expected { from: *from, amount: *amount });
        }
        E::TransferDeclined { transfer_id, .. } => {
            state.incoming.insert(*transfer_id, Incoming::Declined);
        }
        E::TransferCredited { transfer_id, amount, .. } => {
            state.expected = state.expected.saturating_sub(*amount);
            credit(&mut state, *amount);
            state.incoming.insert(*transfer_id, Incoming::Credited);
        }
    }
    state
}

// Saturating, so that evolve stays total; decide keeps every legal history far from the ends.
fn credit(state: &mut Account, amount: i64) {
    state.balance = state.balance.saturating_add(amount);
}

fn debit(state: &mut Account, amount: i64) {
    state.balance = state.balance.saturating_sub(amount);
}
