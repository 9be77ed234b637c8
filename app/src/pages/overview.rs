//! All accounts that the viewer sees, what they add up to, and the latest movements.

use std::collections::BTreeSet;

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon},
    islands::{AccountRows, AccountTotals, LatestRows, OfflineNote, accounts::totals_title},
    wire::{Overview, Person, Seen},
};

use super::{Nav, Sheet, Visit, show};

pub fn overview() -> AnyView {
    show(page)
}

async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let seen = visit.queries.overview(&visit.viewer, visit.fresh()).await?;
    let locale = visit.locale;
    let title = totals_title(&seen.value.totals, &locale);
    let owners: BTreeSet<_> = seen.value.accounts.iter().map(|account| account.owner).collect();
    let owners = visit.people(owners.into_iter().collect()).await?;
    let body = body(&visit, &seen, owners);
    Ok(Sheet { title, nav: Nav::Accounts, shown: Some((&seen).into()), ..Sheet::of(body) })
}

/// An overview shows no more accounts: with as many there may be others, and a list is not added to.
const MOST_ACCOUNTS: usize = 100;

fn body(visit: &Visit, seen: &Seen<Overview>, owners: Vec<Person>) -> AnyView {
    let (locale, position) = (visit.locale, seen.position);
    let Overview { accounts, totals, latest } = &seen.value;
    let whole = accounts.len() < MOST_ACCOUNTS;
    view! {
        <OfflineNote />
        <div class="head">
            <div class="head-text">
                <h1>"Accounts"</h1>
                <AccountTotals totals=totals.clone() position locale />
            </div>
            <div class="actions">
                <a class="button main" href="/accounts/open">
                    {icon(Icon::Open)}
                    "Open account"
                </a>
            </div>
        </div>
        <AccountRows accounts=accounts.clone() owners position locale whole />
        {(!whole || visit.viewer.is_admin())
            .then(|| {
                view! {
                    <nav class="paging" aria-label="More accounts">
                        <a href="/accounts">"All accounts"</a>
                    </nav>
                }
            })}
        <section class="section">
            <LatestRows rows=latest.clone() accounts=accounts.clone() position locale />
        </section>
    }
    .into_any()
}
