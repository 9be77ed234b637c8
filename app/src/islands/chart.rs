//! The balance over time: a step line, because a balance is a step function; read by pointer without any script.

use serde::Serialize;

use super::{Part, html::Html};
use crate::{
    domain::{Currency, Date},
    live::{List, Newcomers, renew},
    locale::Locale,
    wire::{AccountView, DayBalance, DayBalances, Json, LiveQuery, Position, from_json},
};

/// Days shown, today included.
const DAYS: u16 = 90;

/// An account's balance at the end of each day.
#[derive(Serialize)]
pub struct BalanceChart {
    account: List<AccountView>,
    days: DayBalances,
    today: Date,
    locale: Locale,
}

from_json! { BalanceChart { account, days, today, locale } }

impl BalanceChart {
    pub fn new(account: AccountView, days: DayBalances, today: Date, locale: Locale) -> Self {
        let account = List::new(vec![account], Newcomers::Ignore);
        Self { account, days, today, locale }
    }
}

impl Part for BalanceChart {
    fn follows(&self) -> Vec<LiveQuery> {
        let account = self.account.rows.iter().map(|account| account.id);
        account.flat_map(|id| [LiveQuery::Account(id), LiveQuery::Days(id)]).collect()
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        match self.follows().iter().position(|own| own.to_string() == query) {
            Some(0) => self.account.receive(rows, reset, &|_| true),
            Some(_) => renew(&mut self.days, rows, |days| days.position),
            None => false,
        }
    }

    fn on_clock(&mut self, now: i64) -> bool {
        let today = Date::of_micros(now);
        std::mem::replace(&mut self.today, today) != today
    }

    fn draw(&self, html: &mut Html) {
        let Some(account) = self.account.rows.first() else { return };
        let days = &self.days;
        let (currency, limit) = (account.currency, account.overdraft_limit);
        html.el("figure", &[("class", "chart")], |html| {
            let caption = format!("Balance at the end of each day, last {DAYS} days");
            html.el("div", &[("class", "chart-head")], |html| {
                html.put("figcaption", &[("id", "chart-caption")], &caption);
            });
            if days.position == Position(0) {
                return html.put("p", &[("class", "chart-empty")], "Nothing has moved yet.");
            }
            let balances = daily(&days.days, self.today);
            let overdrawn = balances.iter().any(|(_, balance)| *balance < 0);
            let scale = Scale::over(&balances, if overdrawn { -limit } else { 0 });
            html.el("div", &[("class", "chart-body")], |html| {
                html.el("ol", &[("class", "chart-y"), ("aria-hidden", "true")], |html| {
                    for line in scale.lines.iter().rev() {
                        html.put("li", &[], &whole_units(*line, currency, &self.locale));
                    }
                });
                html.el("div", &[("class", "chart-plot")], |html| {
                    plot(html, &balances, &scale, limit);
                    over(html, &balances, currency, &self.locale);
                });
            });
            html.put("p", &[("class", "sr")], &in_words(&balances, currency, &self.locale));
        });
    }
}

/// One balance a day, ending today.
fn daily(days: &[DayBalance], today: Date) -> Vec<(Date, i64)> {
    let mut known = days.iter().peekable();
    let mut balance = days.first().map_or(0, |first| first.balance);
    (0..DAYS)
        .rev()
        .map(|ago| {
            let day = Date::from_days(today.days() - i32::from(ago));
            while let Some(change) = known.next_if(|change| change.date <= day) {
                balance = change.balance;
            }
            (day, balance)
        })
        .collect()
}

/// Round lines that hold all that is drawn, evenly spaced, from the lowest to the highest; zero is one of them.
struct Scale {
    lines: Vec<i64>,
}

impl Scale {
    fn over(balances: &[(Date, i64)], floor: i64) -> Self {
        let balances = || balances.iter().map(|(_, balance)| *balance);
        let below = balances().chain([0, floor]).min().unwrap_or(0).unsigned_abs();
        let above = balances().chain([0]).max().unwrap_or(0).unsigned_abs();
        // The smallest of 1, 2, 4, 5 × 10ⁿ with at most four steps; 5 × 10¹⁸ holds all there is.
        let steps = (0..=18).map(|n| 10u64.pow(n)).flat_map(|unit| [unit, unit * 2, unit * 4, unit * 5]);
        let fits = |step: &u64| below.div_ceil(*step) + above.div_ceil(*step) <= 4;
        let step = steps.into_iter().find(fits).unwrap_or(u64::MAX);
        let lines = |side: u64| i64::try_from(side.div_ceil(step)).unwrap_or(0);
        let (first, last) = (-lines(below), lines(above));
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        Self { lines: (first..=last.max(first + 1)).map(|line| line.saturating_mul(step)).collect() }
    }

    /// Hundredths of a per cent from the top. A picture needs no more than the 53 bits of a float.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn y(&self, balance: i64) -> usize {
        let (low, high) = (self.lines[0] as f64, self.lines[self.lines.len() - 1] as f64);
        ((high - balance as f64) / (high - low) * 10_000.0 + 0.5) as usize
    }
}

