//! Accounts: the head of one, the list of all, and what they come to.

use leptos::prelude::*;

use super::ledger::{Cell, Piece, Row, short_id, table};
use crate::{
    domain::{Currency, account::Status},
    links,
    live::{self, Newcomers, State, use_rows},
    locale::Locale,
    wire::{AccountView, LiveQuery, Position},
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

/// `.head-text` of an account's page: name, state, balance, available, held.
#[island]
pub fn AccountHead(account: AccountView, position: Position, locale: Locale) -> impl IntoView {
    let id = account.id.to_string();
    let currency = account.currency;
    let rows = use_rows(vec![LiveQuery::Account(account.id)], position, vec![account], Newcomers::Ignore).rows;
    let state = live::state();

    // Each figure by itself: one that stays is left alone, one that changes lights up.
    let amount = move |of: fn(&AccountView) -> i64| Memo::new(move |_| rows.with(|rows| rows.first().map_or(0, of)));
    let (balance, available, held) = (amount(|a| a.balance), amount(|a| a.available), amount(|a| a.held));
    let status = move || rows.with(|rows| rows.first().map_or(Status::Absent, |account| account.status));
    let written = move || {
        let text = locale.format_amount(balance.get(), currency);
        match text.rsplit_once(locale.decimal) {
            Some((whole, minor)) if currency.exponent() > 0 => (whole.to_owned(), format!("{}{minor}", locale.decimal)),
            _ => (text, String::new()),
        }
    };
    let dimmed = move || if matches!(state.get(), State::Offline(_)) { "head-text dimmed" } else { "head-text" };
    let figure = move |amount: Memo<i64>| move || vec![lit(locale.format_amount(amount.get(), currency))];
    view! {
        <div class=dimmed>
            <div class="head-line">
                <h1>{move || rows.with(|rows| rows.first().map(|account| account.name.clone()))}</h1>
                <span class="state" data-state=move || state_of(status())>{move || words::account_status(status())}</span>
            </div>
            <p class="figure">
                <span class="unit">{currency.code()}</span>
                <span>{move || written().0}<span class="minor">{move || written().1}</span></span>
            </p>
            <dl class="figures inline">
                <div><dt>"Available"</dt><dd>{figure(available)}</dd></div>
                <div><dt>"Held"</dt><dd>{figure(held)}</dd></div>
                <div>
                    <dt>"Account"</dt>
                    <dd>
                        <span class="id" title=id.clone()>{short_id(&id)}</span>
                        <button class="copy" type="button" data-copy=id>"Copy"</button>
                    </dd>
                </div>
            </dl>
        </div>
    }
}

fn lit(text: String) -> impl IntoView {
    view! { <span>{text}</span> }
}

/// Totals per currency over all of `accounts`.
#[island]
pub fn AccountTotals(accounts: Vec<AccountView>, position: Position, locale: Locale) -> impl IntoView {
    let rows = use_rows(vec![LiveQuery::Accounts], position, accounts, Newcomers::Show).rows;
    let totals = Memo::new(move |_| rows.with(|rows| totals(rows)));
    view! {
        <dl class="figures big">
            {move || {
                totals
                    .get()
                    .into_iter()
                    .map(|(currency, count, sum)| {
                        let plural = if count == 1 { "account" } else { "accounts" };
                        view! {
                            <div>
                                <dt>{format!("{currency} in {count} {plural}")}</dt>
                                <dd>{locale.format_amount(sum, currency)}</dd>
                            </div>
                        }
                    })
                    .collect::<Vec<_>>()
            }}
        </dl>
    }
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
    totals.sort_by_key(|(currency, count, _)| (std::cmp::Reverse(*count), *currency));
    totals
}

/// The list of accounts. `whole`: all that the viewer has are on this page, so that a new one joins the list.
#[island]
pub fn AccountRows(accounts: Vec<AccountView>, position: Position, locale: Locale, whole: bool) -> impl IntoView {
    let newcomers = if whole { Newcomers::Show } else { Newcomers::Ignore };
    let rows = use_rows(vec![LiveQuery::Accounts], position, accounts, newcomers).rows;
    let drawn =
        Memo::new(move |_| rows.with(|rows| rows.iter().map(|account| account_row(account, &locale)).collect()));
    let columns = [
        ("", "Account"),
        ("", "Id"),
        ("", "State"),
        ("", "Currency"),
        ("money", "Available"),
        ("money balance", "Balance"),
    ];
    table(
        "ledger link-rows",
        "Accounts".to_owned(),
        columns.into_iter().map(|(class, title)| (class, title.to_owned())).collect(),
        drawn,
    )
}

fn account_row(account: &AccountView, locale: &Locale) -> Row {
    let status = Piece::state(state_of(account.status), words::account_status(account.status));
    Row {
        key: account.id.0.as_u128(),
        id: None,
        class: "",
        cells: vec![
            Cell::new("what", "lead", vec![Piece::link("", account.name.clone(), links::account(account.id))]),
            Cell::new("", "", vec![Piece::id(&account.id.to_string())]),
            Cell::new("", "sub", vec![status]),
            Cell::text("quiet small", "end", account.currency.code()),
            Cell::text("money", "", locale.format_amount(account.available, account.currency)),
            Cell::text("money balance strong", "side", locale.format_amount(account.balance, account.currency)),
        ],
    }
}
