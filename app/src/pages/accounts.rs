//! All accounts, in pages: where an overview cannot show them all, and where an admin looks for someone's.

use std::collections::BTreeSet;

use leptos::prelude::*;

use crate::{
    api::AppError,
    islands::{AccountPageRows, OfflineNote},
    ports::AccountsFilter,
};

use super::{Nav, Sheet, Visit, crumbs, paging, show};

/// Accounts a page, each followed by itself: a stream follows some more.
const ACCOUNTS: u32 = 40;

pub fn accounts() -> AnyView {
    show(page)
}

async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let after = visit.asked.query("after");
    let turned = after.is_some();
    let email = visit.asked.query("owner").filter(|_| visit.viewer.is_admin());
    let owner = match &email {
        Some(email) => visit.queries.user(&visit.viewer, email).await?.map(|user| user.id),
        None => None,
    };
    let filter = AccountsFilter { owner, after, limit: ACCOUNTS, ..AccountsFilter::default() };
    let seen = visit.queries.accounts(&visit.viewer, filter, visit.fresh()).await?;
    // Nobody of that address owns nothing.
    let unknown = email.is_some() && owner.is_none();
    let (accounts, next) = if unknown { (vec![], None) } else { (seen.value.items.clone(), seen.value.next.clone()) };
    let owners: BTreeSet<_> = accounts.iter().map(|account| account.owner).collect();
    let owners = visit.people(owners.into_iter().collect()).await?;
    let (locale, position) = (visit.locale, seen.position);
    let list = if accounts.is_empty() {
        none(email.as_deref(), unknown)
    } else {
        view! { <AccountPageRows accounts owners position locale /> }.into_any()
    };
    let body = view! {
        <OfflineNote />
        {crumbs(&[("/", "Accounts")], Some("All"))}
        <div class="head">
            <div class="head-text">
                <h1>"All accounts"</h1>
                <p>"In the order of their ids, which never changes."</p>
            </div>
        </div>
        {visit.viewer.is_admin().then(|| search(email))}
        {list}
        {paging(&visit.asked, "Pages of accounts", turned, next.as_deref().map(|next| (next, "More accounts")))}
    };
    Ok(Sheet {
        title: "All accounts".to_owned(),
        nav: Nav::Accounts,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
}

fn search(email: Option<String>) -> AnyView {
    view! {
        <div class="filters">
            <form role="search" method="get" action="/accounts">
                <label class="tool-field">
                    <span class="sr">"Owner"</span>
                    <input type="search" name="owner" placeholder="Owner’s e-mail address" value=email />
                </label>
                <button class="button">"Show"</button>
            </form>
        </div>
    }
    .into_any()
}

fn none(email: Option<&str>, unknown: bool) -> AnyView {
    let words = match email {
        Some(email) if unknown => format!("Nobody with the address {email} is known."),
        Some(email) => format!("{email} has no accounts, or no more."),
        None => "There are no accounts, or no more.".to_owned(),
    };
    view! {
        <div class="empty">
            <div>
                <h2>"No accounts here"</h2>
                <p>{words}</p>
                <p>
                    <a href="/accounts">"All accounts"</a>
                </p>
            </div>
        </div>
    }
    .into_any()
}
