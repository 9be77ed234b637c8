//! Transfers and where they stand.

use serde::Serialize;

use super::{
    Names, Part,
    accounts::figure_class,
    html::Html,
    ledger::{
        self, arrivals, cell, cell_of, copy, fact, icon, id, link, most_decimals, note, nothing, row, short_id, state,
        table, time,
    },
    name_of,
};
use crate::{
    domain::{AccountId, Date, account::DeclineReason},
    links,
    live::{List, LiveRow as _, Newcomers},
    locale::Locale,
    wire::{Json, LiveQuery, Page, TransferState, TransferView, from_json},
    words,
};

/// As styles know a state.
fn state_of(state: TransferState) -> &'static str {
    match state {
        TransferState::Requested | TransferState::Promised | TransferState::InTransit => "waiting",
        TransferState::Held => "held",
        TransferState::Completed => "done",
        TransferState::Declined => "failed",
    }
}

/// How many of the five steps it has come to; a declined one, where it was declined.
fn reached(transfer: &TransferView) -> usize {
    match (transfer.state, transfer.reason) {
        (TransferState::Requested, _) => 1,
        (TransferState::Held, _) => 2,
        (TransferState::Promised, _) => 3,
        (TransferState::InTransit, _) => 4,
        (TransferState::Completed, _) => 5,
        // What the destination says, which is told no more than this; else it was the source that refused to hold.
        (
            TransferState::Declined,
            Some(DeclineReason::Unavailable | DeclineReason::AccountNotFound | DeclineReason::CurrencyMismatch),
        ) => 3,
        (TransferState::Declined, _) => 2,
    }
}

/// The five steps as a line of ticks.
pub(super) fn track(html: &mut Html, transfer: &TransferView) {
    let reached = reached(transfer);
    let done = transfer.state == TransferState::Completed;
    // In tenths: steps stand 16.5 apart.
    let tenths = |tenths: usize| format!("{}.{}", tenths / 10, tenths % 10);
    html.el("svg", &[("viewBox", "0 0 76 10"), ("aria-hidden", "true")], |html| {
        for step in 1..5 {
            let class = if step < reached { "on" } else { "" };
            let (x1, x2) = (tenths(165 * step - 115), tenths(165 * step + 50));
            html.put("line", &[("x1", &x1), ("x2", &x2), ("y1", "5"), ("y2", "5"), ("class", class)], "");
        }
        for step in 1..6 {
            let class = match step.cmp(&reached) {
                std::cmp::Ordering::Less => "on",
                std::cmp::Ordering::Equal if done => "on",
                std::cmp::Ordering::Equal if transfer.state == TransferState::Declined => "no",
                std::cmp::Ordering::Equal => "now",
                std::cmp::Ordering::Greater => "",
            };
            let x = tenths(165 * step - 145);
            let shape = [("x", x.as_str()), ("y", "2"), ("width", "6"), ("height", "6"), ("rx", "3"), ("class", class)];
            html.put("rect", &shape, "");
        }
    });
}

pub(super) fn draw_state(html: &mut Html, transfer: &TransferView) {
    state(html, state_of(transfer.state), &words::transfer_state(transfer.state, transfer.reason));
}

/// The list of transfers, newest first.
#[derive(Serialize)]
pub struct TransferRows {
    transfers: List<TransferView>,
    names: Names,
    locale: Locale,
}

from_json! { TransferRows { transfers, names, locale } }

impl TransferRows {
    /// `live`: the newest page. `names`: the viewer's own accounts; money from one of them is shown as leaving.
    pub fn new(transfers: Page<TransferView>, names: Names, live: bool, locale: Locale) -> Self {
        let newcomers = if live { Newcomers::Show } else { Newcomers::Count };
        Self { transfers: List::page(transfers, newcomers), names, locale }
    }
}

impl Part for TransferRows {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::Transfers]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        query == "transfers" && self.transfers.receive(rows, reset, &|_| true)
    }

    fn draw(&self, html: &mut Html) {
        let columns = [("date", "Asked"), ("", "From → to"), ("", "State"), ("money", "Amount"), ("", "Currency")];
        let own = |id: AccountId| self.names.iter().any(|(known, _)| *known == id);
        arrivals(html, self.transfers.waiting(), "transfer", "transfers", "?");
        if self.transfers.rows.is_empty() {
            let words = "Transfers will stand here, each with how far it has come.";
            return nothing(html, "Nothing here yet", words, None);
        }
        let most = most_decimals(self.transfers.rows.iter().map(|transfer| transfer.currency));
        table(html, "ledger link-rows", "Transfers, newest first", &columns, |html| {
            for transfer in &self.transfers.rows {
                let (class, amount) = match (own(transfer.from), own(transfer.to)) {
                    (true, _) => ("money", self.locale.format_signed(-transfer.amount, transfer.currency)),
                    (false, true) => ("money in", self.locale.format_signed(transfer.amount, transfer.currency)),
                    (false, false) => ("money", self.locale.format_amount(transfer.amount, transfer.currency)),
                };
                row(html, transfer.key(), "", "", |html| {
                    cell_of(html, "date", "sub", |html| {
                        let day = self.locale.format_day(Date::of_micros(transfer.requested_at));
                        time(html, &day, &self.locale.format_moment(transfer.requested_at));
                    });
                    cell_of(html, "what", "lead", |html| {
                        let (from, to) = (name_of(&self.names, transfer.from), name_of(&self.names, transfer.to));
                        link(html, "", &links::transfer(transfer.id), &format!("{from} → {to}"));
                        if let Some(description) = &transfer.description {
                            note(html, description);
                        }
                    });
                    cell_of(html, "", "end", |html| {
                        html.el("span", &[("class", "track")], |html| {
                            track(html, transfer);
                            draw_state(html, transfer);
                        });
                    });
                    ledger::amount(html, class, "side", &amount, (transfer.currency, most), &self.locale);
                    cell(html, "quiet small", "", transfer.currency.code());
                });
            }
        });
    }
}

