//! Accounts: the head of one, the list of all, and what they come to.

use serde::Serialize;

use super::{
    Part,
    html::Html,
    ledger::{amount, cell, cell_of, copy, fact, id, link, most_decimals, nothing, row, state, table},
};
use crate::{
    domain::{Currency, account::Status},
    links,
    live::{List, LiveRow as _, Newcomers, State},
    locale::Locale,
    wire::{AccountView, Json, LiveQuery, from_json},
    words,
};

/// As styles know a status.
fn state_of(status: Status) -> &'static str {
    match status {
        Status::Absent | Status::Closed => "closed",
        Status::Open => "open",
        Status::Frozen => "frozen",
    }
}

/// Of a page's one figure: on a phone, many digits are written smaller.
pub(super) fn figure_class(amount: &str) -> &'static str {
    if amount.chars().count() > 13 { "figure long" } else { "figure" }
}

/// `.head-text` of an account's page: name, state, balance, available, held.
#[derive(Serialize)]
pub struct AccountHead {
    account: List<AccountView>,
    locale: Locale,
    #[serde(skip)]
    offline: bool,
}

from_json! { AccountHead { account, locale; offline } }

impl AccountHead {
    pub fn new(account: AccountView, locale: Locale) -> Self {
        Self { account: List::new(vec![account], Newcomers::Ignore), locale, offline: false }
    }
}

impl Part for AccountHead {
    fn follows(&self) -> Vec<LiveQuery> {
        self.account.rows.iter().map(|account| LiveQuery::Account(account.id)).collect()
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        self.follows().iter().any(|own| own.to_string() == query) && self.account.receive(rows, reset, &|_| true)
    }

    fn on_state(&mut self, state: &State) -> bool {
        let offline = matches!(state, State::Offline(_));
        std::mem::replace(&mut self.offline, offline) != offline
    }

    fn draw(&self, html: &mut Html) {
        let Some(account) = self.account.rows.first() else { return };
        let amount = |minor| self.locale.format_amount(minor, account.currency);
        let class = if self.offline { "head-text dimmed" } else { "head-text" };
        html.el("div", &[("class", class)], |html| {
            html.el("div", &[("class", "head-line")], |html| {
                html.put("h1", &[], &account.name);
                state(html, state_of(account.status), words::account_status(account.status));
            });
            let balance = amount(account.balance);
            html.el("p", &[("class", figure_class(&balance))], |html| {
                html.put("span", &[("class", "unit")], account.currency.code());
                let whole = balance.rfind(self.locale.decimal).filter(|_| account.currency.exponent() > 0);
                let (whole, minor) = whole.and_then(|end| balance.split_at_checked(end)).unwrap_or((&balance, ""));
                html.el("span", &[("data-lit", "1")], |html| {
                    html.text(whole);
                    html.put("span", &[("class", "minor")], minor);
                });
            });
            html.el("dl", &[("class", "figures inline")], |html| {
                for (name, minor) in [("Available", account.available), ("Held", account.held)] {
                    fact(html, name, |html| html.put("span", &[("data-lit", "1")], &amount(minor)));
                }
                fact(html, "Account", |html| {
                    let full = account.id.to_string();
                    id(html, "id", &full);
                    copy(html, &full);
                });
            });
        });
    }
}

/// Totals per currency over all accounts of the viewer.
#[derive(Serialize)]
pub struct AccountTotals {
    accounts: List<AccountView>,
    locale: Locale,
}

from_json! { AccountTotals { accounts, locale } }

impl AccountTotals {
    /// `whole`: these are all that the viewer has, so that a new one counts.
    pub fn new(accounts: Vec<AccountView>, locale: Locale, whole: bool) -> Self {
        Self { accounts: List::new(accounts, newcomers(whole)), locale }
    }
}

impl Part for AccountTotals {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::Accounts]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        query == "accounts" && self.accounts.receive(rows, reset, &|_| true)
    }

    fn draw(&self, html: &mut Html) {
        let totals = totals(&self.accounts.rows);
        if totals.is_empty() {
            return;
        }
        html.el("dl", &[("class", "figures big")], |html| {
            for (currency, count, sum) in totals {
                let plural = if count == 1 { "account" } else { "accounts" };
                fact(html, &format!("{currency} in {count} {plural}"), |html| {
                    html.put("span", &[("data-lit", "1")], &self.locale.format_amount(sum, currency));
                });
            }
        });
    }
}

