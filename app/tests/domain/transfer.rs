//! The transfer's own stream, in every state, and which command follows from which event.

use app::domain::{
    Rejection,
    account::{AccountCommand, AccountEvent, DeclineReason},
    transfer::{Step, TransferCommand as C, TransferEvent as E, after_account_event, after_transfer_event},
};

use crate::given::{account_id, czk, given_transfer, opened, transfer_id};

fn request(amount: i64) -> C {
    C::RequestTransfer { from: account_id(1), to: account_id(2), amount, currency: czk(), description: None }
}

fn requested() -> E {
    E::TransferRequested { from: account_id(1), to: account_id(2), amount: 100, currency: czk(), description: None }
}

fn completed() -> E {
    E::TransferCompleted {}
}

const FAIL: C = C::FailTransfer { reason: DeclineReason::Unavailable };

fn failed() -> E {
    E::TransferFailed { reason: DeclineReason::Unavailable }
}

#[test]
fn a_transfer_is_requested_once() {
    given_transfer([]).when(request(100)).then([requested()]);
    given_transfer([requested()]).when(request(100)).then_err(Rejection::TransferAlreadyRequested);
    given_transfer([requested(), completed()]).when(request(100)).then_err(Rejection::TransferAlreadyRequested);
    given_transfer([requested(), failed()]).when(request(100)).then_err(Rejection::TransferAlreadyRequested);
}

#[test]
fn a_transfer_moves_a_positive_amount_between_two_accounts() {
    given_transfer([]).when(request(0)).then_err(Rejection::AmountNotPositive);
    given_transfer([]).when(request(-1)).then_err(Rejection::AmountNotPositive);
    let to_itself =
        C::RequestTransfer { from: account_id(1), to: account_id(1), amount: 1, currency: czk(), description: None };
    given_transfer([]).when(to_itself).then_err(Rejection::SameAccount);
    let wordy = C::RequestTransfer {
        from: account_id(1),
        to: account_id(2),
        amount: 1,
        currency: czk(),
        description: Some("x".repeat(281)),
    };
    given_transfer([]).when(wordy).then_err(Rejection::TextTooLong { field: "description".to_owned(), max: 280 });
}

#[test]
fn a_transfer_ends_once_one_way() {
    given_transfer([requested()]).when(C::CompleteTransfer).then([completed()]);
    given_transfer([requested()]).when(FAIL).then([failed()]);
    given_transfer([requested(), completed()]).when(C::CompleteTransfer).then_nothing();
    given_transfer([requested(), failed()]).when(FAIL).then_nothing();
    given_transfer([requested(), completed()]).when(FAIL).then_err(Rejection::TransferStepOutOfOrder);
    given_transfer([requested(), failed()]).when(C::CompleteTransfer).then_err(Rejection::TransferStepOutOfOrder);
    given_transfer([]).when(C::CompleteTransfer).then_err(Rejection::TransferStepOutOfOrder);
    given_transfer([]).when(FAIL).then_err(Rejection::TransferStepOutOfOrder);
}

#[test]
fn each_event_of_a_transfer_leads_to_the_next_step() {
    let (id, source, destination) = (transfer_id(1), account_id(1), account_id(2));
    let names = [
        after_transfer_event(id, &requested()).unwrap(),
        step(source, AccountEvent::FundsHeld { transfer_id: id, to: destination, amount: 100, currency: czk() }),
        step(destination, AccountEvent::TransferExpected { transfer_id: id, from: source, amount: 100 }),
        step(source, AccountEvent::HoldCaptured { transfer_id: id, to: destination, amount: 100 }),
        step(destination, AccountEvent::TransferCredited { transfer_id: id, from: source, amount: 100 }),
    ]
    .map(|step| (step.name(), to(&step)));
    let expected = [
        ("hold_funds", Some(source)),
        ("expect_transfer", Some(destination)),
        ("capture_hold", Some(source)),
        ("credit_transfer", Some(destination)),
        ("complete_transfer", None),
    ];
    assert_eq!(names, expected);
    assert_eq!(after_transfer_event(id, &completed()), None);
    assert_eq!(after_transfer_event(id, &failed()), None);
    assert_eq!(after_account_event(source, &opened(0)), None);
}

#[test]
fn the_sender_does_not_learn_that_a_stranger_is_frozen() {
    let (id, source, destination) = (transfer_id(1), account_id(1), account_id(2));
    let told =
        |reason| match step(destination, AccountEvent::TransferDeclined { transfer_id: id, from: source, reason }) {
            Step::Account(to, AccountCommand::ReleaseHold { transfer_id, reason })
                if to == source && transfer_id == id =>
            {
                reason
            }
            other => panic!("{other:?}"),
        };
    assert_eq!(told(DeclineReason::AccountFrozen), DeclineReason::Unavailable);
    assert_eq!(told(DeclineReason::AccountClosed), DeclineReason::Unavailable);
    assert_eq!(told(DeclineReason::BalanceTooLarge), DeclineReason::Unavailable);
    assert_eq!(told(DeclineReason::AccountNotFound), DeclineReason::AccountNotFound);
    assert_eq!(told(DeclineReason::CurrencyMismatch), DeclineReason::CurrencyMismatch);
}

fn step(account: app::domain::AccountId, event: AccountEvent) -> Step {
    let (transfer, step) = after_account_event(account, &event).unwrap();
    assert_eq!(transfer, transfer_id(1));
    step
}

fn to(step: &Step) -> Option<app::domain::AccountId> {
    match step {
        Step::Account(id, _) => Some(*id),
        Step::Transfer(..) => None,
    }
}
