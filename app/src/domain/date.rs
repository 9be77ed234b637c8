//! A calendar day, written `YYYY-MM-DD`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A day of the proleptic Gregorian calendar, years 0001 to 9999; no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(time::Date);

/// 1970-01-01 as a Julian day number.
const EPOCH: i32 = 2_440_588;

/// The text was no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a date (like 2026-11-22): {0:?}")]
pub struct DateError(pub String);

impl Date {
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let month = time::Month::try_from(month).ok()?;
        (1..=9999).contains(&year).then(|| time::Date::from_calendar_date(year, month, day).ok().map(Self))?
    }

    /// The UTC day of a moment in microseconds since 1970.
    pub fn of_micros(micros: i64) -> Self {
        // At most 107 million days: always an i32.
        Self::from_days(i32::try_from(micros.div_euclid(86_400_000_000)).unwrap_or(i32::MAX))
    }

    /// The day that many days after 1970-01-01, clamped to the calendar's ends.
    pub fn from_days(days: i32) -> Self {
        let first = time::Date::from_ordinal_date(1, 1).unwrap_or(time::Date::MIN);
        let last = time::Date::from_ordinal_date(9999, 365).unwrap_or(time::Date::MAX);
        let julian = EPOCH.saturating_add(days).clamp(first.to_julian_day(), last.to_julian_day());
        Self(time::Date::from_julian_day(julian).unwrap_or(first))
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i32 {
        self.0.to_julian_day() - EPOCH
    }

    pub fn year(self) -> i32 {
        self.0.year()
    }

    /// 1 to 12.
    pub fn month(self) -> u8 {
        self.0.month().into()
    }

    /// 1 to 31.
    pub fn day(self) -> u8 {
        self.0.day()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year(), self.month(), self.day())
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let error = || DateError(text.to_owned());
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else { return Err(error()) };
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0i32, |n, d| d.is_ascii_digit().then(|| n * 10 + i32::from(d - b'0')))
        };
        let day = |digits: &[u8]| number(digits).and_then(|n| u8::try_from(n).ok());
        let (Some(year), Some(month), Some(day)) = (number(&[y1, y2, y3, y4]), day(&[m1, m2]), day(&[d1, d2])) else {
            return Err(error());
        };
        Self::new(year, month, day).ok_or_else(error)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}
