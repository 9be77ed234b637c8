//! Events, refusals and states in plain words, for the server's pages and the browser's islands alike.

use crate::{
    api::AppError,
    domain::{
        AmountError, Currency, Rejection,
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

/// A refusal in words: "Not enough: 1,200.00 asked, 480.00 available."
pub fn describe_rejection(rejection: &Rejection, currency: Option<Currency>, locale: &Locale) -> String {
    use Rejection as R;
    // The currency stands beside the field: the bare number reads better.
    let amount = |minor: i64| match currency {
        Some(currency) => locale.format_amount(minor, currency),
        None => minor.to_string(),
    };
    let money = |minor| money(minor, currency, locale);
    match rejection {
        R::AccountNotFound => "There is no such account.".to_owned(),
        R::AccountAlreadyOpen => "This account is open already.".to_owned(),
        R::AccountFrozen => "This account is frozen: nothing can be taken from it or put in.".to_owned(),
        R::AccountNotFrozen => "This account is not frozen.".to_owned(),
        R::AccountClosed => "This account is closed.".to_owned(),
        R::AmountNotPositive => "The amount must be more than zero.".to_owned(),
        R::InsufficientFunds { requested, available } => {
            format!("Not enough: {} asked, {} available.", amount(*requested), amount(*available))
        }
        R::BalanceTooLarge => "The balance would be larger than this ledger can hold.".to_owned(),
        R::EffectiveInFuture { effective_on, today } => format!(
            "{} is in the future; today is {} (UTC).",
            locale.format_date(*effective_on),
            locale.format_date(*today)
        ),
        R::LimitNegative => "An overdraft limit is zero or more.".to_owned(),
        R::LimitUnchanged { limit } => format!("The limit is {} already.", amount(*limit)),
        R::LimitBelowUse { in_use, .. } => format!("Too low: {} of the overdraft is in use.", amount(*in_use)),
        R::BalanceNotZero { balance } => {
            let way = if *balance > 0 { "Withdraw or transfer it first." } else { "Pay it back first." };
            format!("Not closed: the balance is {} and must be {}. {way}", money(*balance), amount(0))
        }
        R::MoneyHeld { held } => format!("Not closed: {} is held for a transfer. Wait until it ends.", money(*held)),
        R::MoneyExpected { expected } => {
            format!("Not closed: a transfer of {} is on its way here. Wait until it arrives.", money(*expected))
        }
        R::EntryNotFound => "There is no such entry in this account.".to_owned(),
        R::EntryAlreadyReversed => "This entry was reversed already.".to_owned(),
        R::EntryNotReversible => "Only a deposit or a withdrawal can be reversed.".to_owned(),
        R::TextEmpty { field } => format!("Give a {field}."),
        R::TextNotPrintable { .. } => "Some of its characters cannot be printed: leave them out.".to_owned(),
        R::TextTooLong { max, .. } => format!("At most {max} characters."),
        R::SameAccount => "Source and destination are the same account.".to_owned(),
        R::CurrencyMismatch { expected, given } => format!("This account is kept in {expected}, not in {given}."),
        R::TransferAlreadyRequested => "This transfer was requested already.".to_owned(),
        R::TransferStepOutOfOrder => "This transfer has no such step to take now.".to_owned(),
    }
}

/// The form field that a refusal is about; `None`: the whole form.
pub fn rejected_field(rejection: &Rejection) -> Option<&str> {
    use Rejection as R;
    match rejection {
        R::AmountNotPositive | R::InsufficientFunds { .. } | R::BalanceTooLarge => Some("amount"),
        R::EffectiveInFuture { .. } => Some("effective_on"),
        R::LimitNegative | R::LimitBelowUse { .. } | R::LimitUnchanged { .. } => Some("limit"),
        R::TextEmpty { field } | R::TextTooLong { field, .. } | R::TextNotPrintable { field } => Some(field),
        R::SameAccount => Some("to"),
        R::AccountNotFound
        | R::AccountAlreadyOpen
        | R::AccountFrozen
        | R::AccountNotFrozen
        | R::AccountClosed
        | R::BalanceNotZero { .. }
        | R::MoneyHeld { .. }
        | R::MoneyExpected { .. }
        | R::EntryNotFound
        | R::EntryAlreadyReversed
        | R::EntryNotReversible
        | R::CurrencyMismatch { .. }
        | R::TransferAlreadyRequested
        | R::TransferStepOutOfOrder => None,
    }
}

/// What was not done, in words: the form field it is about (`None`: the whole form), and why.
pub fn describe_error(error: &AppError, currency: Option<Currency>, locale: &Locale) -> (Option<String>, String) {
    let words = match error {
        AppError::Rejected { rejection } => {
            let field = rejected_field(rejection).map(str::to_owned);
            return (field, describe_rejection(rejection, currency, locale));
        }
        AppError::Invalid { field, message } => {
            let mut words = message.clone();
            if let Some(first) = words.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            return (Some(field.clone()), words);
        }
        AppError::WrongCredentials => "E-mail or password is wrong.".to_owned(),
        AppError::TooMany { retry_after } => format!("Too many tries. Try again in {}.", seconds(*retry_after)),
        AppError::Unavailable { retry_after } => {
            format!("Not available right now. Try again in {}.", seconds(*retry_after))
        }
        AppError::NotFound => "There is no such thing, or it is not yours to change.".to_owned(),
        AppError::NotSignedIn => "Please sign in again.".to_owned(),
        AppError::IdReused => {
            "This form was sent before with something else in it. Look at the account before you send it again."
                .to_owned()
        }
        AppError::VersionMismatch { .. } => "The account has changed meanwhile. Look at it and try again.".to_owned(),
        AppError::Internal { id } => {
            format!("Something went wrong here; nothing that was confirmed is lost. Error {id}.")
        }
    };
    (None, words)
}

fn seconds(seconds: u32) -> String {
    if seconds == 1 { "a second".to_owned() } else { format!("{seconds} seconds") }
}

/// Why a text is no amount, with an example as this reader would write it.
pub fn describe_amount_error(error: AmountError, currency: Currency, locale: &Locale) -> String {
    match error {
        AmountError::NotANumber => {
            let one = 10_i64.pow(currency.exponent().into());
            let signs = if one > 1 { "digits and one decimal sign make" } else { "digits make" };
            format!("only {signs} an amount, like {}", locale.format_amount(1234 * one + one / 2, currency))
        }
        AmountError::Empty | AmountError::Signed | AmountError::TooManyDecimals { .. } | AmountError::TooLarge => {
            error.to_string()
        }
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
    fn refusals_name_their_numbers_and_their_field() {
        let refusal = Rejection::InsufficientFunds { requested: 120_000, available: 48_000 };
        assert_eq!(
            describe_rejection(&refusal, Some(czk()), &Locale::default()),
            "Not enough: 1,200.00 asked, 480.00 available."
        );
        assert_eq!(rejected_field(&refusal), Some("amount"));
        let empty = Rejection::TextEmpty { field: "reason".to_owned() };
        assert_eq!(describe_rejection(&empty, None, &Locale::default()), "Give a reason.");
        assert_eq!(rejected_field(&empty), Some("reason"));
        assert_eq!(
            describe_rejection(&Rejection::BalanceNotZero { balance: -100 }, Some(czk()), &Locale::default()),
            "Not closed: the balance is \u{2212}1.00 CZK and must be 0.00. Pay it back first."
        );
    }

    #[test]
    fn an_example_of_an_amount_is_one_that_this_reader_may_type() {
        let german = Locale { group: '.', decimal: ',', ..Locale::default() };
        for (locale, code, words) in [
            (Locale::default(), "CZK", "only digits and one decimal sign make an amount, like 1,234.50"),
            (german, "CZK", "only digits and one decimal sign make an amount, like 1.234,50"),
            (german, "JPY", "only digits make an amount, like 1.234"),
        ] {
            let currency: Currency = code.parse().unwrap();
            assert_eq!(describe_amount_error(AmountError::NotANumber, currency, &locale), words);
            let (_, example) = words.rsplit_once(' ').unwrap();
            assert!(locale.parse_amount(example, currency).is_ok(), "{example}");
        }
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
