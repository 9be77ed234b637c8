//! The process manager's five commands to an account, in every state and at every step.

use app::domain::{
    Rejection,
    account::{Account, AccountCommand as C, AccountEvent as E, DeclineReason},
};

use crate::given::{
    account_id, closed, czk, deposited, eur, expected, frozen, given, held, opened, replay, transfer_id,
};

fn hold(amount: i64) -> C {
    C::HoldFunds { transfer_id: transfer_id(1), to: account_id(9), amount, currency: czk() }
}

fn expect(amount: i64) -> C {
    C::ExpectTransfer { transfer_id: transfer_id(1), from: account_id(9), amount, currency: czk() }
}

fn capture() -> C {
    C::CaptureHold { transfer_id: transfer_id(1) }
}

fn credit() -> C {
    C::CreditTransfer { transfer_id: transfer_id(1) }
}

fn release() -> C {
    C::ReleaseHold { transfer_id: transfer_id(1), reason: DeclineReason::Unavailable }
}

fn captured(amount: i64) -> E {
    E::HoldCaptured { transfer_id: transfer_id(1), to: account_id(9), amount }
}

fn credited(amount: i64) -> E {
    E::TransferCredited { transfer_id: transfer_id(1), from: account_id(9), amount }
}

fn released(amount: i64) -> E {
    E::HoldReleased { transfer_id: transfer_id(1), amount, reason: DeclineReason::Unavailable }
}

fn hold_declined(reason: DeclineReason) -> E {
    E::HoldDeclined { transfer_id: transfer_id(1), reason }
}

fn declined(reason: DeclineReason) -> E {
    E::TransferDeclined { transfer_id: transfer_id(1), from: account_id(9), reason }
}

#[test]
fn a_source_holds_what_it_has_or_says_why_not() {
    use DeclineReason as R;
    given([opened(50), deposited(50)]).when(hold(100)).then([held(1, 100)]);
    given([opened(50), deposited(50)]).when(hold(101)).then([hold_declined(R::InsufficientFunds)]);
    given([]).when(hold(1)).then([hold_declined(R::AccountNotFound)]);
    given([opened(50), frozen()]).when(hold(1)).then([hold_declined(R::AccountFrozen)]);
    given([opened(50), closed()]).when(hold(1)).then([hold_declined(R::AccountClosed)]);
    let euros = C::HoldFunds { transfer_id: transfer_id(1), to: account_id(9), amount: 1, currency: eur() };
    given([opened(50)]).when(euros).then([hold_declined(R::CurrencyMismatch)]);
}

#[test]
fn a_hold_is_not_spent_twice() {
    given([opened(0), deposited(100), held(2, 70)]).when(hold(30)).then([held(1, 30)]);
    given([opened(0), deposited(100), held(2, 70)])
        .when(hold(31))
        .then([hold_declined(DeclineReason::InsufficientFunds)]);
}

#[test]
fn holds_never_add_up_to_more_than_i64_holds() {
    let rich = || [opened(i64::MAX), deposited(88), held(2, 4)];
    given(rich()).when(hold(i64::MAX - 4)).then([held(1, i64::MAX - 4)]);
    given(rich()).when(hold(i64::MAX - 3)).then([hold_declined(DeclineReason::InsufficientFunds)]);
}

#[test]
fn a_destination_promises_or_says_why_not() {
    use DeclineReason as R;
    given([opened(0)]).when(expect(100)).then([expected(1, 100)]);
    given([]).when(expect(100)).then([declined(R::AccountNotFound)]);
    given([opened(0), frozen()]).when(expect(100)).then([declined(R::AccountFrozen)]);
    given([opened(0), closed()]).when(expect(100)).then([declined(R::AccountClosed)]);
    let euros = C::ExpectTransfer { transfer_id: transfer_id(1), from: account_id(9), amount: 1, currency: eur() };
    given([opened(0)]).when(euros).then([declined(R::CurrencyMismatch)]);
}

