//! All accounts that the viewer sees, what they add up to, and the latest movements.

use std::collections::BTreeMap;

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon},
    domain::{Currency, account::Status},
    islands::{AccountRows, AccountTotals, LatestRows, OfflineNote},
    wire::{AccountView, Overview, Seen},
};

use super::{Nav, Sheet, Visit, show};

pub fn overview() -> AnyView {
    show(page)
}

async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let seen = visit.queries.overview(&visit.viewer, visit.fresh()).await?;
    let locale = visit.locale;
    let totals = totals(&seen.value.accounts);
    let title = match totals.first() {
        Some((currency, _, balance)) => {
            format!("Accounts · {} {}", currency.code(), locale.format_amount(*balance, *currency))
        }
        None => "Accounts".to_owned(),
    };
    let body = accounts(&visit, &seen);
    Ok(Sheet { title, nav: Nav::Accounts, shown: Some((&seen).into()), ..Sheet::of(body) })
}

/// Per currency: how many accounts are not closed, and what they hold together. A sum that would overflow is held at
/// the largest number.
fn totals(accounts: &[AccountView]) -> Vec<(Currency, usize, i64)> {
    let mut totals = BTreeMap::<Currency, (usize, i64)>::new();
    for account in accounts.iter().filter(|account| account.status != Status::Closed) {
        let (count, balance) = totals.entry(account.currency).or_default();
        *count += 1;
        *balance = balance.saturating_add(account.balance);
    }
    totals.into_iter().map(|(currency, (count, balance))| (currency, count, balance)).collect()
}

/// An overview shows no more accounts: with as many there may be others, and a list is not added to.
const MOST_ACCOUNTS: usize = 100;

fn accounts(visit: &Visit, seen: &Seen<Overview>) -> AnyView {
    let (locale, position) = (visit.locale, seen.position);
    let Overview { accounts, latest } = &seen.value;
    let whole = accounts.len() < MOST_ACCOUNTS;
    view! {
        <OfflineNote />
        <div class="head">
            <div class="head-text">
                <h1>"Accounts"</h1>
                <AccountTotals accounts=accounts.clone() position locale whole />
            </div>
            <div class="actions">
                <a class="button main" href="/accounts/open">
                    {icon(Icon::Open)}
                    "Open account"
                </a>
            </div>
        </div>
        <AccountRows accounts=accounts.clone() position locale whole />
        <section class="section">
            <LatestRows rows=latest.clone() accounts=accounts.clone() position locale />
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{AccountId, UserId},
        wire::{Position, Version},
    };

    #[test]
    fn totals_leave_closed_accounts_out_and_never_overflow() {
        let account = |currency: &str, balance, status| AccountView {
            id: AccountId(uuid::Uuid::nil()),
            owner: UserId(uuid::Uuid::nil()),
            name: "x".to_owned(),
            currency: currency.parse().unwrap(),
            balance,
            held: 0,
            expected: 0,
            available: balance,
            overdraft_limit: 0,
            status,
            opened_at: 0,
            version: Version(1),
            position: Position(1),
        };
        let accounts = [
            account("EUR", 5, Status::Open),
            account("CZK", i64::MAX, Status::Open),
            account("CZK", 7, Status::Frozen),
            account("CZK", 0, Status::Closed),
        ];
        let totals = totals(&accounts).into_iter().map(|(currency, count, sum)| (currency.code(), count, sum));
        assert_eq!(totals.collect::<Vec<_>>(), [("CZK", 2, i64::MAX), ("EUR", 1, 5)]);
    }
}
