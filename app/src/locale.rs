//! How the reader writes numbers and days. Chosen by the server from `Accept-Language`, handed to islands as a prop,
//! so that both sides of hydration write the same. Words are English; only numbers and days follow the region.

use serde::Serialize;

use crate::{
    domain::{self, AmountError, Currency, Date},
    wire::{from_json, named},
};

/// Conventions of one language region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Locale {
    /// Between groups of three digits: `,` `.` `'` or a no-break space.
    pub group: char,
    /// Before the decimals: `.` or `,`.
    pub decimal: char,
    pub date: DateOrder,
}

/// Day and month, as in "22 Nov 2026", "Nov 22, 2026" or "2026-11-22".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum DateOrder {
    DayMonth,
    MonthDay,
    Iso,
}

from_json! { Locale { group, decimal, date } }
named! { DateOrder { "DayMonth" DayMonth, "MonthDay" MonthDay, "Iso" Iso } }

impl Default for Locale {
    fn default() -> Self {
        Self { group: ',', decimal: '.', date: DateOrder::DayMonth }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const MINUS: char = '\u{2212}';

impl Locale {
    /// `1,234.50`, with a minus sign where it is negative. `minor`: minor units of `currency`.
    pub fn format_amount(&self, minor: i64, currency: Currency) -> String {
        let plain = domain::format_amount(minor, currency);
        let plain = plain.trim_start_matches('-');
        let (whole, decimals) = plain.split_once('.').unwrap_or((plain, ""));
        let mut text = String::with_capacity(plain.len() + 8);
        if minor < 0 {
            text.push(MINUS);
        }
        self.push_grouped(&mut text, whole);
        if !decimals.is_empty() {
            text.push(self.decimal);
            text.push_str(decimals);
        }
        text
    }

    /// Money that moved: `+1,234.50` or `−1,234.50`.
    pub fn format_signed(&self, minor: i64, currency: Currency) -> String {
        let text = self.format_amount(minor, currency);
        if minor > 0 { format!("+{text}") } else { text }
    }

    /// `1,234.50 CZK`.
    pub fn format_money(&self, minor: i64, currency: Currency) -> String {
        format!("{} {}", self.format_amount(minor, currency), currency.code())
    }

    /// What an amount in `currency` lacks to stand under one with `most` decimals: `.00` of 1,500 JPY above 1.20 CZK.
    pub fn missing_decimals(&self, currency: Currency, most: u8) -> String {
        let digits = "0".repeat(usize::from(most.saturating_sub(currency.exponent())));
        if currency.exponent() == 0 && most > 0 { format!("{}{digits}", self.decimal) } else { digits }
    }

    /// `1,046`.
    pub fn format_count(&self, number: u64) -> String {
        let mut text = String::new();
        self.push_grouped(&mut text, &number.to_string());
        text
    }

    /// `22 Nov 2026`.
    pub fn format_date(&self, date: Date) -> String {
        match self.date {
            DateOrder::DayMonth => format!("{} {} {}", date.day(), month(date), date.year()),
            DateOrder::MonthDay => format!("{} {}, {}", month(date), date.day(), date.year()),
            DateOrder::Iso => date.to_string(),
        }
    }

    /// `22 Nov`, where the year is clear.
    pub fn format_day(&self, date: Date) -> String {
        match self.date {
            DateOrder::DayMonth => format!("{} {}", date.day(), month(date)),
            DateOrder::MonthDay => format!("{} {}", month(date), date.day()),
            DateOrder::Iso => date.to_string(),
        }
    }

    /// `November 2026`.
    pub fn format_month(&self, date: Date) -> String {
        format!("{} {:04}", MONTHS[usize::from(date.month()) - 1], date.year())
    }

    /// `14:02:11 UTC`. `micros` since 1970.
    pub fn format_time(&self, micros: i64) -> String {
        let seconds = micros.div_euclid(1_000_000).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// `22 Nov 2026, 14:02:11 UTC`: the ledger's days are of that zone, so its moments are told in it, everywhere.
    /// `micros` since 1970.
    pub fn format_moment(&self, micros: i64) -> String {
        format!("{}, {}", self.format_date(Date::of_micros(micros)), self.format_time(micros))
    }

    /// Reads an amount as this region's people write it: `1,234.50`, `1 234,50`. Spaces and apostrophes group
    /// everywhere; groups are of three digits, or it is no number. Then the strict rules of the domain.
    pub fn parse_amount(&self, text: &str, currency: Currency) -> Result<i64, AmountError> {
        let text = text.trim();
        // The other decimal sign is understood where it cannot mean a group.
        let is_decimal = |c: char| c == self.decimal || (matches!(c, '.' | ',') && c != self.group);
        let is_group = |c: char| c == self.group || matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '\u{2019}');

        let (whole, decimals) = match text.split_once(is_decimal) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (text, None),
        };
        let groups: Vec<&str> = whole.split(is_group).collect();
        let grouped = groups.len() > 1;
        if grouped && (!(1..=3).contains(&groups[0].len()) || groups[1..].iter().any(|group| group.len() != 3)) {
            return Err(AmountError::NotANumber);
        }
        let mut plain = groups.concat();
        if let Some(decimals) = decimals {
            plain.push('.');
            plain.push_str(decimals);
        }
        domain::parse_amount(&plain, currency)
    }

    fn push_grouped(&self, text: &mut String, digits: &str) {
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(self.group);
            }
            text.push(digit);
        }
    }
}