/// A transfer's page below its crumbs: state, amount, parties, its way, technical details.
#[derive(Serialize)]
pub struct TransferPage {
    transfer: List<TransferView>,
    names: Names,
    locale: Locale,
}

from_json! { TransferPage { transfer, names, locale } }

impl TransferPage {
    /// `names`: the viewer's own accounts.
    pub fn new(transfer: TransferView, names: Names, locale: Locale) -> Self {
        Self { transfer: List::new(vec![transfer], Newcomers::Ignore), names, locale }
    }

    /// "Transfer · CZK 1,000.00 held"
    pub fn title_of(transfer: &TransferView, locale: &Locale) -> String {
        format!(
            "Transfer · {} {} {}",
            transfer.currency,
            locale.format_amount(transfer.amount, transfer.currency),
            words::transfer_state(transfer.state, None).to_ascii_lowercase()
        )
    }

    fn draw_party(&self, html: &mut Html, side: &str, account: AccountId) {
        html.el("div", &[], |html| {
            html.put("span", &[("class", "quiet")], side);
            match self.names.iter().find(|(known, _)| *known == account) {
                Some((_, name)) => link(html, "", &links::account(account), name),
                None => html.put("span", &[], "Another account"),
            }
            id(html, "id", &account.to_string());
        });
    }

    fn draw_steps(&self, html: &mut Html, transfer: &TransferView) {
        let reached = reached(transfer);
        let declined = transfer.state == TransferState::Declined;
        let steps = [
            ("Requested", "Asked for."),
            ("Held", "Set aside at the source; it can no longer be spent."),
            ("Promised", "The other account is open, has the currency and will take it."),
            ("In transit", "The money has left the source. Nothing can refuse it any more."),
            ("Completed", "The other account has it."),
        ];
        for (at, (name, words)) in (1..).zip(steps) {
            if declined && at > reached {
                break;
            }
            let (step, name, words) = if declined && at == reached {
                let why = words::transfer_state(transfer.state, transfer.reason);
                ("failed", why, "No money has moved; what was held is free again.")
            } else {
                let step = match at.cmp(&reached) {
                    std::cmp::Ordering::Less => "done",
                    std::cmp::Ordering::Equal if transfer.state == TransferState::Completed => "done",
                    std::cmp::Ordering::Equal => "now",
                    std::cmp::Ordering::Greater => "ahead",
                };
                (step, name.to_owned(), words)
            };
            let when = match at {
                1 => self.locale.format_moment(transfer.requested_at),
                _ if at == reached => self.locale.format_moment(transfer.updated_at),
                _ => String::new(),
            };
            html.el("li", &[("data-step", step)], |html| {
                html.put("b", &[], &name);
                html.put("span", &[("class", "moment")], &when);
                html.put("p", &[], words);
            });
        }
    }
}

impl Part for TransferPage {
    fn follows(&self) -> Vec<LiveQuery> {
        self.transfer.rows.iter().map(|transfer| LiveQuery::Transfer(transfer.id)).collect()
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        self.follows().iter().any(|own| own.to_string() == query) && self.transfer.receive(rows, reset, &|_| true)
    }

    fn title(&self) -> Option<String> {
        self.transfer.rows.first().map(|transfer| Self::title_of(transfer, &self.locale))
    }

    fn draw(&self, html: &mut Html) {
        let Some(transfer) = self.transfer.rows.first() else { return };
        html.el("div", &[("class", "head")], |html| {
            html.el("div", &[("class", "head-text")], |html| {
                html.el("div", &[("class", "head-line")], |html| {
                    html.put("h1", &[], "Transfer");
                    draw_state(html, transfer);
                });
                let amount = self.locale.format_amount(transfer.amount, transfer.currency);
                html.el("p", &[("class", figure_class(&amount))], |html| {
                    html.put("span", &[("class", "unit")], transfer.currency.code());
                    html.put("span", &[], &amount);
                });
                if let Some(description) = &transfer.description {
                    html.put("p", &[], description);
                }
            });
        });
        html.el("div", &[("class", "parties")], |html| {
            self.draw_party(html, "From", transfer.from);
            icon(html, "M3 8h10M9 4l4 4-4 4");
            self.draw_party(html, "To", transfer.to);
        });
        html.el("div", &[("class", "desk section")], |html| {
            html.el("section", &[], |html| {
                html.el("div", &[("class", "section-head")], |html| html.put("h2", &[], "Its way"));
                html.el("ol", &[("class", "steps")], |html| self.draw_steps(html, transfer));
            });
            html.el("aside", &[], |html| {
                html.el("div", &[("class", "section-head")], |html| html.put("h2", &[], "Technical details"));
                html.el("dl", &[("class", "facts")], |html| {
                    let full = transfer.id.to_string();
                    fact(html, "Transfer", |html| {
                        id(html, "id", &full);
                        copy(html, &full);
                    });
                    fact(html, "Stream", |html| {
                        let text = format!("transfer {}", short_id(&full));
                        link(html, "id", &links::stream(transfer.id.into()), &text);
                    });
                    fact(html, "Version", |html| html.text(&transfer.version.to_string()));
                    fact(html, "Position", |html| html.text(&self.locale.format_count(transfer.position.0)));
                });
            });
        });
    }
}
