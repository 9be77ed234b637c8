//! What moved: an account's statement, and the latest entries over several accounts.

use leptos::prelude::*;

use super::{
    Names,
    ledger::{Cell, Piece, Row, table},
    name_of,
};
use crate::{
    domain::Currency,
    links,
    live::{LiveRows, Newcomers, use_rows},
    locale::Locale,
    wire::{AccountView, EntryKind, LiveQuery, Position, StatementRow, TransferState, TransferView, Version},
    words::{self, Mark},
};

/// An account's statement. `live`: the newest entries in the order they were entered, unfiltered, so that new ones join
/// on top; else they are counted and offered. `pending`: transfers that hold or promise money now. `by_date`: headed so.
#[island]
pub fn StatementRows(
    account: AccountView,
    rows: Vec<StatementRow>,
    pending: Vec<TransferView>,
    names: Names,
    position: Position,
    locale: Locale,
    live: bool,
    by_date: bool,
) -> impl IntoView {
    let AccountView { id, currency, name, .. } = account;
    let newcomers = if live { Newcomers::Show } else { Newcomers::Count(Box::new(|_: &StatementRow| true)) };
    let entries = use_rows(vec![LiveQuery::Statement(id)], position, rows, newcomers);
    let newcomers = if live { Newcomers::Show } else { Newcomers::Ignore };
    let transfers = use_rows(vec![LiveQuery::Transfers], position, pending, newcomers).rows;

    let drawn = Memo::new(move |_| {
        let mut drawn: Vec<Row> = transfers.with(|transfers| {
            transfers
                .iter()
                .filter(|transfer| is_pending(transfer, id))
                .map(|transfer| pending_row(transfer, id, &names, &locale))
                .collect()
        });
        entries.rows.with(|entries| {
            let mut month = None;
            for entry in entries {
                let this = (entry.effective_on.year(), entry.effective_on.month());
                if month != Some(this) {
                    month = Some(this);
                    drawn.push(month_row(entry, &locale));
                }
                drawn.push(entry_row(entry, entries, currency, &names, &locale));
            }
        });
        drawn
    });
    let balance = if by_date { "Balance by date" } else { "Balance" };
    let columns = vec![
        ("date", "Date".to_owned()),
        ("", "What".to_owned()),
        ("money", format!("Amount {currency}")),
        ("money balance", format!("{balance} {currency}")),
        ("ref", "Entry".to_owned()),
    ];
    view! {
        {arrivals(entries, "entry", "entries")}
        {table("ledger", format!("Statement of {name}, newest first"), columns, drawn)}
    }
}

/// "2 newer entries. Show them."
pub(super) fn arrivals<T: crate::live::LiveRow>(
    list: LiveRows<T>,
    one: &'static str,
    many: &'static str,
) -> impl IntoView {
    let count = Memo::new(move |_| list.waiting.with(Vec::len));
    move || {
        (count.get() > 0).then(|| {
            let text = match count.get() {
                1 => format!("1 newer {one}. Show it."),
                count => format!("{count} newer {many}. Show them."),
            };
            // To the first page of the same list: an address without the place it was turned to.
            view! { <a class="arrivals" href="?">{text}</a> }
        })
    }
}

fn is_pending(transfer: &TransferView, account: crate::domain::AccountId) -> bool {
    match transfer.state {
        TransferState::Held | TransferState::Promised => transfer.from == account || transfer.to == account,
        TransferState::InTransit => transfer.to == account,
        TransferState::Requested | TransferState::Completed | TransferState::Declined => false,
    }
}

fn pending_row(transfer: &TransferView, account: crate::domain::AccountId, names: &Names, locale: &Locale) -> Row {
    let (what, other, sign) =
        if transfer.from == account { ("to", transfer.to, -1) } else { ("from", transfer.from, 1) };
    let text = format!("Transfer {what} {}", name_of(names, other));
    let state = words::transfer_state(transfer.state, None).to_lowercase();
    Row {
        key: transfer.id.0.as_u128(),
        id: None,
        class: "pending",
        cells: vec![
            Cell::text("date", "sub", "pending"),
            Cell::new(
                "what",
                "lead",
                vec![
                    Piece::Mark(Mark::Move),
                    Piece::link("", text, links::transfer(transfer.id)),
                    Piece::note("note", state),
                ],
            ),
            Cell::text("money", "side", locale.format_signed(sign * transfer.amount, transfer.currency)),
            Cell::new("money balance", "", vec![Piece::note("sr", "not entered yet")]),
            Cell::text("ref", "", ""),
        ],
    }
}

