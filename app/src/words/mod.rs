//! Events, refusals and states in plain words, for the server's pages and the browser's islands alike.

mod refusals;

pub use refusals::{describe_amount_error, describe_error, describe_rejection, rejected_field};

use crate::{
    domain::{
        Currency,
        account::{AccountEvent, DeclineReason, Direction, Status},
        session::{EndReason, SessionEvent},
        transfer::TransferEvent,
    },
    locale::Locale,
    wire::{EntryKind, Event, ProjectionEvent, TransferState},
};

/// The small mark in front of an event or entry; `name` is its `data-kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    In,
    Out,
    Move,
    Fix,
    Undo,
    Open,
    Stop,
}

impl Mark {
    /// As styles know it: colour follows from it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Move => "move",
            Self::Fix | Self::Undo => "fix",
            Self::Open => "open",
            Self::Stop => "stop",
        }
    }
}

/// An event in words: what happened, and what people wrote about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub mark: Mark,
    pub text: String,
    pub note: Option<String>,
}

/// What happened. `currency`: of the account that the event is about, where the event does not say.
pub fn say_event(event: &Event, currency: Option<Currency>, locale: &Locale) -> Said {
    let money = |minor| money(minor, currency, locale);
    let said = |mark, text: String, note: Option<&String>| Said { mark, text, note: note.cloned() };
    match event {
        Event::Account(event) => match event {
            AccountEvent::AccountOpened { name, currency, overdraft_limit, .. } => {
                let limit = (*overdraft_limit > 0)
                    .then(|| format!("overdraft up to {}", locale.format_money(*overdraft_limit, *currency)));
                said(Mark::Open, format!("Opened {name} in {currency}"), limit.as_ref())
            }
            AccountEvent::MoneyDeposited { amount, description, .. } => {
                said(Mark::In, format!("Deposited {}", money(*amount)), description.as_ref())
            }
            AccountEvent::MoneyWithdrawn { amount, description, .. } => {
                said(Mark::Out, format!("Withdrew {}", money(*amount)), description.as_ref())
            }
            AccountEvent::EntryReversed { direction, amount, reason, .. } => {
                let what = match direction {
                    Direction::In => "a deposit",
                    Direction::Out => "a withdrawal",
                };
                said(Mark::Undo, format!("Reversed {what} of {}", money(*amount)), Some(reason))
            }
            AccountEvent::OverdraftLimitChanged { limit } => {
                said(Mark::Fix, format!("Overdraft limit set to {}", money(*limit)), None)
            }
            AccountEvent::AccountFrozen { reason } => said(Mark::Fix, "Frozen".to_owned(), Some(reason)),
            AccountEvent::AccountUnfrozen {} => said(Mark::Fix, "Unfrozen".to_owned(), None),
            AccountEvent::AccountClosed {} => said(Mark::Fix, "Closed".to_owned(), None),
            AccountEvent::FundsHeld { amount, .. } => said(Mark::Move, format!("Held {}", money(*amount)), None),
            AccountEvent::HoldDeclined { reason, .. } => {
                said(Mark::Stop, format!("Hold declined: {}", decline(*reason)), None)
            }
            AccountEvent::TransferExpected { amount, .. } => {
                said(Mark::Move, format!("Promised to take {}", money(*amount)), None)
            }
            AccountEvent::TransferDeclined { reason, .. } => {
                said(Mark::Stop, format!("Transfer declined: {}", decline(*reason)), None)
            }
            AccountEvent::HoldCaptured { amount, .. } => {
                said(Mark::Move, format!("Money left: {} in transit", money(*amount)), None)
            }
            AccountEvent::TransferCredited { amount, .. } => {
                said(Mark::Move, format!("Money arrived: {}", money(*amount)), None)
            }
            AccountEvent::HoldReleased { amount, reason, .. } => {
                said(Mark::Move, format!("Hold of {} released: {}", money(*amount), decline(*reason)), None)
            }
        },
        Event::Transfer(event) => match event {
            TransferEvent::TransferRequested { amount, currency, description, .. } => said(
                Mark::Move,
                format!("Transfer of {} requested", locale.format_money(*amount, *currency)),
                description.as_ref(),
            ),
            TransferEvent::TransferCompleted {} => said(Mark::Move, "Transfer completed".to_owned(), None),
            TransferEvent::TransferFailed { reason } => {
                said(Mark::Stop, format!("Transfer declined: {}", decline(*reason)), None)
            }
        },
        Event::Session(event) => match event {
            SessionEvent::SessionEnded { .. } => said(Mark::Fix, "Signed out".to_owned(), None),
            SessionEvent::UserSessionsEnded { reason, .. } => {
                let why = match reason {
                    EndReason::PasswordChanged => "password changed",
                    EndReason::RolesChanged => "roles changed",
                    EndReason::UserDisabled => "user disabled",
                };
                said(Mark::Fix, format!("All sessions ended: {why}"), None)
            }
        },
        Event::Projection(ProjectionEvent::EventSkipped { projection, position, reason, .. }) => said(
            Mark::Fix,
            format!("Projection {projection} goes on without event {}", locale.format_count(position.0)),
            Some(reason),
        ),
    }
}