fn month(date: Date) -> &'static str {
    MONTHS[usize::from(date.month()) - 1].get(..3).unwrap_or_default()
}

/// The regions that are known: language tag (the region's first), grouping, decimal sign, order of dates.
#[cfg(feature = "ssr")]
const REGIONS: &[(&str, char, char, DateOrder)] = &[
    ("en-us", ',', '.', DateOrder::MonthDay),
    ("en-ca", ',', '.', DateOrder::Iso),
    ("en-za", '\u{a0}', ',', DateOrder::DayMonth),
    ("en", ',', '.', DateOrder::DayMonth),
    ("de-ch", '\u{2019}', '.', DateOrder::DayMonth),
    ("de-at", '\u{a0}', ',', DateOrder::DayMonth),
    ("de", '.', ',', DateOrder::DayMonth),
    ("cs", '\u{a0}', ',', DateOrder::DayMonth),
    ("sk", '\u{a0}', ',', DateOrder::DayMonth),
    ("pl", '\u{a0}', ',', DateOrder::DayMonth),
    ("fr-ch", '\u{202f}', ',', DateOrder::DayMonth),
    ("fr", '\u{202f}', ',', DateOrder::DayMonth),
    ("es-mx", ',', '.', DateOrder::DayMonth),
    ("es", '.', ',', DateOrder::DayMonth),
    ("it", '.', ',', DateOrder::DayMonth),
    ("pt-pt", '\u{a0}', ',', DateOrder::DayMonth),
    ("pt", '.', ',', DateOrder::DayMonth),
    ("nl", '.', ',', DateOrder::DayMonth),
    ("da", '.', ',', DateOrder::DayMonth),
    ("nb", '\u{a0}', ',', DateOrder::DayMonth),
    ("no", '\u{a0}', ',', DateOrder::DayMonth),
    ("fi", '\u{a0}', ',', DateOrder::DayMonth),
    ("sv", '\u{a0}', ',', DateOrder::Iso),
    ("hu", '\u{a0}', ',', DateOrder::Iso),
    ("lt", '\u{a0}', ',', DateOrder::Iso),
    ("ro", '.', ',', DateOrder::DayMonth),
    ("tr", '.', ',', DateOrder::DayMonth),
    ("ru", '\u{a0}', ',', DateOrder::DayMonth),
    ("uk", '\u{a0}', ',', DateOrder::DayMonth),
    ("ja", ',', '.', DateOrder::Iso),
    ("zh", ',', '.', DateOrder::Iso),
    ("ko", ',', '.', DateOrder::Iso),
];

