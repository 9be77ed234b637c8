//! Money: whole minor units (`i64`) of an ISO 4217 currency. Never a float.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An ISO 4217 currency that has minor units (gold and the like have none and are refused).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: iso_currency::Currency,
    exponent: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a currency of ISO 4217 (like CZK, EUR, JPY): {0:?}")]
pub struct CurrencyError(pub String);

impl Currency {
    /// Three capital letters.
    pub fn code(self) -> &'static str {
        self.code.code()
    }

    /// In English words: `Czech koruna`.
    pub fn name(self) -> String {
        self.code.name().to_owned()
    }

    /// Decimal digits of the minor unit: 2 for CZK, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u8 {
        self.exponent
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let error = || CurrencyError(text.to_owned());
        let code = iso_currency::Currency::from_code(text).ok_or_else(error)?;
        let exponent = code.exponent().and_then(|digits| u8::try_from(digits).ok()).ok_or_else(error)?;
        Ok(Self { code, exponent })
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Why a text is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("no amount given")]
    Empty,
    #[error("an amount has no sign")]
    Signed,
    #[error("only digits and one decimal point make an amount, like 1234.50")]
    NotANumber,
    #[error("too many decimals: {currency} has {allowed}")]
    TooManyDecimals { currency: Currency, allowed: u8 },
    #[error("larger than this ledger can hold")]
    TooLarge,
}

/// Parses the plain form (`1234.5`, no grouping, no sign) into minor units.
///
/// Exact: a digit that the currency cannot hold is refused, never rounded.
pub fn parse_amount(text: &str, currency: Currency) -> Result<i64, AmountError> {
    if text.trim().is_empty() {
        return Err(AmountError::Empty);
    }
    if text.starts_with(['-', '+']) {
        return Err(AmountError::Signed);
    }
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(AmountError::NotANumber),
        Some(parts) => parts,
        None => (text, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::NotANumber);
    }
    let allowed = currency.exponent();
    if fraction.len() > usize::from(allowed) {
        return Err(AmountError::TooManyDecimals { currency, allowed });
    }
    let zeros = std::iter::repeat_n(b'0', usize::from(allowed) - fraction.len());
    whole
        .bytes()
        .chain(fraction.bytes())
        .chain(zeros)
        .try_fold(0i64, |minor, digit| minor.checked_mul(10)?.checked_add(i64::from(digit - b'0')))
        .ok_or(AmountError::TooLarge)
}

/// The plain form: `-1234.50`, always with all decimals of the currency.
pub fn format_amount(minor: i64, currency: Currency) -> String {
    let digits = usize::from(currency.exponent());
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0width$}", minor.unsigned_abs(), width = digits + 1);
    match text.split_at_checked(text.len() - digits) {
        Some((whole, fraction)) if digits > 0 => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{text}"),
    }
}