fn month_row(entry: &StatementRow, locale: &Locale) -> Row {
    let heading = Cell {
        class: "",
        place: Some("lead"),
        heading: Some(5),
        pieces: vec![Piece::text(locale.format_month(entry.effective_on))],
    };
    // Apart from every id: those are not this small. The entry's own key keeps two headings of one month apart.
    let key = entry.event_id.0.as_u128().wrapping_add(1);
    Row { key, id: None, class: "month", cells: vec![heading] }
}

fn entry_row(entry: &StatementRow, shown: &[StatementRow], currency: Currency, names: &Names, locale: &Locale) -> Row {
    let reference = Piece::Link {
        class: "moment",
        text: format!("#{}", entry.version),
        href: links::moment(entry.account_id, entry.version),
        label: Some(format!("entry {}", entry.version)),
    };
    Row {
        key: entry.event_id.0.as_u128(),
        id: Some(format!("e{}", entry.version)),
        class: if entry.reversed_by.is_some() { "reversed" } else { "" },
        cells: vec![
            Cell::new(
                "date",
                "sub",
                vec![Piece::Time {
                    text: locale.format_day(entry.effective_on),
                    exact: locale.format_moment(entry.recorded_at),
                }],
            ),
            Cell::new("what", "lead", what(entry, shown, names)),
            money_cell(entry.amount, currency, locale),
            Cell::text("money balance", "end", locale.format_amount(entry.balance, currency)),
            Cell::new("ref", "", vec![reference]),
        ],
    }
}

fn money_cell(amount: i64, currency: Currency, locale: &Locale) -> Cell {
    let class = if amount > 0 { "money in" } else { "money" };
    Cell::text(class, "side", locale.format_signed(amount, currency))
}

/// Mark, words, link and notes of an entry.
fn what(entry: &StatementRow, shown: &[StatementRow], names: &Names) -> Vec<Piece> {
    let (mark, word) = words::entry_kind(entry.kind);
    let version_of = |id| shown.iter().find(|row| row.event_id == id).map(|row| row.version);
    let link_to = |version: Version| format!("#e{version}");
    let mut pieces = vec![Piece::Mark(mark)];
    match (entry.kind, entry.counterparty, entry.transfer_id) {
        (EntryKind::TransferIn | EntryKind::TransferOut, Some(other), Some(transfer)) => {
            pieces.push(Piece::link("", format!("{word} {}", name_of(names, other)), links::transfer(transfer)));
        }
        (EntryKind::Reversal, ..) => match entry.reverses.and_then(version_of) {
            Some(version) => pieces.push(Piece::link("", format!("{word} of entry {version}"), link_to(version))),
            None => pieces.push(Piece::text(format!("{word} of an earlier entry"))),
        },
        _ if entry.reversed_by.is_some() => pieces.push(Piece::Struck(word.to_owned())),
        _ => pieces.push(Piece::text(word)),
    }
    if let Some(description) = &entry.description {
        pieces.push(Piece::note("note", description));
    }
    if let Some(by) = entry.reversed_by {
        pieces.push(match version_of(by) {
            Some(version) => Piece::link("note", format!("reversed by entry {version}"), link_to(version)),
            None => Piece::note("note", "reversed"),
        });
    }
    pieces
}

/// The latest entries over `accounts`, as many as there were.
#[island]
pub fn LatestRows(
    rows: Vec<StatementRow>,
    accounts: Vec<AccountView>,
    position: Position,
    locale: Locale,
) -> impl IntoView {
    let shown = rows.len().max(8);
    // One query an account; those of the first accounts are enough for "latest" to be alive.
    let queries = accounts.iter().take(16).map(|account| LiveQuery::Statement(account.id)).collect();
    let entries = use_rows(queries, position, rows, Newcomers::Show).rows;
    let names: Names = accounts.iter().map(|account| (account.id, account.name.clone())).collect();
    let drawn = Memo::new(move |_| {
        entries.with(|entries| {
            entries
                .iter()
                .take(shown)
                .filter_map(|entry| {
                    let account = accounts.iter().find(|account| account.id == entry.account_id)?;
                    let mut row = entry_row(entry, entries, account.currency, &names, &locale);
                    let link = Piece::link("", account.name.clone(), links::account(account.id));
                    row.cells[3] = Cell::text("quiet small", "end", account.currency.code());
                    row.cells.insert(2, Cell::new("quiet small", "", vec![link]));
                    row.id = None;
                    Some(row)
                })
                .collect()
        })
    });
    let columns =
        [("date", "Date"), ("", "What"), ("", "Account"), ("money", "Amount"), ("", "Currency"), ("ref", "Entry")];
    table(
        "ledger",
        "Latest movements over all accounts".to_owned(),
        columns.into_iter().map(|(class, title)| (class, title.to_owned())).collect(),
        drawn,
    )
}
