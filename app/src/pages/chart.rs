//! The balance over time: a step line, because a balance is a step function. Drawn by the server, read by pointer
//! without any script.

use leptos::prelude::*;

use crate::{
    domain::{Currency, Date},
    locale::Locale,
    wire::DayBalance,
};

/// Days shown, today included.
const DAYS: i32 = 90;

/// `days`: end-of-day balances where something moved, oldest first; the first is the balance before. `limit`: of the
/// overdraft.
pub(super) fn chart(days: &[DayBalance], today: Date, limit: i64, currency: Currency, locale: Locale) -> AnyView {
    let balances = daily(days, today);
    let caption = format!("Balance at the end of each day, last {DAYS} days");
    if days.is_empty() {
        return view! {
            <figure class="chart">
                <div class="chart-head">
                    <figcaption>{caption}</figcaption>
                </div>
                <p class="chart-empty">"Nothing has moved yet."</p>
            </figure>
        }
        .into_any();
    }
    let scale = Scale::over(&balances, if balances.iter().any(|(_, balance)| *balance < 0) { -limit } else { 0 });
    let axis = scale.lines.iter().rev().map(|line| view! { <li>{whole_units(*line, currency, locale)}</li> });
    let axis = axis.collect_view();
    view! {
        <figure class="chart">
            <div class="chart-head">
                <figcaption id="chart-caption">{caption}</figcaption>
            </div>
            <div class="chart-body">
                <ol class="chart-y" aria-hidden="true">
                    {axis}
                </ol>
                <div class="chart-plot">
                    {plot(&balances, &scale, limit)} {over(&balances, currency, locale)}
                </div>
            </div>
            <p class="sr">{in_words(&balances, currency, locale)}</p>
        </figure>
    }
    .into_any()
}

