//! What people may ask of an account, in every state: absent, open, frozen, closed.

use app::domain::{
    Rejection,
    account::{Account, AccountCommand as C, AccountEvent as E},
};

use crate::given::{closed, czk, day, deposited, expected, frozen, given, held, opened, owner, replay, withdrawn};

fn open(name: &str, overdraft_limit: i64) -> C {
    C::OpenAccount { owner: owner(), name: name.to_owned(), currency: czk(), overdraft_limit }
}

fn deposit(amount: i64) -> C {
    C::DepositMoney { amount, effective_on: day(0), today: day(2), description: None }
}

fn withdraw(amount: i64) -> C {
    C::WithdrawMoney { amount, effective_on: day(0), today: day(2), description: None }
}

fn freeze(reason: &str) -> C {
    C::FreezeAccount { reason: reason.to_owned() }
}

fn limit(limit: i64) -> C {
    C::ChangeOverdraftLimit { limit }
}

fn empty(field: &str) -> Rejection {
    Rejection::TextEmpty { field: field.to_owned() }
}

fn too_long(field: &str, max: usize) -> Rejection {
    Rejection::TextTooLong { field: field.to_owned(), max }
}

#[test]
fn an_account_is_opened_once() {
    given([]).when(open("Everyday", 0)).then([opened(0)]);
    given([opened(0)]).when(open("Everyday", 0)).then_err(Rejection::AccountAlreadyOpen);
    given([opened(0), frozen()]).when(open("Everyday", 0)).then_err(Rejection::AccountAlreadyOpen);
    given([opened(0), closed()]).when(open("Everyday", 0)).then_err(Rejection::AccountClosed);
}

#[test]
fn opening_checks_name_and_limit() {
    given([]).when(open(" ", 0)).then_err(empty("name"));
    given([]).when(open(&"é".repeat(81), 0)).then_err(too_long("name", 80));
    for name in ["a\0b", "bell\u{7}", "\u{9f}"] {
        given([]).when(open(name, 0)).then_err(Rejection::TextNotPrintable { field: "name".to_owned() });
    }
    assert!(app::domain::account::decide(&Account::default(), open(&"é".repeat(80), 0)).is_ok());
    given([]).when(open("Everyday", -1)).then_err(Rejection::LimitNegative);
    given([]).when(open("Everyday", i64::MAX)).then([opened(i64::MAX)]);
}

#[test]
fn an_account_that_declined_a_transfer_before_it_existed_can_be_opened() {
    let declined = E::HoldDeclined {
        transfer_id: crate::given::transfer_id(1),
        reason: app::domain::account::DeclineReason::AccountNotFound,
    };
    given([declined]).when(open("Everyday", 0)).then([opened(0)]);
}

#[test]
fn deposits_need_an_open_account() {
    given([opened(0)]).when(deposit(100)).then([deposited(100)]);
    given([]).when(deposit(100)).then_err(Rejection::AccountNotFound);
    given([opened(0), frozen()]).when(deposit(100)).then_err(Rejection::AccountFrozen);
    given([opened(0), closed()]).when(deposit(100)).then_err(Rejection::AccountClosed);
}

#[test]
fn withdrawals_need_an_open_account() {
    given([opened(0), deposited(100)]).when(withdraw(100)).then([withdrawn(100)]);
    given([]).when(withdraw(100)).then_err(Rejection::AccountNotFound);
    given([opened(0), deposited(100), frozen()]).when(withdraw(100)).then_err(Rejection::AccountFrozen);
    given([opened(0), closed()]).when(withdraw(100)).then_err(Rejection::AccountClosed);
}

#[test]
fn amounts_are_more_than_zero() {
    for amount in [0, -1, i64::MIN] {
        given([opened(0)]).when(deposit(amount)).then_err(Rejection::AmountNotPositive);
        given([opened(0)]).when(withdraw(amount)).then_err(Rejection::AmountNotPositive);
    }
}

#[test]
fn an_entry_may_be_late_but_not_early() {
    let on = |n| C::DepositMoney { amount: 1, effective_on: day(n), today: day(2), description: None };
    given([opened(0)]).when(on(2)).then([E::MoneyDeposited { amount: 1, effective_on: day(2), description: None }]);
    given([opened(0)]).when(on(3)).then_err(Rejection::EffectiveInFuture { effective_on: day(3), today: day(2) });
    let out = C::WithdrawMoney { amount: 1, effective_on: day(3), today: day(2), description: None };
    given([opened(9)]).when(out).then_err(Rejection::EffectiveInFuture { effective_on: day(3), today: day(2) });
}