#[test]
fn a_destination_promises_only_what_fits_beside_its_other_promises() {
    given([opened(0), deposited(i64::MAX - 10)]).when(expect(10)).then([expected(1, 10)]);
    given([opened(0), deposited(i64::MAX - 10)]).when(expect(11)).then([declined(DeclineReason::BalanceTooLarge)]);
    given([opened(0), expected(2, i64::MAX)]).when(expect(1)).then([declined(DeclineReason::BalanceTooLarge)]);
}

#[test]
fn after_the_promise_a_freeze_refuses_nothing() {
    given([opened(0), deposited(100), held(1, 100), frozen()]).when(capture()).then([captured(100)]);
    given([opened(0), deposited(100), held(1, 100), frozen()]).when(release()).then([released(100)]);
    given([opened(0), expected(1, 100), frozen()]).when(credit()).then([credited(100)]);
}

#[test]
fn a_capture_takes_the_money_and_frees_the_hold() {
    let state: Account = replay([opened(0), deposited(100), held(1, 60), captured(60)]);
    assert_eq!((state.balance, state.held, state.available()), (40, 0, 40));
}

#[test]
fn a_release_gives_the_hold_back() {
    let state: Account = replay([opened(0), deposited(100), held(1, 60), released(60)]);
    assert_eq!((state.balance, state.held, state.available()), (100, 0, 100));
}

#[test]
fn a_promise_is_no_balance_until_the_money_is_credited() {
    let state: Account = replay([opened(0), expected(1, 60)]);
    assert_eq!((state.balance, state.expected, state.available()), (0, 60, 0));
    let state: Account = replay([opened(0), expected(1, 60), credited(60)]);
    assert_eq!((state.balance, state.expected, state.available()), (60, 0, 60));
}

#[test]
fn a_late_copy_of_a_step_changes_nothing() {
    given([opened(0), deposited(100), held(1, 60)]).when(hold(60)).then_nothing();
    given([opened(0), deposited(100), held(1, 60), captured(60)]).when(hold(60)).then_nothing();
    given([opened(0), deposited(100), held(1, 60), captured(60)]).when(capture()).then_nothing();
    given([opened(0), deposited(100), held(1, 60), released(60)]).when(hold(60)).then_nothing();
    given([opened(0), deposited(100), held(1, 60), released(60)]).when(release()).then_nothing();
    given([opened(0), expected(1, 60)]).when(expect(60)).then_nothing();
    given([opened(0), expected(1, 60), credited(60)]).when(expect(60)).then_nothing();
    given([opened(0), expected(1, 60), credited(60)]).when(credit()).then_nothing();
}

#[test]
fn a_declined_step_stays_declined_even_when_it_could_be_taken_now() {
    given([opened(0), hold_declined(DeclineReason::InsufficientFunds), deposited(100)]).when(hold(60)).then_nothing();
    let frozen_then = [opened(0), frozen(), declined(DeclineReason::AccountFrozen), E::AccountUnfrozen {}];
    given(frozen_then).when(expect(60)).then_nothing();
}

#[test]
fn steps_are_not_taken_out_of_order() {
    let out_of_order = Rejection::TransferStepOutOfOrder;
    let declined_hold = || [opened(0), hold_declined(DeclineReason::InsufficientFunds)];
    let was_captured = || [opened(0), deposited(60), held(1, 60), captured(60)];
    let was_released = || [opened(0), deposited(60), held(1, 60), released(60)];
    for early in [capture(), release(), credit()] {
        given([opened(100)]).when(early.clone()).then_err(out_of_order.clone());
        given([]).when(early.clone()).then_err(out_of_order.clone());
        given([opened(0), closed()]).when(early.clone()).then_err(out_of_order.clone());
        given(declined_hold()).when(early).then_err(out_of_order.clone());
    }
    given(was_captured()).when(release()).then_err(out_of_order.clone());
    given(was_released()).when(capture()).then_err(out_of_order.clone());
    given([opened(0), declined(DeclineReason::AccountFrozen)]).when(credit()).then_err(out_of_order);
}
