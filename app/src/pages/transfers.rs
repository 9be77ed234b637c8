//! Transfers: the list of all that the viewer is party to, and one of them on its way.

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon, short_id},
    domain::{TransferId, account::Status},
    islands::{OfflineNote, TransferPage, TransferRows, transfers},
    ports::AccountsFilter,
};

use super::{Nav, Sheet, Visit, crumbs, paging, show, slip::Slip};

/// Transfers a page.
const TRANSFERS: u32 = 50;

pub fn transfers() -> AnyView {
    show(list)
}

pub fn transfer() -> AnyView {
    show(one)
}

async fn list(visit: Visit) -> Result<Sheet, AppError> {
    let after = visit.asked.query("after");
    let (turned, locale) = (after.is_some(), visit.locale);
    let seen = visit.queries.transfers(&visit.viewer, None, after, TRANSFERS, visit.fresh()).await?;
    let names = visit.names().await?;
    // A transfer begins at an account: the first that can give any.
    let mine = AccountsFilter { owner: Some(visit.viewer.user_id), limit: 50, ..AccountsFilter::default() };
    let mine = visit.queries.accounts(&visit.viewer, mine, visit.fresh()).await?.value.items;
    let new = mine.iter().find(|account| account.status == Status::Open).map(|account| {
        view! {
            <div class="actions">
                <a class="button main" href=Slip::Transfer.address(account.id)>
                    {icon(Icon::Move)}
                    "New transfer"
                </a>
            </div>
        }
    });
    let rows = seen.value.clone();
    let position = seen.position;
    let next = seen.value.next.as_deref().map(|next| (next, "Older transfers"));
    let body = view! {
        <OfflineNote />
        <div class="head">
            <div class="head-text">
                <h1>"Transfers"</h1>
                <p>
                    "Between your accounts, and with others. Money is held first, and moves only when the other side has \
                     promised to take it."
                </p>
            </div>
            {new}
        </div>
        {if turned && rows.items.is_empty() { no_older().into_any() } else {
            view! { <TransferRows transfers=rows names position locale live=!turned /> }.into_any()
        }}
        {paging(&visit.asked, "Pages of transfers", turned, next)}
    };
    Ok(Sheet {
        title: "Transfers".to_owned(),
        nav: Nav::Transfers,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
}

fn no_older() -> AnyView {
    view! {
        <div class="empty">
            <div>
                <h2>"No older transfers"</h2>
                <p>"These were all."</p>
            </div>
        </div>
    }
    .into_any()
}

async fn one(visit: Visit) -> Result<Sheet, AppError> {
    let id: TransferId = visit.asked.param("id")?;
    let seen = visit.queries.transfer(&visit.viewer, id, visit.fresh()).await?;
    let names = visit.names().await?;
    let (locale, position) = (visit.locale, seen.position);
    let transfer = seen.value.clone();
    let title = transfers::TransferPage::title_of(&transfer, &locale);
    let body = view! {
        <OfflineNote />
        {crumbs(&[("/transfers", "Transfers")], Some(&short_id(&id.to_string())))}
        <TransferPage transfer names position locale />
    };
    Ok(Sheet { title, nav: Nav::Transfers, shown: Some((&seen).into()), ..Sheet::of(body.into_any()) })
}
