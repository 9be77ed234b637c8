//! What moved: an account's statement, and the latest entries over several accounts.

use serde::Serialize;

use super::{
    Names, Part,
    html::Html,
    ledger::{amount, arrivals, cell, cell_of, link, mark, most_decimals, note, nothing, row, table, time},
    name_of,
};
use crate::{
    domain::{AccountId, Currency, EventId},
    links,
    live::{List, LiveRow as _, Newcomers},
    locale::Locale,
    wire::{
        AccountView, EntryKind, Json, LiveQuery, Page, StatementRow, TransferState, TransferView, Version, from_json,
    },
    words::{self, Mark},
};

/// An account's statement.
#[derive(Serialize)]
pub struct StatementRows {
    account: AccountId,
    name: String,
    currency: Currency,
    entries: List<StatementRow>,
    /// Transfers that hold or promise money now.
    pending: List<TransferView>,
    names: Names,
    by_date: bool,
    /// There are older entries, and the balance runs over all: what it was before those shown is shown below them.
    carried: bool,
    /// Where one gets a first entry.
    way: Option<String>,
    locale: Locale,
}

from_json! { StatementRows { account, name, currency, entries, pending, names, by_date, carried, way, locale } }

impl StatementRows {
    /// `live`: the newest entries in the order they were entered, unfiltered, so that new ones join on top; else new
    /// ones are counted and offered. `by_date`: the balance runs by effective date, and is headed so. `carried`: the balance brought forward from older entries stands below.
    pub fn new(
        account: &AccountView,
        entries: Page<StatementRow>,
        pending: Vec<TransferView>,
        names: Names,
        live: bool,
        by_date: bool,
        carried: bool,
        way: Option<String>,
        locale: Locale,
    ) -> Self {
        let (newcomers, transfers) =
            if live { (Newcomers::Show, Newcomers::Show) } else { (Newcomers::Count, Newcomers::Ignore) };
        Self {
            account: account.id,
            name: account.name.clone(),
            currency: account.currency,
            entries: List::page(entries, newcomers),
            pending: List::new(pending, transfers),
            names,
            by_date,
            carried,
            way,
            locale,
        }
    }
}

impl Part for StatementRows {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::Statement(self.account), LiveQuery::Transfers]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        if query == "transfers" {
            let account = self.account;
            let changed = self.pending.receive(rows, reset, &|transfer| is_pending(transfer, account));
            self.pending.rows.retain(|transfer| is_pending(transfer, account));
            return changed;
        }
        query == LiveQuery::Statement(self.account).to_string() && self.entries.receive(rows, reset, &|_| true)
    }

    fn draw(&self, html: &mut Html) {
        let currency = self.currency;
        let amount = format!("Amount {currency}");
        let balance = format!("{} {currency}", if self.by_date { "Balance by date" } else { "Balance" });
        let columns =
            [("date", "Date"), ("", "What"), ("money", &amount), ("money balance", &balance), ("ref", "Entry")];
        arrivals(html, self.entries.waiting(), "entry", "entries", "?");
        if self.entries.rows.is_empty() && self.pending.rows.is_empty() {
            let words =
                "Each deposit, withdrawal and transfer will stand here, newest first, with the balance after it.";
            return nothing(html, "No entries yet", words, self.way.as_deref().map(|way| (way, "Pay money in")));
        }
        table(html, "ledger", &format!("Statement of {}, newest first", self.name), &columns, |html| {
            for transfer in &self.pending.rows {
                self.draw_pending(html, transfer);
            }
            let month = |entry: &StatementRow| (entry.effective_on.year(), entry.effective_on.month());
            for entries in self.entries.rows.chunk_by(|one, next| month(one) == month(next)) {
                let (Some(newest), Some(oldest)) = (entries.first(), entries.last()) else { continue };
                // A month may come twice where entries took effect earlier. New entries join on top, so the lowest stays.
                row(html, oldest.key().wrapping_add(1), "", "month", |html| {
                    let heading = [("colspan", "5"), ("scope", "rowgroup"), ("data-cell", "lead")];
                    html.put("th", &heading, &self.locale.format_month(newest.effective_on));
                });
                for entry in entries {
                    let class = if entry.reversed_by.is_some() { "reversed" } else { "" };
                    row(html, entry.key(), &format!("e{}", entry.version), class, |html| {
                        entry_cells(
                            html,
                            entry,
                            &self.entries.rows,
                            (currency, currency.exponent()),
                            &self.names,
                            &self.locale,
                            |html| {
                                cell(html, "money balance", "end", &self.locale.format_amount(entry.balance, currency));
                            },
                        );
                    });
                }
            }
            if let Some(oldest) = self.entries.rows.last().filter(|_| self.carried) {
                row(html, 1, "", "carried", |html| {
                    cell(html, "date", "", "");
                    cell(html, "what", "lead", "Brought forward from older entries");
                    cell(html, "money", "", "");
                    let before = oldest.balance.saturating_sub(oldest.amount);
                    cell(html, "money balance", "side", &self.locale.format_amount(before, currency));
                    cell(html, "ref", "", "");
                });
            }
        });
    }
}

