//! The parts as components, for pages. Each shows what it is given, as of `position`, and goes on from there by itself.

use leptos::prelude::*;
use serde::Serialize;

use super::{
    Kind, LivePart, Names, Part, accounts, chart,
    events::{self, Filter},
    html::Html,
    ledger::{icon, mark_path},
    statement, status, time_machine, transfers, trial_balance,
};
use crate::{
    domain::{Currency, Date},
    locale::Locale,
    wire::{
        AccountView, DayBalances, EventView, Page, Person, Position, StatementRow, StreamId, Totals, TransferView,
        TrialBalanceLine, Version,
    },
    words::Mark,
};

/// A part that looks as it draws itself.
fn drawn<P: Part + Kind + Serialize>(part: &P, position: Position) -> AnyView {
    let mut html = Html::default();
    part.draw(&mut html);
    alive(part, position, html.into_string())
}

/// The part as it goes into a page; `shown`: what it looks like until there is news, as markup.
fn alive<P: Part + Kind + Serialize>(part: &P, position: Position, shown: String) -> AnyView {
    let model = serde_json::to_string(part).unwrap_or_default();
    view! {
        <LivePart>
            <div data-part=P::KIND data-model=model data-position=position.0 inner_html=shown></div>
        </LivePart>
    }
    .into_any()
}

/// In the head of every page: "live", "reconnecting", "offline since 14:02". Also renews the session while the page is in
/// use, makes `<button data-copy="…">` copy, and each [`CommandForm`] better.
///
/// `seen`: the position that this page shows; `expires_at`: when the session's token runs out, microseconds since 1970.
#[component]
pub fn LiveState(seen: Position, expires_at: i64) -> impl IntoView {
    drawn(&status::LiveState::new(expires_at), seen)
}

/// Above what a page shows, while offline: since when it is not known what has changed.
#[component]
pub fn OfflineNote() -> impl IntoView {
    // It follows nothing: no position is too high.
    drawn(&status::OfflineNote::default(), Position(u64::MAX))
}

/// In the last line of a page: the position that it shows, and comes to show.
#[component]
pub fn AsOf(position: Position, locale: Locale) -> impl IntoView {
    // It follows nothing: no position is too high.
    drawn(&status::AsOf { position, locale }, Position(u64::MAX))
}

/// System, light or dark. `theme`: the choice so far (`auto`, `light`, `dark`).
#[component]
pub fn ThemeSwitch(theme: String) -> impl IntoView {
    drawn(&status::ThemeSwitch { theme }, Position(u64::MAX))
}

/// `.head-text` of an account's page: name, state, balance, available, held. `owner`: for admins. `now`: when this is rendered, microseconds.
#[component]
pub fn AccountHead(
    account: AccountView,
    owner: Option<Person>,
    now: i64,
    position: Position,
    locale: Locale,
) -> impl IntoView {
    drawn(&accounts::AccountHead::new(account, owner, now, locale), position)
}

/// An account's balance over time, up to `today`.
#[component]
pub fn BalanceChart(
    account: AccountView,
    days: DayBalances,
    today: Date,
    position: Position,
    locale: Locale,
) -> impl IntoView {
    drawn(&chart::BalanceChart::new(account, days, today, locale), position)
}

/// Totals per currency over all accounts of the viewer.
#[component]
pub fn AccountTotals(totals: Totals, position: Position, locale: Locale) -> impl IntoView {
    drawn(&accounts::AccountTotals::new(totals, locale), position)
}

/// The list of accounts. `owners`: for admins. `whole`: all that the viewer has are on this page, so that a new one joins the list.
#[component]
pub fn AccountRows(
    accounts: Vec<AccountView>,
    owners: Vec<Person>,
    position: Position,
    locale: Locale,
    whole: bool,
) -> impl IntoView {
    drawn(&accounts::AccountRows::new(accounts, owners, locale, whole), position)
}

/// A page of all accounts.
#[component]
pub fn AccountPageRows(
    accounts: Vec<AccountView>,
    owners: Vec<Person>,
    position: Position,
    locale: Locale,
) -> impl IntoView {
    drawn(&accounts::AccountRows::page(accounts, owners, locale), position)
}