/// The part that is stretched to fit: one unit a day, per cent of the height.
fn plot(html: &mut Html, balances: &[(Date, i64)], scale: &Scale, limit: i64) {
    let days = DAYS.to_string();
    let view = format!("0 0 {DAYS} 100");
    let attributes = [
        ("class", "plot"),
        ("viewBox", view.as_str()),
        ("preserveAspectRatio", "none"),
        ("role", "img"),
        ("aria-labelledby", "chart-caption"),
    ];
    html.el("svg", &attributes, |html| {
        let mut line = |class, balance| {
            let y = hundredths(scale.y(balance));
            html.put("line", &[("class", class), ("x1", "0"), ("x2", &days), ("y1", &y), ("y2", &y)], "");
        };
        for balance in &scale.lines {
            line(if *balance == 0 { "zero" } else { "grid" }, *balance);
        }
        if limit > 0 && -limit >= scale.lines[0] {
            line("limit", -limit);
        }
        let steps = balances.iter().enumerate().map(|(index, (_, balance))| {
            let y = hundredths(scale.y(*balance));
            if index == 0 { format!("M0 {y}") } else { format!("H{index}V{y}") }
        });
        let path = steps.chain([format!("H{days}")]).collect::<String>();
        let area = format!("{path}V{}H0Z", hundredths(scale.y(0)));
        html.put("path", &[("class", "area"), ("d", &area)], "");
        html.put("path", &[("class", "step"), ("d", &path)], "");
    });
}

/// What must not be stretched: labels, and for each day what the pointer finds there.
fn over(html: &mut Html, balances: &[(Date, i64)], currency: Currency, locale: &Locale) {
    // The middle of a day, `half` days from its beginning.
    let share = |index: usize, halves: usize| (2 * index + halves) * 5_000 / usize::from(DAYS);
    let percent = |hundredth: usize| format!("{}%", hundredths(hundredth));
    html.el("svg", &[("class", "over"), ("aria-hidden", "true")], |html| {
        for (index, (day, _)) in balances.iter().enumerate().filter(|(_, (day, _))| day.day() == 1) {
            // At the very edge it would stick out.
            let x = percent(share(index, 0).clamp(250, 9_700));
            html.put("text", &[("class", "chart-x"), ("x", &x), ("y", "100%"), ("dy", "20")], &locale.format_day(*day));
        }
        for (index, (day, balance)) in balances.iter().enumerate() {
            let (left, middle) = (percent(share(index, 0)), percent(share(index, 1)));
            html.el("g", &[("class", "day")], |html| {
                let hit = [("class", "hit"), ("x", left.as_str()), ("y", "0"), ("width", "1.2%"), ("height", "100%")];
                html.put("rect", &hit, "");
                let cursor =
                    [("class", "cursor"), ("x1", middle.as_str()), ("x2", &middle), ("y1", "0"), ("y2", "100%")];
                html.put("line", &cursor, "");
                let reading = format!("{} · {}", locale.format_day(*day), locale.format_amount(*balance, currency));
                html.put("text", &[("class", "read"), ("x", "100%"), ("y", "-14")], &reading);
            });
        }
    });
}

/// `1234` is 12.34.
fn hundredths(number: usize) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// Labels of the lines: decimals only where a line needs them.
fn whole_units(minor: i64, currency: Currency, locale: &Locale) -> String {
    let text = locale.format_amount(minor, currency);
    match text.rsplit_once(locale.decimal) {
        Some((whole, decimals)) if currency.exponent() > 0 && decimals.bytes().all(|digit| digit == b'0') => {
            whole.to_owned()
        }
        _ => text,
    }
}

fn in_words(balances: &[(Date, i64)], currency: Currency, locale: &Locale) -> String {
    let say = |(day, balance): &(Date, i64)| {
        format!("{} on {}", locale.format_money(*balance, currency), locale.format_date(*day))
    };
    let lowest = balances.iter().min_by_key(|(_, balance)| *balance).map(say).unwrap_or_default();
    let highest = balances.iter().max_by_key(|(_, balance)| *balance).map(say).unwrap_or_default();
    format!("Lowest: {lowest}. Highest: {highest}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i32, balance: i64) -> DayBalance {
        DayBalance { date: Date::from_days(number), balance }
    }

    #[test]
    fn days_without_movement_keep_the_balance_before() {
        let today = Date::from_days(1000);
        let balances = daily(&[day(900, 5), day(950, 7), day(1000, 9)], today);
        assert_eq!(balances.len(), 90);
        assert_eq!((balances[0].1, balances[38].1, balances[39].1, balances[89].1), (5, 5, 7, 9));
        assert_eq!(daily(&[], today)[0].1, 0);
    }

    #[test]
    fn scales_are_round_and_hold_everything() {
        let scale = |values: &[i64]| {
            let balances: Vec<_> = values.iter().map(|value| (Date::from_days(0), *value)).collect();
            Scale::over(&balances, 0)
        };
        assert_eq!(scale(&[2_400_000, 1_180_000]).lines, [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(scale(&[0]).lines, [0, 1]);
        assert_eq!(scale(&[-150, 300]).lines, [-200, 0, 200, 400]);
        for extreme in [&[i64::MAX][..], &[i64::MIN, i64::MAX], &[1], &[-1]] {
            let lines = scale(extreme).lines;
            assert!(lines.contains(&0) && lines.len() >= 2, "{lines:?}");
            assert!(lines[0] <= extreme[0] && *lines.last().unwrap() >= *extreme.last().unwrap(), "{lines:?}");
        }
        let scale = scale(&[-150, 300]);
        assert_eq!(
            [400, 300, 0, -200].map(|balance| hundredths(scale.y(balance))),
            ["0.00", "16.67", "66.67", "100.00"]
        );
    }
}