impl StatementRows {
    fn draw_pending(&self, html: &mut Html, transfer: &TransferView) {
        let (side, other, sign) =
            if transfer.from == self.account { ("to", transfer.to, -1) } else { ("from", transfer.from, 1) };
        row(html, transfer.key(), "", "pending", |html| {
            cell(html, "date", "sub", "pending");
            cell_of(html, "what", "lead", |html| {
                mark(html, Mark::Move);
                let text = format!("Transfer {side} {}", name_of(&self.names, other));
                link(html, "", &links::transfer(transfer.id), &text);
                note(html, &words::transfer_state(transfer.state, None).to_ascii_lowercase());
            });
            cell(html, "money", "side", &self.locale.format_signed(sign * transfer.amount, transfer.currency));
            cell_of(html, "money balance", "", |html| html.put("span", &[("class", "sr")], "not entered yet"));
            cell(html, "ref", "", "");
        });
    }
}

fn is_pending(transfer: &TransferView, account: AccountId) -> bool {
    match transfer.state {
        TransferState::Held | TransferState::Promised => transfer.from == account || transfer.to == account,
        TransferState::InTransit => transfer.to == account,
        TransferState::Requested | TransferState::Completed | TransferState::Declined => false,
    }
}

/// An entry's cells; `most`: decimals in the column; `between` what it moved and its reference stands what the table wants there.
fn entry_cells(
    html: &mut Html,
    entry: &StatementRow,
    shown: &[StatementRow],
    (currency, most): (Currency, u8),
    names: &Names,
    locale: &Locale,
    between: impl FnOnce(&mut Html),
) {
    cell_of(html, "date", "sub", |html| {
        let exact = format!("recorded {}", locale.format_moment(entry.recorded_at));
        time(html, &locale.format_day(entry.effective_on), &exact);
    });
    cell_of(html, "what", "lead", |html| what(html, entry, shown, names));
    let class = if entry.amount > 0 { "money in" } else { "money" };
    amount(html, class, "side", &locale.format_signed(entry.amount, currency), (currency, most), locale);
    between(html);
    cell_of(html, "ref", "ref", |html| {
        let label = format!("entry {}", entry.version);
        let href = links::moment(entry.account_id, entry.version);
        let attributes = [("class", "moment"), ("href", href.as_str()), ("aria-label", label.as_str())];
        html.put("a", &attributes, &format!("#{}", entry.version));
    });
}