fn newcomers(whole: bool) -> Newcomers {
    if whole { Newcomers::Show } else { Newcomers::Ignore }
}

/// Currency, how many accounts that are not closed, their balances' sum; largest group first.
fn totals(accounts: &[AccountView]) -> Vec<(Currency, usize, i64)> {
    let mut totals: Vec<(Currency, usize, i64)> = Vec::new();
    for account in accounts.iter().filter(|account| account.status != Status::Closed) {
        match totals.iter_mut().find(|(currency, ..)| *currency == account.currency) {
            Some((_, count, sum)) => {
                *count += 1;
                *sum = sum.saturating_add(account.balance);
            }
            None => totals.push((account.currency, 1, account.balance)),
        }
    }
    // They are few: a sort of the standard library would be the larger part of this part.
    let mut sorted: Vec<(Currency, usize, i64)> = Vec::new();
    for (currency, count, sum) in totals {
        let before = |(other, most, _): &(Currency, usize, i64)| (*most, currency) > (count, *other);
        let place = sorted.iter().take_while(|other| before(other)).count();
        sorted.insert(place, (currency, count, sum));
    }
    sorted
}

/// The list of accounts.
#[derive(Serialize)]
pub struct AccountRows {
    accounts: List<AccountView>,
    locale: Locale,
}

from_json! { AccountRows { accounts, locale } }

impl AccountRows {
    /// `whole`: all that the viewer has are on this page, so that a new one joins the list.
    pub fn new(accounts: Vec<AccountView>, locale: Locale, whole: bool) -> Self {
        Self { accounts: List::new(accounts, newcomers(whole)), locale }
    }
}

impl Part for AccountRows {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::Accounts]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        query == "accounts" && self.accounts.receive(rows, reset, &|_| true)
    }

    fn draw(&self, html: &mut Html) {
        if self.accounts.rows.is_empty() {
            let words = "Your accounts, their balances and the latest movements will stand here.";
            return nothing(html, "Nothing here yet", words, Some(("/accounts/open", "Open an account")));
        }
        let columns = [
            ("", "Account"),
            ("", "Id"),
            ("", "State"),
            ("", "Currency"),
            ("money", "Available"),
            ("money balance", "Balance"),
        ];
        let most = most_decimals(self.accounts.rows.iter().map(|account| account.currency));
        table(html, "ledger link-rows", "Accounts", &columns, |html| {
            for account in &self.accounts.rows {
                let text = |minor| self.locale.format_amount(minor, account.currency);
                let kind = (account.currency, most);
                row(html, account.key(), "", "", |html| {
                    cell_of(html, "what", "lead", |html| link(html, "", &links::account(account.id), &account.name));
                    cell_of(html, "id", "", |html| id(html, "", &account.id.to_string()));
                    cell_of(html, "", "sub", |html| {
                        state(html, state_of(account.status), words::account_status(account.status));
                    });
                    cell(html, "quiet small", "end", account.currency.code());
                    amount(html, "money", "", &text(account.available), kind, &self.locale);
                    amount(html, "money balance strong", "side", &text(account.balance), kind, &self.locale);
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_per_currency_without_closed_accounts() {
        let account = |currency: &str, balance: i64, status: &str| -> AccountView {
            serde_json::from_value(serde_json::json!({
                "id": uuid::Uuid::nil(), "owner": uuid::Uuid::nil(), "name": "A", "currency": currency,
                "balance": balance, "held": 0, "expected": 0, "available": balance, "overdraft_limit": 0,
                "status": status, "opened_at": 0, "version": 1, "position": 1
            }))
            .unwrap()
        };
        let accounts = [
            account("EUR", 1, "open"),
            account("CZK", 2, "open"),
            account("CZK", 3, "frozen"),
            account("JPY", 4, "closed"),
        ];
        let sums: Vec<_> = totals(&accounts).into_iter().map(|(currency, n, sum)| (currency.code(), n, sum)).collect();
        assert_eq!(sums, [("CZK", 2, 5), ("EUR", 1, 1)]);
    }
}