/// "Deposited 9,300.00 CZK · salary".
pub fn describe_event(event: &Event, currency: Option<Currency>, locale: &Locale) -> String {
    let said = say_event(event, currency, locale);
    match said.note {
        Some(note) => format!("{} · {note}", said.text),
        None => said.text,
    }
}

/// Why a side of a transfer refused, after a colon.
pub fn decline(reason: DeclineReason) -> &'static str {
    match reason {
        DeclineReason::AccountNotFound => "there is no such account",
        DeclineReason::AccountFrozen => "the account is frozen",
        DeclineReason::AccountClosed => "the account is closed",
        DeclineReason::CurrencyMismatch => "the accounts have different currencies",
        DeclineReason::InsufficientFunds => "not enough available",
        DeclineReason::BalanceTooLarge => "the balance would be too large",
        DeclineReason::Unavailable => "that account cannot take it",
    }
}

/// "Held", "Declined: that account cannot take it".
pub fn transfer_state(state: TransferState, reason: Option<DeclineReason>) -> String {
    let word = match state {
        TransferState::Requested => "Requested",
        TransferState::Held => "Held",
        TransferState::Promised => "Promised",
        TransferState::InTransit => "In transit",
        TransferState::Completed => "Completed",
        TransferState::Declined => "Declined",
    };
    match reason {
        Some(reason) => format!("{word}: {}", decline(reason)),
        None => word.to_owned(),
    }
}

/// "Open", "Frozen", "Closed".
pub fn account_status(status: Status) -> &'static str {
    match status {
        Status::Absent => "Not there yet",
        Status::Open => "Open",
        Status::Frozen => "Frozen",
        Status::Closed => "Closed",
    }
}

/// What an entry of a statement is, and its mark.
pub fn entry_kind(kind: EntryKind) -> (Mark, &'static str) {
    match kind {
        EntryKind::Deposit => (Mark::In, "Deposit"),
        EntryKind::Withdrawal => (Mark::Out, "Withdrawal"),
        EntryKind::TransferIn => (Mark::Move, "Transfer from"),
        EntryKind::TransferOut => (Mark::Move, "Transfer to"),
        EntryKind::Reversal => (Mark::Undo, "Reversal"),
    }
}

fn money(minor: i64, currency: Option<Currency>, locale: &Locale) -> String {
    match currency {
        Some(currency) => locale.format_money(minor, currency),
        None => format!("{minor} minor units"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountId, Date, EventId, TransferId};

    fn czk() -> Currency {
        "CZK".parse().unwrap()
    }

    fn account(event: AccountEvent) -> String {
        describe_event(&Event::Account(event), Some(czk()), &Locale::default())
    }

    #[test]
    fn events_are_told_in_words() {
        let today = Date::new(2026, 11, 22).unwrap();
        let id = uuid::Uuid::nil();
        assert_eq!(
            account(AccountEvent::MoneyDeposited {
                amount: 930_000,
                effective_on: today,
                description: Some("salary".to_owned())
            }),
            "Deposited 9,300.00 CZK · salary"
        );
        assert_eq!(
            account(AccountEvent::EntryReversed {
                event_id: EventId(id),
                direction: Direction::Out,
                amount: 12_900,
                effective_on: today,
                reason: "charged twice".to_owned()
            }),
            "Reversed a withdrawal of 129.00 CZK · charged twice"
        );
        assert_eq!(
            account(AccountEvent::HoldReleased {
                transfer_id: TransferId(id),
                amount: 100,
                reason: DeclineReason::Unavailable
            }),
            "Hold of 1.00 CZK released: that account cannot take it"
        );
        let requested = Event::Transfer(TransferEvent::TransferRequested {
            from: AccountId(id),
            to: AccountId(id),
            amount: 1500,
            currency: "JPY".parse().unwrap(),
            description: None,
        });
        assert_eq!(describe_event(&requested, None, &Locale::default()), "Transfer of 1,500 JPY requested");
    }

    #[test]
    fn states_say_why() {
        assert_eq!(transfer_state(TransferState::InTransit, None), "In transit");
        assert_eq!(
            transfer_state(TransferState::Declined, Some(DeclineReason::AccountNotFound)),
            "Declined: there is no such account"
        );
    }
}