#[test]
fn a_description_has_280_characters_at_most() {
    let say =
        |text: String| C::DepositMoney { amount: 1, effective_on: day(0), today: day(2), description: Some(text) };
    let fits = "ř".repeat(280);
    let event = E::MoneyDeposited { amount: 1, effective_on: day(0), description: Some(fits.clone()) };
    given([opened(0)]).when(say(fits)).then([event]);
    given([opened(0)]).when(say("ř".repeat(281))).then_err(too_long("description", 280));
}

#[test]
fn a_balance_never_grows_beyond_what_i64_holds() {
    given([opened(0)]).when(deposit(i64::MAX)).then([deposited(i64::MAX)]);
    given([opened(0), deposited(i64::MAX)]).when(deposit(1)).then_err(Rejection::BalanceTooLarge);
    // Room is kept for what was promised.
    given([opened(0), expected(1, 10)]).when(deposit(i64::MAX - 10)).then([deposited(i64::MAX - 10)]);
    given([opened(0), expected(1, 10)]).when(deposit(i64::MAX - 9)).then_err(Rejection::BalanceTooLarge);
}

#[test]
fn one_can_spend_balance_minus_held_plus_overdraft() {
    let history = || [opened(50), deposited(100), held(1, 30)];
    assert_eq!(replay::<Account>(history()).available(), 120);
    given(history()).when(withdraw(120)).then([withdrawn(120)]);
    given(history()).when(withdraw(121)).then_err(Rejection::InsufficientFunds { requested: 121, available: 120 });
    assert_eq!(replay::<Account>([opened(i64::MAX), deposited(i64::MAX)]).available(), i64::MAX);
}

#[test]
fn a_limit_is_not_set_below_what_is_in_use() {
    given([opened(0)]).when(limit(500)).then([E::OverdraftLimitChanged { limit: 500 }]);
    given([opened(500)]).when(limit(500)).then_err(Rejection::LimitUnchanged { limit: 500 });
    given([opened(500)]).when(limit(-1)).then_err(Rejection::LimitNegative);
    let in_use = || [opened(500), withdrawn(100), held(1, 50)];
    given(in_use()).when(limit(150)).then([E::OverdraftLimitChanged { limit: 150 }]);
    given(in_use()).when(limit(149)).then_err(Rejection::LimitBelowUse { limit: 149, in_use: 150 });
}

#[test]
fn a_limit_can_be_changed_while_frozen_but_not_without_an_account() {
    given([opened(0), frozen()]).when(limit(500)).then([E::OverdraftLimitChanged { limit: 500 }]);
    given([]).when(limit(500)).then_err(Rejection::AccountNotFound);
    given([opened(0), closed()]).when(limit(500)).then_err(Rejection::AccountClosed);
}

#[test]
fn freezing_needs_an_open_account_and_a_reason() {
    given([opened(0)]).when(freeze("card lost")).then([frozen()]);
    given([opened(0)]).when(freeze("  ")).then_err(empty("reason"));
    given([opened(0)]).when(freeze(&"x".repeat(281))).then_err(too_long("reason", 280));
    given([]).when(freeze("card lost")).then_err(Rejection::AccountNotFound);
    given([opened(0), frozen()]).when(freeze("card lost")).then_err(Rejection::AccountFrozen);
    given([opened(0), closed()]).when(freeze("card lost")).then_err(Rejection::AccountClosed);
}

#[test]
fn unfreezing_needs_a_frozen_account() {
    given([opened(0), frozen()]).when(C::UnfreezeAccount).then([E::AccountUnfrozen {}]);
    given([]).when(C::UnfreezeAccount).then_err(Rejection::AccountNotFound);
    given([opened(0)]).when(C::UnfreezeAccount).then_err(Rejection::AccountNotFrozen);
    given([opened(0), closed()]).when(C::UnfreezeAccount).then_err(Rejection::AccountClosed);
    given([opened(0), frozen(), E::AccountUnfrozen {}]).when(deposit(1)).then([deposited(1)]);
}