/// An account's statement. `live`: the newest entries in the order they were entered, unfiltered, so that new ones join
/// on top; else they are counted and offered. `pending`: transfers that hold or promise money now. `by_date`: the balance
/// runs by effective date, and is headed so. `carried`: there are older entries, and what they came to stands below.
/// `way`: where one gets a first entry.
#[component]
pub fn StatementRows(
    account: AccountView,
    rows: Page<StatementRow>,
    pending: Vec<TransferView>,
    names: Names,
    position: Position,
    locale: Locale,
    live: bool,
    by_date: bool,
    carried: bool,
    way: Option<String>,
) -> impl IntoView {
    let rows = statement::StatementRows::new(&account, rows, pending, names, live, by_date, carried, way, locale);
    drawn(&rows, position)
}

/// The latest entries over `accounts` and those that come, under their heading; nothing until there is one.
#[component]
pub fn LatestRows(
    rows: Vec<StatementRow>,
    accounts: Vec<AccountView>,
    position: Position,
    locale: Locale,
) -> impl IntoView {
    drawn(&statement::LatestRows::new(rows, &accounts, locale), position)
}

/// The list of transfers, newest first. `live`: the newest page. `names`: the viewer's own accounts; money from one of
/// them is shown as leaving.
#[component]
pub fn TransferRows(
    transfers: Page<TransferView>,
    names: Names,
    position: Position,
    locale: Locale,
    live: bool,
) -> impl IntoView {
    drawn(&transfers::TransferRows::new(transfers, names, live, locale), position)
}

/// The trial balance, as of `position`: whether both sides are equal, and a line for each currency.
#[component]
pub fn TrialBalanceLines(lines: Vec<TrialBalanceLine>, position: Position, locale: Locale) -> impl IntoView {
    drawn(&trial_balance::TrialBalanceLines::new(lines, position, locale), position)
}

/// A transfer's page below its crumbs: state, amount, parties, its way, technical details.
#[component]
pub fn TransferPage(transfer: TransferView, names: Names, position: Position, locale: Locale) -> impl IntoView {
    drawn(&transfers::TransferPage::new(transfer, names, locale), position)
}

/// Events, newest first. `live`: the newest page, so that new ones that pass the filter join on top; else they are counted
/// and offered, with the way to `newest`. `names`: of a customer's accounts; without them streams and positions are shown.
/// `now`: when this is rendered, microseconds.
#[component]
pub fn EventRows(
    events: Page<EventView>,
    position: Position,
    locale: Locale,
    now: i64,
    live: bool,
    filter: Filter,
    names: Option<Names>,
    newest: String,
) -> impl IntoView {
    drawn(&events::EventRows::new(events, filter, names, newest, live, now, locale), position)
}

/// The timeline of one stream, which has `last` events. `still`: the moment `at` (the newest if absent), shown until the
/// browser has fetched the stream, and without JavaScript.
#[component]
pub fn TimeMachine(
    stream: StreamId,
    #[prop(optional)] at: Option<Version>,
    still: time_machine::Still,
    last: Version,
    position: Position,
    locale: Locale,
) -> impl IntoView {
    let machine = time_machine::TimeMachine::new(stream, at, still.people().to_vec(), locale);
    let shown = still.draw(&machine, last);
    alive(&machine, position, shown)
}

/// Around a `<form method="post" action="/api/fn/…">`: what the browser needs to make it better. It
/// - shows how an amount is understood while it is typed, in `.understood` beside an `<input data-amount>`;
/// - sends once however often it is submitted, under the hidden `command_id` that the form was shown with;
/// - shows a refusal beside the field that caused it (`.field` around `[name=…]`), keeping what was typed;
/// - shows the command's way: sent, stored, visible here; then takes a fresh `command_id`. Where the hidden field `next`
///   has `data-go`, or nothing was stored (signed in), it goes to that page.
///
/// `done`: what to say then ("Deposited"; the amount follows by itself). `refused`: what the form without JavaScript was
/// refused for, where no field is to blame.
#[component]
pub fn CommandForm(
    children: Children,
    locale: Locale,
    #[prop(optional)] currency: Option<Currency>,
    #[prop(optional)] done: Option<String>,
    #[prop(optional)] refused: Option<String>,
) -> impl IntoView {
    let refused = refused.map(|words| {
        let mut html = Html::default();
        icon(&mut html, mark_path(Mark::Stop));
        html.put("span", &[], &words);
        view! { <p class="refusal whole" role="alert" inner_html=html.into_string()></p> }
    });
    let locale = serde_json::to_string(&locale).unwrap_or_default();
    view! {
        <div class="command" data-command=locale data-currency=currency.map(Currency::code) data-done=done>
            {refused}
            {children()}
        </div>
    }
}
