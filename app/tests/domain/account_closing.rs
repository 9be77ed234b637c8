//! Closing an account, and undoing an entry, in every state.

use app::domain::{
    Rejection,
    account::{AccountCommand as C, AccountEvent as E, DeclineReason, Direction, Entry},
};

use crate::given::{
    account_id, closed, day, deposited, event_id, expected, frozen, given, held, opened, transfer_id, withdrawn,
};

fn reverse(entry: Option<Option<Entry>>) -> C {
    C::ReverseEntry { event_id: event_id(1), entry, effective_on: day(0), reason: "typed twice".to_owned() }
}

fn money_in(amount: i64) -> Option<Option<Entry>> {
    Some(Some(Entry { direction: Direction::In, amount }))
}

fn money_out(amount: i64) -> Option<Option<Entry>> {
    Some(Some(Entry { direction: Direction::Out, amount }))
}

fn reversed(direction: Direction, amount: i64) -> E {
    E::EntryReversed {
        event_id: event_id(1),
        direction,
        amount,
        effective_on: day(0),
        reason: "typed twice".to_owned(),
    }
}

#[test]
fn an_account_is_closed_from_open_only() {
    given([opened(500)]).when(C::CloseAccount).then([closed()]);
    given([]).when(C::CloseAccount).then_err(Rejection::AccountNotFound);
    given([opened(0), frozen()]).when(C::CloseAccount).then_err(Rejection::AccountFrozen);
    given([opened(0), closed()]).when(C::CloseAccount).then_err(Rejection::AccountClosed);
}

#[test]
fn an_account_is_closed_at_zero_only() {
    given([opened(0), deposited(1)]).when(C::CloseAccount).then_err(Rejection::BalanceNotZero { balance: 1 });
    given([opened(9), withdrawn(1)]).when(C::CloseAccount).then_err(Rejection::BalanceNotZero { balance: -1 });
    given([opened(0), deposited(1), withdrawn(1)]).when(C::CloseAccount).then([closed()]);
}

#[test]
fn an_account_is_not_closed_while_a_transfer_needs_it() {
    given([opened(50), held(1, 50)]).when(C::CloseAccount).then_err(Rejection::MoneyHeld { held: 50 });
    given([opened(0), expected(1, 50)]).when(C::CloseAccount).then_err(Rejection::MoneyExpected { expected: 50 });
    let released = E::HoldReleased { transfer_id: transfer_id(1), amount: 50, reason: DeclineReason::Unavailable };
    given([opened(50), held(1, 50), released]).when(C::CloseAccount).then([closed()]);
    let credited = E::TransferCredited { transfer_id: transfer_id(1), from: account_id(9), amount: 50 };
    given([opened(0), expected(1, 50), credited, withdrawn(50)]).when(C::CloseAccount).then([closed()]);
}

#[test]
fn an_entry_is_reversed_once() {
    given([opened(0), deposited(100)]).when(reverse(money_in(100))).then([reversed(Direction::In, 100)]);
    given([opened(0), deposited(100), withdrawn(60)]).when(reverse(money_out(60))).then([reversed(Direction::Out, 60)]);
    given([opened(0), deposited(100), reversed(Direction::In, 100), deposited(100)])
        .when(reverse(money_in(100)))
        .then_err(Rejection::EntryAlreadyReversed);
}

#[test]
fn reversing_needs_an_account_that_lives_but_it_may_be_frozen() {
    given([]).when(reverse(money_in(100))).then_err(Rejection::AccountNotFound);
    given([opened(0), deposited(100), frozen()]).when(reverse(money_in(100))).then([reversed(Direction::In, 100)]);
    given([opened(0), closed()]).when(reverse(money_in(100))).then_err(Rejection::AccountClosed);
}

#[test]
fn only_deposits_and_withdrawals_of_this_account_are_reversed() {
    given([opened(0)]).when(reverse(None)).then_err(Rejection::EntryNotFound);
    given([opened(0)]).when(reverse(Some(None))).then_err(Rejection::EntryNotReversible);
}

#[test]
fn a_reversal_gives_its_reason() {
    let reason = |reason: &str| C::ReverseEntry {
        event_id: event_id(1),
        entry: money_in(1),
        effective_on: day(0),
        reason: reason.to_owned(),
    };
    let history = || [opened(0), deposited(1)];
    given(history()).when(reason(" ")).then_err(Rejection::TextEmpty { field: "reason".to_owned() });
    given(history())
        .when(reason(&"x".repeat(281)))
        .then_err(Rejection::TextTooLong { field: "reason".to_owned(), max: 280 });
}

#[test]
fn a_reversal_overdraws_nothing_and_overflows_nothing() {
    given([opened(0), deposited(100), withdrawn(60)])
        .when(reverse(money_in(100)))
        .then_err(Rejection::InsufficientFunds { requested: 100, available: 40 });
    given([opened(60), deposited(100), withdrawn(60)])
        .when(reverse(money_in(100)))
        .then([reversed(Direction::In, 100)]);
    given([opened(0), deposited(60), withdrawn(60), deposited(i64::MAX)])
        .when(reverse(money_out(60)))
        .then_err(Rejection::BalanceTooLarge);
}
