//! `given(events).when(command).then(events)` (or `.then_err(rejection)`), after disintegrate's test helper, and the
//! small vocabulary that the tests share.

use std::fmt::Debug;

use app::domain::{
    AccountId, Currency, Date, EventId, Rejection, TransferId, UserId,
    account::{self, Account, AccountCommand, AccountEvent},
    transfer::{self, Transfer, TransferCommand, TransferEvent},
};
use uuid::Uuid;

/// An aggregate as the tests see it.
pub trait Aggregate: Default {
    type Command;
    type Event: Debug + PartialEq;
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Rejection>;
    fn evolve(self, event: &Self::Event) -> Self;
}

impl Aggregate for Account {
    type Command = AccountCommand;
    type Event = AccountEvent;
    fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, Rejection> {
        account::decide(self, command)
    }
    fn evolve(self, event: &AccountEvent) -> Self {
        account::evolve(self, event)
    }
}

impl Aggregate for Transfer {
    type Command = TransferCommand;
    type Event = TransferEvent;
    fn decide(&self, command: TransferCommand) -> Result<Vec<TransferEvent>, Rejection> {
        transfer::decide(self, command)
    }
    fn evolve(self, event: &TransferEvent) -> Self {
        transfer::evolve(self, event)
    }
}

pub fn replay<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> A {
    events.into_iter().fold(A::default(), |state, event| state.evolve(&event))
}

pub struct Given<A>(A);

/// An account after these events.
pub fn given(events: impl IntoIterator<Item = AccountEvent>) -> Given<Account> {
    Given(replay(events))
}

/// A transfer after these events.
pub fn given_transfer(events: impl IntoIterator<Item = TransferEvent>) -> Given<Transfer> {
    Given(replay(events))
}

impl<A: Aggregate> Given<A> {
    pub fn when(self, command: A::Command) -> Then<A::Event> {
        Then(self.0.decide(command))
    }
}

#[must_use = "a command without an expectation tests nothing"]
pub struct Then<E>(Result<Vec<E>, Rejection>);

impl<E: Debug + PartialEq> Then<E> {
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = E>) {
        assert_eq!(self.0, Ok(events.into_iter().collect()));
    }

    /// Accepted, and nothing happens.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub fn then_err(self, rejection: Rejection) {
        assert_eq!(self.0, Err(rejection));
    }
}

pub fn czk() -> Currency {
    "CZK".parse().unwrap()
}

pub fn eur() -> Currency {
    "EUR".parse().unwrap()
}

/// Account number `n`.
pub fn account_id(n: u128) -> AccountId {
    AccountId(Uuid::from_u128(0xA000 + n))
}

/// Transfer number `n`.
pub fn transfer_id(n: u128) -> TransferId {
    TransferId(Uuid::from_u128(0x7000 + n))
}

/// Event number `n`.
pub fn event_id(n: u128) -> EventId {
    EventId(Uuid::from_u128(0xE000 + n))
}

pub fn owner() -> UserId {
    UserId(Uuid::from_u128(0xB0B))
}

/// The 20th of November 2026 plus `n` days; 2 is "today".
pub fn day(n: i32) -> Date {
    Date::from_days(Date::new(2026, 11, 20).unwrap().days() + n)
}

pub fn opened(overdraft_limit: i64) -> AccountEvent {
    AccountEvent::AccountOpened { owner: owner(), name: "Everyday".to_owned(), currency: czk(), overdraft_limit }
}

pub fn deposited(amount: i64) -> AccountEvent {
    AccountEvent::MoneyDeposited { amount, effective_on: day(0), description: None }
}

pub fn withdrawn(amount: i64) -> AccountEvent {
    AccountEvent::MoneyWithdrawn { amount, effective_on: day(0), description: None }
}

pub fn frozen() -> AccountEvent {
    AccountEvent::AccountFrozen { reason: "card lost".to_owned() }
}

pub fn closed() -> AccountEvent {
    AccountEvent::AccountClosed {}
}

pub fn held(n: u128, amount: i64) -> AccountEvent {
    AccountEvent::FundsHeld { transfer_id: transfer_id(n), to: account_id(9), amount, currency: czk() }
}

pub fn expected(n: u128, amount: i64) -> AccountEvent {
    AccountEvent::TransferExpected { transfer_id: transfer_id(n), from: account_id(9), amount }
}
