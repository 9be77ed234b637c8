//! How every table of the book is drawn: rows are described as plain data, and one view draws them all.
//!
//! One view for all tables keeps the browser's module small (each distinct view type is code of its own), and a live
//! row that changes is redrawn in place: the row and the link in it stay the same elements, so focus stays where it is.

use leptos::prelude::*;

use crate::words::Mark;

/// A row of a table.
#[derive(Clone, PartialEq)]
pub(super) struct Row {
    /// Same key, same row.
    pub key: u128,
    /// To link to: `#e40`.
    pub id: Option<String>,
    pub class: &'static str,
    pub cells: Vec<Cell>,
}

#[derive(Clone, PartialEq)]
pub(super) struct Cell {
    pub class: &'static str,
    /// Where it stands on a phone: `lead`, `side`, `sub`, `end`, or left out.
    pub place: Option<&'static str>,
    /// Wider than one column: a heading of the rows below.
    pub heading: Option<u32>,
    pub pieces: Vec<Piece>,
}

impl Cell {
    pub(super) fn new(class: &'static str, place: &'static str, pieces: Vec<Piece>) -> Self {
        Self { class, place: (!place.is_empty()).then_some(place), heading: None, pieces }
    }

    pub(super) fn text(class: &'static str, place: &'static str, text: impl Into<String>) -> Self {
        Self::new(class, place, vec![Piece::text(text)])
    }
}

/// What stands in a cell.
#[derive(Clone, PartialEq)]
pub(super) enum Piece {
    Span { class: &'static str, text: String, title: Option<String>, state: Option<&'static str> },
    Link { class: &'static str, text: String, href: String, label: Option<String> },
    Struck(String),
    Time { text: String, exact: String },
    Mark(Mark),
    Track(String),
}

impl Piece {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::note("", text)
    }

    pub(super) fn note(class: &'static str, text: impl Into<String>) -> Self {
        Self::Span { class, text: text.into(), title: None, state: None }
    }

    /// An id shortened in the middle, whole on hover.
    pub(super) fn id(full: &str) -> Self {
        Self::Span { class: "id", text: short_id(full), title: Some(full.to_owned()), state: None }
    }

    pub(super) fn state(state: &'static str, text: impl Into<String>) -> Self {
        Self::Span { class: "state", text: text.into(), title: None, state: Some(state) }
    }

    pub(super) fn link(class: &'static str, text: impl Into<String>, href: String) -> Self {
        Self::Link { class, text: text.into(), href, label: None }
    }
}

/// `019bd4f2…c7e9`.
pub fn short_id(full: &str) -> String {
    match (full.get(..8), full.len().checked_sub(4).and_then(|end| full.get(end..))) {
        (Some(start), Some(end)) => format!("{start}…{end}"),
        _ => full.to_owned(),
    }
}

/// The icon of a mark, a shape on a 16 × 16 grid.
pub fn mark_icon(mark: Mark) -> String {
    let path = match mark {
        Mark::In => "M8 2.5v9M4.5 8 8 11.5 11.5 8M3 14h10",
        Mark::Out => "M8 11.5v-9M4.5 6 8 2.5 11.5 6M3 14h10",
        Mark::Move => "M2.5 5.5h10M9.5 2.5l3 3-3 3M13.5 11h-10M6.5 8.5 3.5 11l3 2.5",
        Mark::Fix => "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
        Mark::Undo => "M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H6",
        Mark::Open => "M3 2.5h8.5A1.5 1.5 0 0 1 13 4v9.5H4.5A1.5 1.5 0 0 1 3 12zM3 12a1.5 1.5 0 0 1 1.5-1.5H13",
        Mark::Stop => "M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5zM8 5v3.5M8 10.9v.1",
    };
    icon(path)
}

/// An icon from its path; the word beside it says what it means.
pub(super) fn icon(path: &str) -> String {
    format!("<svg class=\"icon\" viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path d=\"{path}\"/></svg>")
}

/// The whole table. `caption` is for those who hear it; `columns`: class and title.
pub(super) fn table(
    class: &'static str,
    caption: String,
    columns: Vec<(&'static str, String)>,
    rows: Memo<Vec<Row>>,
) -> impl IntoView {
    let head = columns
        .into_iter()
        .map(|(class, title)| view! { <th scope="col" class=class>{title}</th> })
        .collect::<Vec<_>>();
    // A row that comes after the page was drawn is a fresh one.
    let drawn = StoredValue::new(false);
    Effect::new(move |_| drawn.set_value(true));
    view! {
        <div class="ledger-wrap">
            <table class=class>
                <caption class="sr">{caption}</caption>
                <thead>
                    <tr>{head}</tr>
                </thead>
                <tbody>
                    <For
                        each=move || rows.get()
                        key=|row| row.key
                        children=move |row| draw_row(row, rows, drawn.get_value())
                    />
                </tbody>
            </table>
        </div>
    }
}

fn draw_row(first: Row, rows: Memo<Vec<Row>>, fresh: bool) -> impl IntoView {
    let key = first.key;
    let id = first.id.clone();
    // The row as it is now; a row that has just left the list shows what it showed last.
    let row = Memo::new(move |last: Option<&Row>| {
        rows.with(|rows| rows.iter().find(|row| row.key == key).or(last).unwrap_or(&first).clone())
    });
    let class = move || {
        let class = row.with(|row| row.class);
        if fresh { format!("{class} fresh") } else { class.to_owned() }
    };
    view! { <tr id=id class=class>{move || row.get().cells.into_iter().map(draw_cell).collect::<Vec<_>>()}</tr> }
}

fn draw_cell(cell: Cell) -> AnyView {
    let pieces = cell.pieces.into_iter().map(|piece| (draw(piece), " ")).collect::<Vec<_>>();
    match cell.heading {
        Some(columns) => view! { <th colspan=columns scope="rowgroup" data-cell=cell.place>{pieces}</th> }.into_any(),
        None => view! { <td class=cell.class data-cell=cell.place>{pieces}</td> }.into_any(),
    }
}

pub(super) fn draw(piece: Piece) -> AnyView {
    match piece {
        Piece::Span { class, text, title, state } => {
            view! { <span class=class title=title data-state=state>{text}</span> }.into_any()
        }
        Piece::Link { class, text, href, label } => {
            view! { <a class=class href=href aria-label=label>{text}</a> }.into_any()
        }
        Piece::Struck(text) => view! { <s>{text}</s> }.into_any(),
        Piece::Time { text, exact } => view! { <time title=exact>{text}</time> }.into_any(),
        Piece::Mark(mark) => {
            view! { <span class="mark" data-kind=mark.kind() inner_html=mark_icon(mark)></span> }.into_any()
        }
        Piece::Track(svg) => view! { <span class="track-line" inner_html=svg></span> }.into_any(),
    }
}