/// One balance a day, ending today.
fn daily(days: &[DayBalance], today: Date) -> Vec<(Date, i64)> {
    let mut known = days.iter().peekable();
    let mut balance = days.first().map_or(0, |first| first.balance);
    (today.days() - DAYS + 1..=today.days())
        .map(|number| {
            let day = Date::from_days(number);
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
        let low = balances.iter().map(|(_, balance)| *balance).chain([0, floor]).min().unwrap_or(0);
        let high = balances.iter().map(|(_, balance)| *balance).chain([0]).max().unwrap_or(0);
        let span = i128::from(high) - i128::from(low);
        // The smallest of 1, 2, 2.5, 5 × 10ⁿ with at most five steps.
        let mut unit: i128 = 1;
        let step = loop {
            let fits = |step: &i128| {
                let below = (-i128::from(low)).max(0).div_ceil_of(*step);
                let above = i128::from(high).max(0).div_ceil_of(*step);
                below + above <= 4
            };
            if let Some(step) = [unit, unit * 2, unit * 4, unit * 5].into_iter().find(fits) {
                break step;
            }
            unit *= 10;
            if unit > span.saturating_mul(10).max(10) {
                break unit;
            }
        };
        let first = -((-i128::from(low)).max(0).div_ceil_of(step));
        let last = i128::from(high).max(0).div_ceil_of(step).max(first + 1);
        let lines = (first..=last).map(|line| clamp(line * step)).collect();
        Self { lines }
    }

    /// Per cent from the top.
    fn y(&self, balance: i64) -> f64 {
        let (low, high) = (self.lines[0], self.lines[self.lines.len() - 1]);
        100.0 - 100.0 * as_f64(i128::from(balance) - i128::from(low)) / as_f64(i128::from(high) - i128::from(low))
    }
}

trait DivCeil {
    fn div_ceil_of(self, by: Self) -> Self;
}

impl DivCeil for i128 {
    /// Rounded up; both are positive.
    fn div_ceil_of(self, by: Self) -> Self {
        (self + by - 1) / by
    }
}

fn clamp(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}

/// For drawing: a picture needs no more than 53 bits.
#[allow(clippy::cast_precision_loss)]
fn as_f64(number: i128) -> f64 {
    number as f64
}

/// The part that is stretched to fit: one unit a day, per cent of the height.
fn plot(balances: &[(Date, i64)], scale: &Scale, limit: i64) -> impl IntoView + use<> {
    let grid = scale.lines.iter().map(|line| {
        let (class, y) = (if *line == 0 { "zero" } else { "grid" }, coordinate(scale.y(*line)));
        view! { <line class=class x1="0" x2=DAYS y1=y.clone() y2=y /> }
    });
    let grid = grid.collect_view();
    let lowest = scale.lines[0];
    let limit = (limit > 0 && -limit >= lowest).then(|| {
        let y = coordinate(scale.y(-limit));
        view! { <line class="limit" x1="0" x2=DAYS y1=y.clone() y2=y /> }
    });
    let steps = balances.iter().enumerate().map(|(index, (_, balance))| {
        let y = coordinate(scale.y(*balance));
        if index == 0 { format!("M0 {y}") } else { format!("H{index}V{y}") }
    });
    let path = steps.chain([format!("H{DAYS}")]).collect::<String>();
    let area = format!("{path}V{zero}H0Z", zero = coordinate(scale.y(0)));
    view! {
        <svg
            class="plot"
            viewBox=format!("0 0 {DAYS} 100")
            preserveAspectRatio="none"
            role="img"
            aria-labelledby="chart-caption"
        >
            {grid}
            {limit}
            <path class="area" d=area />
            <path class="step" d=path />
        </svg>
    }
}

/// What must not be stretched: labels, and for each day what the pointer finds there.
fn over(balances: &[(Date, i64)], currency: Currency, locale: Locale) -> impl IntoView + use<> {
    let share = |index: usize| as_f64(index as i128) / f64::from(DAYS) * 100.0;
    let labels = balances.iter().enumerate().filter(|(_, (day, _))| day.day() == 1).map(|(index, (day, _))| {
        // At the very edge it would stick out.
        let x = percent(share(index).clamp(2.5, 97.0));
        view! { <text class="chart-x" x=x y="100%" dy="20">{locale.format_day(*day)}</text> }
    });
    let labels = labels.collect_view();
    let days = balances.iter().enumerate().map(|(index, (day, balance))| {
        let middle = percent(share(index) + 50.0 / f64::from(DAYS));
        let reading = format!("{} · {}", locale.format_day(*day), locale.format_amount(*balance, currency));
        view! {
            <g class="day">
                <rect class="hit" x=percent(share(index)) y="0" width="1.2%" height="100%" />
                <line class="cursor" x1=middle.clone() x2=middle y1="0" y2="100%" />
                <text class="read" x="100%" y="-14">
                    {reading}
                </text>
            </g>
        }
    });
    let days = days.collect_view();
    view! {
        <svg class="over" aria-hidden="true">
            {labels}
            {days}
        </svg>
    }
}

fn coordinate(number: f64) -> String {
    format!("{number:.2}")
}

fn percent(number: f64) -> String {
    format!("{number:.2}%")
}

/// Labels of the lines: decimals only where a line needs them.
fn whole_units(minor: i64, currency: Currency, locale: Locale) -> String {
    let text = locale.format_amount(minor, currency);
    match text.rsplit_once(locale.decimal) {
        Some((whole, decimals)) if currency.exponent() > 0 && decimals.bytes().all(|digit| digit == b'0') => {
            whole.to_owned()
        }
        _ => text,
    }
}

fn in_words(balances: &[(Date, i64)], currency: Currency, locale: Locale) -> String {
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
            Scale::over(&balances, 0).lines
        };
        assert_eq!(scale(&[2_400_000, 1_180_000]), [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(scale(&[0]), [0, 1]);
        assert_eq!(scale(&[-150, 300]), [-200, 0, 200, 400]);
        for extreme in [&[i64::MAX][..], &[i64::MIN, i64::MAX], &[1], &[-1]] {
            let lines = scale(extreme);
            assert!(lines.contains(&0) && lines.len() >= 2, "{lines:?}");
            assert!(lines[0] <= extreme[0] && *lines.last().unwrap() >= *extreme.last().unwrap(), "{lines:?}");
        }
    }
}
