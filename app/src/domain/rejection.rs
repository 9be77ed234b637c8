//! Refusals: each names the rule that a command would have broken, with the numbers that show it.

use serde::{Deserialize, Serialize};

use super::{Currency, Date};

/// A rule said no. Amounts are minor units of the account's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Rejection {
    #[error("this account does not exist")]
    AccountNotFound,
    #[error("this account is already open")]
    AccountAlreadyOpen,
    #[error("this account is frozen")]
    AccountFrozen,
    #[error("this account is not frozen")]
    AccountNotFrozen,
    #[error("this account is closed")]
    AccountClosed,
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    #[error("not enough: {requested} asked, {available} available")]
    InsufficientFunds { requested: i64, available: i64 },
    #[error("the balance would be larger than this ledger can hold")]
    BalanceTooLarge,
    #[error("{effective_on} is in the future (today is {today})")]
    EffectiveInFuture { effective_on: Date, today: Date },
    #[error("an overdraft limit is zero or more")]
    LimitNegative,
    #[error("the limit {limit} is below the overdraft in use, {in_use}")]
    LimitBelowUse { limit: i64, in_use: i64 },
    #[error("the overdraft limit is {limit} already")]
    LimitUnchanged { limit: i64 },
    #[error("only an empty account can be closed; the balance is {balance}")]
    BalanceNotZero { balance: i64 },
    #[error("money is held for a transfer: {held}")]
    MoneyHeld { held: i64 },
    #[error("a transfer is on its way here: {expected}")]
    MoneyExpected { expected: i64 },
    #[error("no such entry in this account")]
    EntryNotFound,
    #[error("this entry was already reversed")]
    EntryAlreadyReversed,
    #[error("only a deposit or a withdrawal can be reversed")]
    EntryNotReversible,
    #[error("{field} is empty")]
    TextEmpty { field: String },
    #[error("{field} is longer than {max} characters")]
    TextTooLong { field: String, max: usize },
    #[error("{field} holds control characters; line breaks and tabs are all right")]
    TextNotPrintable { field: String },
    #[error("source and destination are the same account")]
    SameAccount,
    #[error("the account is kept in {expected}, not in {given}")]
    CurrencyMismatch { expected: Currency, given: Currency },
    #[error("a transfer with this id was already requested")]
    TransferAlreadyRequested,
    #[error("this transfer has no such step to take now")]
    TransferStepOutOfOrder,
}

impl Rejection {
    /// The stable code, as in the API: `insufficient_funds`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AccountNotFound => "account_not_found",
            Self::AccountAlreadyOpen => "account_already_open",
            Self::AccountFrozen => "account_frozen",
            Self::AccountNotFrozen => "account_not_frozen",
            Self::AccountClosed => "account_closed",
            Self::AmountNotPositive => "amount_not_positive",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::BalanceTooLarge => "balance_too_large",
            Self::EffectiveInFuture { .. } => "effective_in_future",
            Self::LimitNegative => "limit_negative",
            Self::LimitBelowUse { .. } => "limit_below_use",
            Self::LimitUnchanged { .. } => "limit_unchanged",
            Self::BalanceNotZero { .. } => "balance_not_zero",
            Self::MoneyHeld { .. } => "money_held",
            Self::MoneyExpected { .. } => "money_expected",
            Self::EntryNotFound => "entry_not_found",
            Self::EntryAlreadyReversed => "entry_already_reversed",
            Self::EntryNotReversible => "entry_not_reversible",
            Self::TextEmpty { .. } => "text_empty",
            Self::TextTooLong { .. } => "text_too_long",
            Self::TextNotPrintable { .. } => "text_not_printable",
            Self::SameAccount => "same_account",
            Self::CurrencyMismatch { .. } => "currency_mismatch",
            Self::TransferAlreadyRequested => "transfer_already_requested",
            Self::TransferStepOutOfOrder => "transfer_step_out_of_order",
        }
    }
}

/// At most this many characters in a name.
pub const NAME_MAX: usize = 80;
/// At most this many characters in a description or a reason.
pub const TEXT_MAX: usize = 280;

pub(super) fn required(field: &str, text: &str, max: usize) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::TextEmpty { field: field.to_owned() });
    }
    plain(field, text, max)
}

/// What every reason that someone gives has to be: there, and not too long.
pub fn check_reason(reason: &str) -> Result<(), Rejection> {
    required("reason", reason, TEXT_MAX)
}

/// Up to `max` characters, line breaks and tabs among them but no other control characters: no database, page or file
/// shows those.
pub(super) fn plain(field: &str, text: &str, max: usize) -> Result<(), Rejection> {
    if text.chars().count() > max {
        return Err(Rejection::TextTooLong { field: field.to_owned(), max });
    }
    if text.chars().any(|c| c.is_control() && !"\t\n\r".contains(c)) {
        return Err(Rejection::TextNotPrintable { field: field.to_owned() });
    }
    Ok(())
}
