//! Accounts: all, by id, by owner, by balance; in order of id, which never changes.

use app::{
    api::AppError,
    domain::{AccountId, UserId},
    ports::{AccountsFilter, Viewer},
    wire::{AccountView, CurrencyTotal, Page, Position, Totals},
};

use super::{
    super::{
        columns::{position, text},
        projections::account_view,
        sql::{DbError, Sql, Tx},
    },
    paging::{self, fetch},
    wide_sum,
};

pub(super) const COLUMNS: &str =
    "id, owner, name, currency, balance, held, expected, available, overdraft_limit, status,
    opened_at, version, position";

/// A list of accounts, as asked for and checked.
pub(super) struct Query {
    /// Only of this person; always set for a customer.
    owner: Option<UserId>,
    /// A customer asked for someone else's.
    nothing: bool,
    min_balance: Option<i64>,
    max_balance: Option<i64>,
    after: Option<AccountId>,
    limit: usize,
}

impl Query {
    pub(super) fn read(viewer: &Viewer, filter: &AccountsFilter) -> Result<Self, AppError> {
        let own = (!viewer.is_admin()).then_some(viewer.user_id);
        Ok(Self {
            owner: own.or(filter.owner),
            nothing: own.is_some() && filter.owner.is_some() && filter.owner != own,
            min_balance: filter.min_balance,
            max_balance: filter.max_balance,
            after: paging::key(filter.after.as_deref())?,
            limit: paging::limit(filter.limit)?,
        })
    }
}

pub(super) async fn list(tx: &mut Tx, query: &Query) -> Result<Page<AccountView>, DbError> {
    if query.nothing {
        return Ok(Page { items: vec![], next: None });
    }
    let mut sql = select();
    sql.push(" WHERE id > ").push_bind(query.after.map(|id| id.to_string()).unwrap_or_default());
    if let Some(owner) = query.owner {
        sql.push(" AND owner = ").push_bind(owner.to_string());
    }
    if let Some(least) = query.min_balance {
        sql.push(" AND balance >= ").push_bind(least);
    }
    if let Some(most) = query.max_balance {
        sql.push(" AND balance <= ").push_bind(most);
    }
    sql.push(" ORDER BY id LIMIT ").push_bind(fetch(query.limit));
    let views = rows(tx, sql).await?;
    Ok(paging::cut(views, query.limit, |view| view.id.to_string()))
}

/// The account, if this viewer may see it.
pub(super) async fn visible(tx: &mut Tx, viewer: &Viewer, id: AccountId) -> Result<Option<AccountView>, DbError> {
    let mut sql = select();
    sql.push(" WHERE id = ").push_bind(id.to_string());
    let account = rows(tx, sql).await?.pop();
    Ok(account.filter(|account| viewer.is_admin() || account.owner == viewer.user_id))
}

/// A customer's accounts in the order they were opened; for an admin those of all that changed last.
pub(super) async fn for_overview(tx: &mut Tx, viewer: &Viewer, limit: usize) -> Result<Vec<AccountView>, DbError> {
    let mut sql = select();
    if viewer.is_admin() {
        sql.push(" ORDER BY position DESC");
    } else {
        sql.push(" WHERE owner = ").push_bind(viewer.user_id.to_string()).push(" ORDER BY opened_at, id");
    }
    sql.push(" LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    rows(tx, sql).await
}

/// What the viewer's accounts come to; an admin's are all.
pub(super) async fn totals(tx: &mut Tx, viewer: &Viewer) -> Result<Totals, DbError> {
    // Summed in two halves: the sum of many balances may pass the end of 64 bits, which SUM refuses.
    let mut sql = Sql::new(
        "SELECT currency, COUNT(*) FILTER (WHERE status <> 'closed') AS accounts, MAX(position) AS position,
             CAST(SUM(balance >> 32) AS BIGINT) AS high,
             CAST(SUM(balance & 4294967295) AS BIGINT) AS low
         FROM accounts",
    );
    if !viewer.is_admin() {
        sql.push(" WHERE owner = ").push_bind(viewer.user_id.to_string());
    }
    sql.push(" GROUP BY currency ORDER BY accounts DESC, currency");
    let mut totals = Totals { lines: vec![], position: Position(0) };
    for row in &sql.fetch_all(tx).await? {
        totals.position = totals.position.max(position(row, "position")?);
        let accounts = row.try_get("accounts")?;
        // A closed account is empty: only the last of a currency to be closed takes its line away.
        if accounts > 0 {
            let balance = wide_sum(row.try_get("high")?, row.try_get("low")?);
            totals.lines.push(CurrencyTotal { currency: text(row, "currency")?, accounts, balance });
        }
    }
    Ok(totals)
}

/// Accounts that changed after `after`, oldest change first.
pub(super) async fn changed(
    tx: &mut Tx,
    viewer: &Viewer,
    after: Position,
    limit: usize,
) -> Result<Vec<AccountView>, DbError> {
    let mut sql = select();
    sql.push(" WHERE position > ").push_bind(after.as_i64());
    if !viewer.is_admin() {
        sql.push(" AND owner = ").push_bind(viewer.user_id.to_string());
    }
    sql.push(" ORDER BY position LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    rows(tx, sql).await
}

fn select() -> Sql<'static> {
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM accounts");
    sql
}

async fn rows(tx: &mut Tx, sql: Sql<'_>) -> Result<Vec<AccountView>, DbError> {
    sql.fetch_all(tx).await?.iter().map(account_view).collect()
}
