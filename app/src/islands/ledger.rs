//! How tables of the book, marks, ids and links are written.

use super::html::Html;
use crate::{
    domain::Currency,
    locale::Locale,
    words::{Mark, Said},
};

/// `019bd4f2…c7e9`.
pub fn short_id(full: &str) -> String {
    match (full.get(..8), full.len().checked_sub(4).and_then(|end| full.get(end..))) {
        (Some(start), Some(end)) => format!("{start}…{end}"),
        _ => full.to_owned(),
    }
}

/// The icon of a mark, as markup.
#[cfg(feature = "ssr")]
pub fn mark_icon(mark: Mark) -> String {
    let mut html = Html::default();
    icon(&mut html, mark_path(mark));
    html.into_string()
}

/// An icon's shape on a 16 × 16 grid.
pub(super) fn mark_path(mark: Mark) -> &'static str {
    match mark {
        Mark::In => "M8 2.5v9M4.5 8 8 11.5 11.5 8M3 14h10",
        Mark::Out => "M8 11.5v-9M4.5 6 8 2.5 11.5 6M3 14h10",
        Mark::Move => "M2.5 5.5h10M9.5 2.5l3 3-3 3M13.5 11h-10M6.5 8.5 3.5 11l3 2.5",
        Mark::Fix => "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
        Mark::Undo => "M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H6",
        Mark::Open => "M3 2.5h8.5A1.5 1.5 0 0 1 13 4v9.5H4.5A1.5 1.5 0 0 1 3 12zM3 12a1.5 1.5 0 0 1 1.5-1.5H13",
        Mark::Stop => "M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5zM8 5v3.5M8 10.9v.1",
    }
}

/// A table; `columns`: class and title; `caption` is for those who hear it.
pub(super) fn table(
    html: &mut Html,
    class: &str,
    caption: &str,
    columns: &[(&str, &str)],
    rows: impl FnOnce(&mut Html),
) {
    html.el("div", &[("class", "ledger-wrap")], |html| {
        html.el("table", &[("class", class)], |html| {
            html.put("caption", &[("class", "sr")], caption);
            html.el("thead", &[], |html| {
                html.el("tr", &[], |html| {
                    for (class, title) in columns {
                        html.put("th", &[("scope", "col"), ("class", class)], title);
                    }
                });
            });
            html.el("tbody", &[], rows);
        });
    });
}

/// A row. Same `key`, same row: it is redrawn in place, and focus within it stays.
pub(super) fn row(html: &mut Html, key: u128, id: &str, class: &str, cells: impl FnOnce(&mut Html)) {
    let key = format!("{key:x}");
    html.el("tr", &[("data-key", &key), ("id", id), ("class", class)], cells);
}

/// A cell with text. `place`: where it stands on a phone (`lead`, `side`, `sub`, `end`); left out there if empty.
pub(super) fn cell(html: &mut Html, class: &str, place: &str, text: &str) {
    html.put("td", &[("class", class), ("data-cell", place)], text);
}

/// A cell with an amount of `currency` in a column of several, where one has `most` decimals: they stand on their decimal
/// signs. It lights up when it changes.
pub(super) fn amount(
    html: &mut Html,
    class: &str,
    place: &str,
    text: &str,
    (currency, most): (Currency, u8),
    locale: &Locale,
) {
    let pad = locale.missing_decimals(currency, most);
    html.put("td", &[("class", class), ("data-cell", place), ("data-pad", &pad), ("data-lit", "1")], text);
}

/// The decimals of the currency that has most.
pub(super) fn most_decimals(currencies: impl Iterator<Item = Currency>) -> u8 {
    currencies.map(Currency::exponent).max().unwrap_or(0)
}

pub(super) fn cell_of(html: &mut Html, class: &str, place: &str, inside: impl FnOnce(&mut Html)) {
    html.el("td", &[("class", class), ("data-cell", place)], inside);
}

pub(super) fn link(html: &mut Html, class: &str, href: &str, text: &str) {
    html.put("a", &[("class", class), ("href", href)], text);
}

/// What people wrote, after what happened.
pub(super) fn note(html: &mut Html, text: &str) {
    // The dot before it, which is the style's, stays at the end of a line and never begins one.
    html.text("\u{a0}");
    html.put("span", &[("class", "note")], text);
}

/// An id shortened in the middle, whole on hover.
pub(super) fn id(html: &mut Html, class: &str, full: &str) {
    html.put("span", &[("class", class), ("title", full)], &short_id(full));
}

/// A button that copies `text`.
pub(super) fn copy(html: &mut Html, text: &str) {
    html.text(" ");
    html.el("button", &[("class", "copy"), ("type", "button"), ("data-copy", text)], |html| {
        icon(html, "M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8V3");
        html.text("Copy");
    });
}

/// A state in a word; its colour follows from `state`.
pub(super) fn state(html: &mut Html, state: &str, text: &str) {
    html.put("span", &[("class", "state"), ("data-state", state)], text);
}

pub(super) fn time(html: &mut Html, text: &str, exact: &str) {
    html.put("time", &[("title", exact)], text);
}

pub(super) fn icon(html: &mut Html, path: &str) {
    html.el("svg", &[("class", "icon"), ("viewBox", "0 0 16 16"), ("aria-hidden", "true")], |html| {
        html.put("path", &[("d", path)], "");
    });
}

pub(super) fn mark(html: &mut Html, mark: Mark) {
    html.el("span", &[("class", "mark"), ("data-kind", mark.kind())], |html| icon(html, mark_path(mark)));
}

/// An event in a table: mark, words as a link to its moment, note.
pub(super) fn said(html: &mut Html, said: &Said, href: &str) {
    mark(html, said.mark);
    link(html, "", href, &said.text);
    if let Some(text) = &said.note {
        note(html, text);
    }
}

/// Names and values.
pub(super) fn fact(html: &mut Html, name: &str, value: impl FnOnce(&mut Html)) {
    html.el("div", &[], |html| {
        html.put("dt", &[], name);
        html.el("dd", &[], value);
    });
}

/// What stands where there are no rows yet, and the way to get one: address and words.
pub(super) fn nothing(html: &mut Html, heading: &str, words: &str, way: Option<(&str, &str)>) {
    html.el("div", &[("class", "empty")], |html| {
        html.el("div", &[], |html| {
            html.put("h2", &[], heading);
            html.put("p", &[], words);
            if let Some((href, words)) = way {
                link(html, "button main", href, words);
            }
        });
    });
}

/// "2 newer entries. Show them.": a link to the first page of the same list, `newest`.
pub(super) fn arrivals(html: &mut Html, count: usize, one: &str, many: &str, newest: &str) {
    let text = match count {
        0 => return,
        1 => format!("1 newer {one}. Show it."),
        _ => format!("{count} newer {many}. Show them."),
    };
    link(html, "arrivals", newest, &text);
}
