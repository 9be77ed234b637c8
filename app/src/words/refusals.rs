//! Why something was not done, and the form's field that it is about.

use crate::{
    api::AppError,
    domain::{AmountError, Currency, Rejection},
    locale::Locale,
};

use super::money;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn czk() -> Currency {
        "CZK".parse().unwrap()
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
}
