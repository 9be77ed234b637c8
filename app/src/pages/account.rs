//! An account: head, chart, statement, and beside them the slip that is open.

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon},
    domain::{AccountId, account::Status},
    islands::{AccountHead, BalanceChart, Names, OfflineNote, StatementRows, accounts::account_title},
    links,
    ports::StatementFilter,
    wire::{AccountPage, AccountView, Person, Seen, StreamId},
};

use super::{
    Nav, Sheet, Visit, show,
    slip::{Slip, slip_view},
};

/// Entries a page.
const ENTRIES: u32 = 50;
/// Entries beside an open slip.
const FEW: u32 = 8;

pub fn account() -> AnyView {
    show(|visit| async move {
        let id: AccountId = visit.asked.param("id")?;
        let filter = StatementFilter {
            by_date: visit.asked.query("by").as_deref() == Some("date"),
            text: visit.asked.query("q"),
            after: visit.asked.query("after"),
            limit: ENTRIES,
            ascending: false,
        };
        let seen = read(&visit, id, filter.clone()).await?;
        let owner = visit.people(vec![seen.value.account.owner]).await?.pop();
        let names = visit.names().await?;
        let statement = &seen.value.statement;
        let newest_first = filter.text.is_none() && filter.after.is_none() && !filter.by_date;
        let turned = filter.after.is_some();
        let rows = view! {
            <section class="section" id="statement">
                <div class="section-head">
                    <h2>"Statement"</h2>
                    {tools(&visit, id, &filter)}
                </div>
                {if statement.items.is_empty() && !(newest_first) {
                    nothing_found(id, &filter).into_any()
                } else {
                    statement_rows(&visit, &seen, names, newest_first, false, &filter).into_any()
                }}
                {paging(&visit, turned, statement.next.as_deref())}
            </section>
        };
        let body = view! {
            {head(&visit, &seen, owner, None)}
            {chart(&visit, &seen)}
            {rows}
        };
        Ok(sheet(&visit, &seen, None, body.into_any()))
    })
}

pub fn slip() -> AnyView {
    show(|visit| async move {
        let id: AccountId = visit.asked.param("id")?;
        let slip: Slip = visit.asked.param("slip")?;
        if slip.admins_only() && !visit.viewer.is_admin() {
            return Err(AppError::NotFound);
        }
        let filter = StatementFilter { limit: FEW, ..StatementFilter::default() };
        let seen = read(&visit, id, filter.clone()).await?;
        let owner = visit.people(vec![seen.value.account.owner]).await?.pop();
        let names = visit.names().await?;
        let form = slip_view(&visit, slip, &seen.value.account).await?;
        let body = view! {
            {head(&visit, &seen, owner, Some(slip))}
            <div class="desk">
                <div>
                    {chart(&visit, &seen)}
                    <div class="section-head">
                        <h2>"Statement"</h2>
                        <a href=links::account(id)>"All entries"</a>
                    </div>
                    {statement_rows(&visit, &seen, names, true, true, &filter)}
                </div>
                {form}
            </div>
        };
        Ok(sheet(&visit, &seen, Some(slip), body.into_any()))
    })
}

async fn read(visit: &Visit, id: AccountId, filter: StatementFilter) -> Result<Seen<AccountPage>, AppError> {
    visit.queries.account_page(&visit.viewer, id, filter, visit.today(), visit.fresh()).await
}

fn sheet(visit: &Visit, seen: &Seen<AccountPage>, slip: Option<Slip>, body: AnyView) -> Sheet {
    let account = &seen.value.account;
    let title = match slip {
        Some(slip) => format!("{} · {}", slip.title(), account.name),
        None => account_title(account, &visit.locale),
    };
    Sheet { title, nav: Nav::Accounts, shown: Some(seen.into()), ..Sheet::of(body) }
}

fn head(visit: &Visit, seen: &Seen<AccountPage>, owner: Option<Person>, open: Option<Slip>) -> AnyView {
    let account = seen.value.account.clone();
    let actions = actions(visit, &account, open);
    let crumbs = match open {
        Some(slip) => {
            super::crumbs(&[("/", "Accounts"), (&links::account(account.id), &account.name)], Some(slip.title()))
        }
        None => super::crumbs(&[("/", "Accounts")], Some(&account.name)),
    };
    view! {
        <OfflineNote />
        {crumbs}
        <div class="head">
            <AccountHead account owner now=visit.request.now position=seen.position locale=visit.locale /> {actions}
        </div>
    }
    .into_any()
}

