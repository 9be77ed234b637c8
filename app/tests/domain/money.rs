//! Money in words and back: exact, or refused with the reason.

use app::domain::{AmountError, Currency, CurrencyError, format_amount, parse_amount};
use proptest::prelude::*;

use crate::given::{czk, eur};

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

#[test]
fn amounts_read_exactly() {
    for (text, minor) in [
        ("1234.5", 123_450),
        ("1234.50", 123_450),
        ("0", 0),
        ("0.01", 1),
        ("007", 700),
        ("92233720368547758.07", i64::MAX),
    ] {
        assert_eq!(parse_amount(text, czk()), Ok(minor), "{text}");
    }
    assert_eq!(parse_amount("1234", currency("JPY")), Ok(1234));
    assert_eq!(parse_amount("1.234", currency("KWD")), Ok(1234));
}

#[test]
fn what_is_no_amount_is_refused_with_the_reason() {
    use AmountError as E;
    for (text, error) in [
        ("", E::Empty),
        (" ", E::Empty),
        ("-0", E::Signed),
        ("-1", E::Signed),
        ("+1", E::Signed),
        ("1e3", E::NotANumber),
        ("1.", E::NotANumber),
        (".5", E::NotANumber),
        (".", E::NotANumber),
        ("1.2.3", E::NotANumber),
        ("1,234.50", E::NotANumber),
        ("1 234", E::NotANumber),
        (" 1", E::NotANumber),
        ("1\n", E::NotANumber),
        ("٣", E::NotANumber),
        ("NaN", E::NotANumber),
        ("0x10", E::NotANumber),
        ("1.234", E::TooManyDecimals { currency: czk(), allowed: 2 }),
        ("1.000", E::TooManyDecimals { currency: czk(), allowed: 2 }),
        ("92233720368547758.08", E::TooLarge),
        ("99999999999999999999999999", E::TooLarge),
    ] {
        assert_eq!(parse_amount(text, czk()), Err(error), "{text:?}");
    }
    let yen = currency("JPY");
    assert_eq!(parse_amount("1.0", yen), Err(E::TooManyDecimals { currency: yen, allowed: 0 }));
}

#[test]
fn amounts_print_with_all_decimals() {
    assert_eq!(format_amount(123_450, czk()), "1234.50");
    assert_eq!(format_amount(-5, eur()), "-0.05");
    assert_eq!(format_amount(0, eur()), "0.00");
    assert_eq!(format_amount(-1234, currency("JPY")), "-1234");
    assert_eq!(format_amount(1, currency("KWD")), "0.001");
    assert_eq!(format_amount(i64::MIN, czk()), "-92233720368547758.08");
}

#[test]
fn currencies_are_those_of_iso_4217_that_have_minor_units() {
    assert_eq!((czk().code(), czk().exponent()), ("CZK", 2));
    for text in ["", "czk", "CZ", "CZKK", "ABC", "XAU", "XXX"] {
        assert_eq!(text.parse::<Currency>(), Err(CurrencyError(text.to_owned())));
    }
    assert_eq!(serde_json::to_string(&eur()).unwrap(), r#""EUR""#);
    assert_eq!(serde_json::from_str::<Currency>(r#""EUR""#).unwrap(), eur());
    assert!(serde_json::from_str::<Currency>(r#""euro""#).is_err());
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(minor in 0..=i64::MAX, code in prop::sample::select(vec!["CZK", "JPY", "KWD", "EUR", "CLF"])) {
        let currency = currency(code);
        prop_assert_eq!(parse_amount(&format_amount(minor, currency), currency), Ok(minor));
    }

    #[test]
    fn reading_never_panics_and_never_invents(text in r"[0-9+\-., eE٣]{0,24}") {
        if let Ok(minor) = parse_amount(&text, czk()) {
            let printed = format_amount(minor, czk());
            let padded = match text.split_once('.') {
                Some((whole, fraction)) => format!("{whole}.{fraction:0<2}"),
                None => format!("{text}.00"),
            };
            let zeros = padded.trim_start_matches('0');
            prop_assert_eq!(printed.trim_start_matches('0'), zeros);
        }
    }
}