/// Mark, words, link and notes of an entry.
fn what(html: &mut Html, entry: &StatementRow, shown: &[StatementRow], names: &Names) {
    let (kind, word) = words::entry_kind(entry.kind);
    let version_of = |id: EventId| shown.iter().find(|row| row.event_id == id).map(|row| row.version);
    let link_to = |version: Version| format!("#e{version}");
    mark(html, kind);
    match (entry.kind, entry.counterparty, entry.transfer_id) {
        (EntryKind::TransferIn | EntryKind::TransferOut, Some(other), Some(transfer)) => {
            link(html, "", &links::transfer(transfer), &format!("{word} {}", name_of(names, other)));
        }
        (EntryKind::Reversal, ..) => match entry.reverses.and_then(version_of) {
            Some(version) => link(html, "", &link_to(version), &format!("Reversal of entry {version}")),
            None => match entry.reverses {
                Some(id) => link(html, "", &links::event(id), "Reversal of an earlier entry"),
                None => html.put("span", &[], "Reversal of an earlier entry"),
            },
        },
        _ => html.put(if entry.reversed_by.is_some() { "s" } else { "span" }, &[], word),
    }
    if let Some(description) = &entry.description {
        note(html, description);
    }
    if let Some(by) = entry.reversed_by {
        html.text(" ");
        html.el("span", &[("class", "note")], |html| {
            html.text("reversed by ");
            match version_of(by) {
                Some(version) => link(html, "", &link_to(version), &format!("entry {version}")),
                None => link(html, "", &links::event(by), "a later entry"),
            }
        });
    }
}

/// The latest entries over the viewer's accounts, under their heading; nothing until there is one.
#[derive(Serialize)]
pub struct LatestRows {
    entries: List<StatementRow>,
    accounts: Vec<(AccountId, String, Currency)>,
    locale: Locale,
}

from_json! { LatestRows { entries, accounts, locale } }

/// Fewer are no list; more make the page long.
const LATEST: usize = 8;

impl LatestRows {
    pub fn new(entries: Vec<StatementRow>, accounts: &[AccountView], locale: Locale) -> Self {
        let accounts = accounts.iter().map(|account| (account.id, account.name.clone(), account.currency)).collect();
        Self { entries: List::new(entries, Newcomers::Show), accounts, locale }
    }
}

impl Part for LatestRows {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::Accounts, LiveQuery::Movements]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        if query == "accounts" {
            let mut arrived = List::<AccountView>::new(Vec::new(), Newcomers::Show);
            arrived.receive(rows, false, &|account| self.accounts.iter().all(|(id, ..)| *id != account.id));
            self.accounts.extend(arrived.rows.into_iter().map(|account| (account.id, account.name, account.currency)));
            return true;
        }
        query == "movements" && self.entries.receive(rows, reset, &|_| true)
    }

    fn draw(&self, html: &mut Html) {
        if self.entries.rows.is_empty() {
            return;
        }
        html.el("div", &[("class", "section-head")], |html| {
            html.put("h2", &[], "Latest movements");
            link(html, "", "/timeline", "Timeline");
        });
        let columns =
            [("date", "Date"), ("", "What"), ("money", "Amount"), ("", "Currency"), ("", "Account"), ("ref", "Entry")];
        let names: Names = self.accounts.iter().map(|(id, name, _)| (*id, name.clone())).collect();
        let most = most_decimals(self.accounts.iter().map(|(.., currency)| *currency));
        table(html, "ledger", "Latest movements over all accounts", &columns, |html| {
            for entry in self.entries.rows.iter().take(LATEST) {
                let account = self.accounts.iter().find(|(id, ..)| *id == entry.account_id);
                let Some((id, name, currency)) = account else { continue };
                row(html, entry.key(), "", "", |html| {
                    entry_cells(html, entry, &self.entries.rows, (*currency, most), &names, &self.locale, |html| {
                        cell(html, "quiet small", "end", currency.code());
                        cell_of(html, "quiet small", "", |html| link(html, "", &links::account(*id), name));
                    });
                });
            }
        });
    }
}