#[cfg(feature = "ssr")]
impl Locale {
    /// The first known region of an `Accept-Language` header, by its weights; else the default.
    pub fn negotiate(accept_language: &str) -> Self {
        let mut wanted: Vec<(u32, String)> = accept_language
            .split(',')
            .take(20)
            .filter_map(|entry| {
                let (tag, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
                let weight = weight.trim().strip_prefix("q=")?.parse::<f32>().ok()?;
                // As a sortable whole number; NaN and negatives are no weights.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                (weight > 0.0).then(|| ((weight.min(1.0) * 1000.0) as u32, tag.trim().to_ascii_lowercase()))
            })
            .collect();
        wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        wanted
            .iter()
            .find_map(|(_, tag)| {
                REGIONS.iter().find(|(known, ..)| {
                    tag.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
                })
            })
            .map_or_else(Self::default, |&(_, group, decimal, date)| Self { group, decimal, date })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn with(group: char, decimal: char) -> Locale {
        Locale { group, decimal, date: DateOrder::DayMonth }
    }

    #[test]
    fn amounts_are_grouped_by_three_with_all_decimals() {
        let czk = currency("CZK");
        let en = Locale::default();
        assert_eq!(en.format_amount(123_450, czk), "1,234.50");
        assert_eq!(en.format_amount(-5, czk), "\u{2212}0.05");
        assert_eq!(en.format_amount(99_999, czk), "999.99");
        assert_eq!(en.format_amount(i64::MIN, czk), "\u{2212}92,233,720,368,547,758.08");
        assert_eq!(en.format_amount(1_234_567, currency("JPY")), "1,234,567");
        assert_eq!(with('\u{a0}', ',').format_amount(123_450, czk), "1\u{a0}234,50");
        assert_eq!(en.format_signed(930_000, czk), "+9,300.00");
        assert_eq!(["JPY", "CZK", "KWD"].map(|code| en.missing_decimals(currency(code), 3)), [".000", "0", ""]);
        assert_eq!(en.missing_decimals(currency("JPY"), 0), "");
    }

    #[test]
    fn amounts_read_as_the_region_writes_them() {
        let czk = currency("CZK");
        let (en, cs, de) = (Locale::default(), with('\u{a0}', ','), with('.', ','));
        for (locale, text, minor) in [
            (en, "1,234.50", 123_450),
            (en, "1 234.5", 123_450),
            (en, " 1234 ", 123_400),
            (cs, "1 234,50", 123_450),
            (cs, "1\u{a0}234,50", 123_450),
            (cs, "1234.50", 123_450),
            (de, "1.234,50", 123_450),
            (de, "1.234", 123_400),
            (de, "1'234,5", 123_450),
        ] {
            assert_eq!(locale.parse_amount(text, czk), Ok(minor), "{text}");
        }
    }

    #[test]
    fn what_could_mean_something_else_is_refused() {
        let czk = currency("CZK");
        let (en, de) = (Locale::default(), with('.', ','));
        for (locale, text) in [
            (en, "1,23"),
            (en, "12,34,567"),
            (en, ",123"),
            (en, "1234,567"),
            (en, "1,,234"),
            (en, "1.2.3"),
            (de, "1234.50"),
            (de, "1,234.50"),
            (en, "1e3"),
            (en, "12 CZK"),
        ] {
            assert_eq!(locale.parse_amount(text, czk), Err(AmountError::NotANumber), "{text}");
        }
        assert_eq!(en.parse_amount(" ", czk), Err(AmountError::Empty));
        assert_eq!(en.parse_amount("-1", czk), Err(AmountError::Signed));
        assert!(matches!(en.parse_amount("1.234", czk), Err(AmountError::TooManyDecimals { .. })));
        assert_eq!(en.parse_amount("99999999999999999999", czk), Err(AmountError::TooLarge));
    }

    #[test]
    fn days_and_times_follow_the_region() {
        let date = Date::new(2026, 11, 2).unwrap();
        let locale = |date| Locale { date, ..Locale::default() };
        assert_eq!(locale(DateOrder::DayMonth).format_date(date), "2 Nov 2026");
        assert_eq!(locale(DateOrder::MonthDay).format_date(date), "Nov 2, 2026");
        assert_eq!(locale(DateOrder::Iso).format_date(date), "2026-11-02");
        assert_eq!(locale(DateOrder::MonthDay).format_day(date), "Nov 2");
        assert_eq!(Locale::default().format_month(date), "November 2026");
        assert_eq!(Locale::default().format_moment(1_000_000_482_000), "12 Jan 1970, 13:46:40 UTC");
        assert_eq!(Locale::default().format_time(-1), "23:59:59 UTC");
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn the_heaviest_known_language_wins() {
        assert_eq!(Locale::negotiate("cs,en;q=0.8").decimal, ',');
        assert_eq!(Locale::negotiate("xx, en-US;q=0.5, de;q=0.9").group, '.');
        assert_eq!(Locale::negotiate("en-US").date, DateOrder::MonthDay);
        assert_eq!(Locale::negotiate("de-CH-1996").group, '\u{2019}');
        assert_eq!(Locale::negotiate("eno"), Locale::default());
        assert_eq!(Locale::negotiate(""), Locale::default());
        assert_eq!(Locale::negotiate("de;q=0,en-CA;q=NaN,*;q=x"), Locale::default());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            minor in 0..=i64::MAX,
            signs in prop::sample::select(vec![(',', '.'), ('.', ','), ('\u{a0}', ','), ('\u{202f}', ','), ('\u{2019}', '.')]),
            code in prop::sample::select(vec!["CZK", "JPY", "KWD"]),
        ) {
            let (locale, currency) = (with(signs.0, signs.1), currency(code));
            prop_assert_eq!(locale.parse_amount(&locale.format_amount(minor, currency), currency), Ok(minor));
        }

        #[test]
        fn nothing_makes_the_reader_panic(text in ".*") {
            let _ = Locale::default().parse_amount(&text, currency("CZK"));
        }
    }
}