fn chart(visit: &Visit, seen: &Seen<AccountPage>) -> AnyView {
    let AccountPage { account, days, .. } = seen.value.clone();
    let (today, position, locale) = (visit.today(), seen.position, visit.locale);
    view! { <BalanceChart account days today position locale /> }.into_any()
}

/// What can be done with the account as it stands; the rules themselves are the domain's.
fn actions(visit: &Visit, account: &AccountView, open: Option<Slip>) -> AnyView {
    let id = account.id;
    let admin = visit.viewer.is_admin();
    let button = |slip: Slip, shape| {
        view! {
            <a class="button" href=slip.address(id) aria-current=(open == Some(slip)).then_some("page")>
                {icon(shape)}
                {slip.title()}
            </a>
        }
    };
    let main = (account.status == Status::Open).then(|| {
        (button(Slip::Deposit, Icon::In), button(Slip::Withdraw, Icon::Out), button(Slip::Transfer, Icon::Move))
    });
    let more = [Slip::Freeze, Slip::Unfreeze, Slip::Limit, Slip::Close].into_iter().filter(|slip| {
        let fits = match slip {
            Slip::Freeze => account.status == Status::Open,
            Slip::Unfreeze => account.status == Status::Frozen,
            Slip::Limit | Slip::Close => account.status != Status::Closed,
            Slip::Deposit | Slip::Withdraw | Slip::Transfer | Slip::Reverse => false,
        };
        fits && (admin || !slip.admins_only())
    });
    let more = more.map(|slip| view! { <a href=slip.address(id)>{slip.heading()}</a> }).collect_view();
    view! {
        <div class="actions">
            {main}
            <details class="menu" name="menu">
                <summary class="button">"More"</summary>
                <div class="menu-sheet">
                    <a href=links::stream(StreamId::from(id))>"Timeline of this account"</a>
                    {more}
                </div>
            </details>
        </div>
    }
    .into_any()
}

fn tools(visit: &Visit, id: AccountId, filter: &StatementFilter) -> AnyView {
    let order = |by: Option<&'static str>, word: &'static str| {
        let here = filter.by_date == by.is_some();
        view! {
            <a href=visit.asked.with(&[("by", by), ("after", None)]) aria-current=here.then_some("true")>
                {word}
            </a>
        }
    };
    view! {
        <form class="section-tools" role="search" method="get" action=links::account(id)>
            <span class="choice" role="group" aria-label="Order of the statement">
                {order(None, "As entered")}
                {order(Some("date"), "By date")}
            </span>
            {filter.by_date.then(|| view! { <input type="hidden" name="by" value="date" /> })}
            <label class="tool-field">
                <span class="sr">"Search the statement"</span>
                <input type="search" name="q" placeholder="Search" value=filter.text.clone() />
            </label>
            <a class="button bare" href=format!("{}/statement.csv", links::account(id)) download>
                {icon(Icon::Down)}
                "CSV"
            </a>
        </form>
    }
    .into_any()
}

fn statement_rows(
    visit: &Visit,
    seen: &Seen<AccountPage>,
    names: Names,
    live: bool,
    slip: bool,
    filter: &StatementFilter,
) -> AnyView {
    let AccountPage { account, statement, pending, .. } = seen.value.clone();
    // What is not entered yet belongs on top of the newest entries only.
    let pending = if filter.after.is_none() && filter.text.is_none() { pending } else { Vec::new() };
    let carried = statement.next.is_some() && filter.text.is_none() && !filter.by_date;
    let way = (account.status == Status::Open && !slip).then(|| Slip::Deposit.address(account.id));
    view! {
        <StatementRows
            account
            rows=statement
            pending
            names
            position=seen.position
            locale=visit.locale
            live
            by_date=filter.by_date
            carried=carried
            way
        />
    }
    .into_any()
}

fn nothing_found(id: AccountId, filter: &StatementFilter) -> AnyView {
    let words = match &filter.text {
        Some(text) => format!("No entry says “{text}”."),
        None => "There are no entries here.".to_owned(),
    };
    view! {
        <div class="empty">
            <div>
                <h3>{words}</h3>
                <a href=links::account(id)>"The whole statement"</a>
            </div>
        </div>
    }
    .into_any()
}

fn paging(visit: &Visit, turned: bool, next: Option<&str>) -> Option<AnyView> {
    super::paging(&visit.asked, "Pages of the statement", turned, next.map(|next| (next, "Older entries")))
}
