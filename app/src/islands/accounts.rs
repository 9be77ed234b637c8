//! Accounts: the head of one, the list of all, and what they come to.

use serde::Serialize;

use super::{
    Part,
    html::Html,
    ledger::{amount, cell, cell_of, copy, fact, id, link, most_decimals, nothing, row, state, table},
};
use crate::{
    domain::account::Status,
    links,
    live::{List, LiveRow as _, Newcomers, State, renew},
    locale::Locale,
    wire::{AccountView, CurrencyTotal, Json, LiveQuery, Person, Totals, from_json},
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
    /// Whose it is, where an admin looks.
    owner: Option<Person>,
    /// When this is drawn, microseconds since 1970.
    now: i64,
    locale: Locale,
    #[serde(skip)]
    offline: bool,
}

from_json! { AccountHead { account, owner, now, locale; offline } }

impl AccountHead {
    /// `owner`: for admins. `now`: microseconds since 1970.
    pub fn new(account: AccountView, owner: Option<Person>, now: i64, locale: Locale) -> Self {
        Self { account: List::new(vec![account], Newcomers::Ignore), owner, now, locale, offline: false }
    }
}

/// "Everyday account · CZK 13,480.00"
pub fn account_title(account: &AccountView, locale: &Locale) -> String {
    format!("{} · {} {}", account.name, account.currency, locale.format_amount(account.balance, account.currency))
}

/// "Accounts · CZK 48,120.00", of the currency in most accounts.
pub fn totals_title(totals: &Totals, locale: &Locale) -> String {
    match totals.lines.first() {
        Some(total) => {
            format!("Accounts · {} {}", total.currency, locale.format_amount(total.balance, total.currency))
        }
        None => "Accounts".to_owned(),
    }
}

impl Part for AccountHead {
    fn follows(&self) -> Vec<LiveQuery> {
        self.account.rows.iter().map(|account| LiveQuery::Account(account.id)).collect()
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        self.follows().iter().any(|own| own.to_string() == query) && self.account.receive(rows, reset, &|_| true)
    }

    fn title(&self) -> Option<String> {
        self.account.rows.first().map(|account| account_title(account, &self.locale))
    }

    fn on_clock(&mut self, now: i64) -> bool {
        self.now = now;
        true
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
            let printed = format!(
                "Statement of {}, printed {}, as of entry {}.",
                account.name,
                self.locale.format_moment(self.now),
                account.version
            );
            html.put("p", &[("class", "print-only")], &printed);
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
                if let Some(owner) = &self.owner {
                    fact(html, "Owner", |html| html.put("span", &[("title", &owner.email)], &owner.name));
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
    totals: Totals,
    locale: Locale,
}

from_json! { AccountTotals { totals, locale } }

impl AccountTotals {
    pub fn new(totals: Totals, locale: Locale) -> Self {
        Self { totals, locale }
    }
}

impl Part for AccountTotals {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::Totals]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, _reset: bool) -> bool {
        query == "totals" && renew(&mut self.totals, rows, |totals| totals.position)
    }

    fn title(&self) -> Option<String> {
        Some(totals_title(&self.totals, &self.locale))
    }

    fn draw(&self, html: &mut Html) {
        if self.totals.lines.is_empty() {
            return;
        }
        html.el("dl", &[("class", "figures big")], |html| {
            for CurrencyTotal { currency, accounts, balance } in &self.totals.lines {
                let plural = if *accounts == 1 { "account" } else { "accounts" };
                fact(html, &format!("{currency} in {accounts} {plural}"), |html| {
                    html.put("span", &[("data-lit", "1")], &self.locale.format_amount(*balance, *currency));
                });
            }
        });
    }
}

fn newcomers(whole: bool) -> Newcomers {
    if whole { Newcomers::Show } else { Newcomers::Ignore }
}

/// The list of accounts.
#[derive(Serialize)]
pub struct AccountRows {
    accounts: List<AccountView>,
    /// Whose they are, where an admin looks.
    owners: Vec<Person>,
    locale: Locale,
    /// Each is followed by itself: a page of a list which may be too long to be followed as one.
    each: bool,
}

from_json! { AccountRows { accounts, owners, locale, each } }

impl AccountRows {
    /// `whole`: all that the viewer has are on this page, so that a new one joins the list.
    /// `owners`: for admins.
    pub fn new(accounts: Vec<AccountView>, owners: Vec<Person>, locale: Locale, whole: bool) -> Self {
        Self { accounts: List::new(accounts, newcomers(whole)), owners, locale, each: false }
    }

    /// A page of all accounts, no longer than one stream follows.
    pub fn page(accounts: Vec<AccountView>, owners: Vec<Person>, locale: Locale) -> Self {
        Self { each: true, ..Self::new(accounts, owners, locale, false) }
    }
}

impl Part for AccountRows {
    fn follows(&self) -> Vec<LiveQuery> {
        if self.each {
            self.accounts.rows.iter().map(|account| LiveQuery::Account(account.id)).collect()
        } else {
            vec![LiveQuery::Accounts]
        }
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        let ours = if self.each { query.starts_with("account:") } else { query == "accounts" };
        ours && self.accounts.receive(rows, reset, &|_| true)
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
                    cell_of(html, "what", "lead", |html| {
                        link(html, "", &links::account(account.id), &account.name);
                        if let Some(owner) = self.owners.iter().find(|owner| owner.id == account.owner) {
                            html.text("\u{a0}");
                            html.put("span", &[("class", "note"), ("title", &owner.email)], &owner.name);
                        }
                    });
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
