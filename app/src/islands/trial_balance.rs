//! The trial balance: both sides of the book, per currency.

use serde::Serialize;

use super::{
    Part,
    html::Html,
    ledger::{icon, nothing, table},
};
use crate::{
    live::{List, LiveRow as _, Newcomers},
    locale::Locale,
    wire::{Json, LiveQuery, Position, TrialBalanceLine, from_json},
};

/// The whole page: whether the sides are equal, and a line for each currency.
#[derive(Serialize)]
pub struct TrialBalanceLines {
    lines: List<TrialBalanceLine>,
    /// Where this is known to hold.
    position: Position,
    locale: Locale,
}

from_json! { TrialBalanceLines { lines, position, locale } }

impl TrialBalanceLines {
    pub fn new(lines: Vec<TrialBalanceLine>, position: Position, locale: Locale) -> Self {
        Self { lines: List::new(lines, Newcomers::Show), position, locale }
    }
}

impl Part for TrialBalanceLines {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::TrialBalance]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        query == "trial-balance" && self.lines.receive(rows, reset, &|_| true)
    }

    fn on_seen(&mut self, position: Position) -> bool {
        self.position = position.max(self.position);
        true
    }

    fn draw(&self, html: &mut Html) {
        let lines = &self.lines.rows;
        let position = lines.iter().map(|line| line.position).fold(self.position, Position::max);
        let position = self.locale.format_count(position.0);
        html.el("div", &[("class", "head")], |html| {
            html.el("div", &[("class", "head-text")], |html| {
                html.put("h1", &[], "Trial balance");
                let words = "Both sides of the book, read at one moment. What is in accounts and under way must equal \
                             what came in less what went out, in every currency.";
                html.put("p", &[], words);
            });
            let word = if lines.iter().all(equal) { "Equal" } else { "Not equal" };
            seal(html, lines.iter().all(equal), &format!("{word} at position {position}"));
        });
        if lines.is_empty() {
            let words = "A line for every currency will stand here once there is an account.";
            return nothing(html, "Nothing here yet", words, None);
        }
        let columns = [
            ("", "Currency"),
            ("money", "Balances"),
            ("money", "In transit"),
            ("money balance", "Together"),
            ("money balance", "Deposits"),
            ("money", "Withdrawals"),
            ("money balance", "Difference"),
            ("ref", "Proof"),
        ];
        table(html, "ledger stack", &format!("Trial balance at position {position}"), &columns, |html| {
            for line in lines {
                self.draw_line(html, line);
            }
        });
    }
}

impl TrialBalanceLines {
    fn draw_line(&self, html: &mut Html, line: &TrialBalanceLine) {
        let (together, difference) = sides(line);
        html.el("tr", &[("data-key", &format!("{:x}", line.key()))], |html| {
            html.el("th", &[("scope", "row"), ("class", "what")], |html| {
                html.put("strong", &[], line.currency.code());
            });
            for (class, label, amount) in [
                ("money", "Balances", line.balances),
                ("money", "In transit", line.in_transit),
                ("money balance strong", "Together", together),
                ("money balance", "Deposits", line.deposits),
                ("money", "Withdrawals", line.withdrawals),
                ("money balance strong", "Difference", difference),
            ] {
                // Sums of one side stay within what the ledger holds.
                let text = i64::try_from(amount).map(|amount| self.locale.format_amount(amount, line.currency));
                let text = text.unwrap_or_else(|_| "more than 64 bits".to_owned());
                html.put("td", &[("class", class), ("data-label", label), ("data-lit", "1")], &text);
            }
            html.el("td", &[("class", "ref"), ("data-label", "Proof")], |html| {
                seal(html, equal(line), if equal(line) { "equal" } else { "not equal" });
            });
        });
    }
}

/// What the two sides come to.
fn sides(line: &TrialBalanceLine) -> (i128, i128) {
    (line.balances + line.in_transit, line.deposits - line.withdrawals)
}

fn equal(line: &TrialBalanceLine) -> bool {
    let (together, difference) = sides(line);
    together == difference
}

fn seal(html: &mut Html, ok: bool, word: &str) {
    let (state, path) = if ok {
        ("ok", "M8 1.8 13 4v4c0 3-2.2 5.2-5 6.2C5.2 13.2 3 11 3 8V4zM5.5 8 7.3 9.8 10.7 6.3")
    } else {
        ("broken", "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1")
    };
    html.el("span", &[("class", "seal"), ("data-state", state)], |html| {
        icon(html, path);
        html.text(word);
    });
}
