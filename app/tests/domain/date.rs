//! Days as text, as numbers, as moments.

use app::domain::{Date, DateError};
use proptest::prelude::*;

#[test]
fn days_read_and_print() {
    let date: Date = "2024-02-29".parse().unwrap();
    assert_eq!((date.year(), date.month(), date.day()), (2024, 2, 29));
    assert_eq!(date.to_string(), "2024-02-29");
    assert_eq!(serde_json::to_string(&date).unwrap(), r#""2024-02-29""#);
    assert_eq!(serde_json::from_str::<Date>(r#""2024-02-29""#).unwrap(), date);
    assert_eq!(Date::new(1, 1, 1).unwrap().to_string(), "0001-01-01");
}

#[test]
fn what_is_no_day_is_refused() {
    for text in [
        "",
        "2023-02-29",
        "2023-13-01",
        "2023-00-01",
        "2023-01-00",
        "2023-1-1",
        "0000-01-01",
        "20230101",
        "2023/01/01",
        "2023-01-01 ",
        "+023-01-01",
        "２０２３-01-01",
    ] {
        assert_eq!(text.parse::<Date>(), Err(DateError(text.to_owned())));
    }
}

#[test]
fn a_moment_falls_on_its_utc_day() {
    let day = |text: &str| text.parse::<Date>().unwrap();
    assert_eq!(Date::of_micros(0), day("1970-01-01"));
    assert_eq!(Date::of_micros(-1), day("1969-12-31"));
    assert_eq!(Date::of_micros(86_399_999_999), day("1970-01-01"));
    assert_eq!(Date::of_micros(86_400_000_000), day("1970-01-02"));
}

#[test]
fn days_beyond_the_calendar_are_its_ends() {
    assert_eq!(Date::from_days(i32::MIN).to_string(), "0001-01-01");
    assert_eq!(Date::from_days(i32::MAX).to_string(), "9999-12-31");
    assert_eq!(Date::of_micros(i64::MIN).to_string(), "0001-01-01");
    assert_eq!(Date::of_micros(i64::MAX).to_string(), "9999-12-31");
}

proptest! {
    #[test]
    fn a_day_reads_back_and_keeps_its_order(a in -700_000..2_900_000i32, b in -700_000..2_900_000i32) {
        let (first, second) = (Date::from_days(a), Date::from_days(b));
        prop_assert_eq!(first.days(), a);
        prop_assert_eq!(first.to_string().parse::<Date>(), Ok(first));
        prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        prop_assert_eq!(first.to_string().cmp(&second.to_string()), a.cmp(&b));
    }
}
