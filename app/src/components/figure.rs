//! Amounts and days.

use leptos::prelude::*;

use crate::{
    domain::{Currency, Date},
    locale::Locale,
};

/// The one large figure of a page. `minor`: minor units.
pub fn figure(minor: i64, currency: Currency, locale: Locale) -> impl IntoView {
    let text = locale.format_amount(minor, currency);
    let split = if currency.exponent() == 0 { text.len() } else { text.rfind(locale.decimal).unwrap_or(text.len()) };
    let (whole, decimals) = (text[..split].to_owned(), text[split..].to_owned());
    view! {
        <p class="figure">
            <span class="unit">{currency.code()}</span>
            <span>{whole}<span class="minor">{decimals}</span></span>
        </p>
    }
}

/// Classes of a cell with money that moved: money in has its own colour.
pub fn amount_class(minor: i64) -> &'static str {
    if minor > 0 { "money in" } else { "money" }
}

/// A day as a table's cell; the year is in the machine's form and in the month's heading.
pub fn date_cell(date: Date, locale: Locale) -> impl IntoView {
    view! {
        <td class="date" data-cell="sub">
            <time datetime=date.to_string()>{locale.format_day(date)}</time>
        </td>
    }
}
