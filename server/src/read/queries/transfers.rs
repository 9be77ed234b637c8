//! Transfers, newest request first. A customer sees those from accounts of their own, and those to one of them from
//! the moment that it promised to take the money.

use app::{
    api::AppError,
    domain::{AccountId, TransferId},
    ports::Viewer,
    wire::{Page, Position, TransferView},
};

use super::{
    super::{
        projections::{TransferRow, transfer_row},
        sql::{DbError, Sql, Tx},
    },
    paging::{self, fetch},
};

pub(super) const COLUMNS: &str =
    "id, from_account, to_account, amount, currency, description, state, reason, requested_at,
    updated_at, version, requested_position, position, from_owner, to_owner";

/// A list of transfers, as asked for and checked.
pub(super) struct Query {
    /// Only requests before this position.
    before: i64,
    limit: usize,
}

impl Query {
    pub(super) fn read(after: Option<&str>, limit: u32) -> Result<Self, AppError> {
        Ok(Self { before: paging::key(after)?.unwrap_or(i64::MAX), limit: paging::limit(limit)? })
    }
}

/// Transfers of `account`, which the viewer may see, or all that the viewer is party to.
pub(super) async fn list(
    tx: &mut Tx,
    viewer: &Viewer,
    account: Option<AccountId>,
    query: &Query,
) -> Result<Page<TransferView>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM transfers WHERE requested_position ");
    match account {
        None if viewer.is_admin() => {
            sql.push("< ").push_bind(query.before);
        }
        None => either(&mut sql, "from_owner", "to_owner", &viewer.user_id.to_string(), None, query),
        Some(account) => {
            let party = (!viewer.is_admin()).then(|| viewer.user_id.to_string());
            either(&mut sql, "from_account", "to_account", &account.to_string(), party, query);
        }
    }
    sql.push(" ORDER BY requested_position DESC LIMIT ").push_bind(fetch(query.limit));
    let rows = rows(tx, sql).await?;
    let page = paging::cut(rows, query.limit, |row| row.view.requested_position.to_string());
    Ok(Page { items: page.items.into_iter().map(|row| row.view).collect(), next: page.next })
}

/// Transfers that changed after `after`, oldest change first; more than `most` if not all of them are here. The newest
/// `most` if that is `None`.
pub(super) async fn changed(
    tx: &mut Tx,
    viewer: &Viewer,
    after: Option<Position>,
    most: usize,
) -> Result<Vec<TransferView>, DbError> {
    let Some(after) = after else {
        let page = list(tx, viewer, None, &Query { before: i64::MAX, limit: most }).await?;
        return Ok(page.items);
    };
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM transfers WHERE position > ").push_bind(after.as_i64());
    if !viewer.is_admin() {
        // From the viewer's own, never through everyone's.
        for (before, column) in [(" AND id IN (", "from_owner"), (" UNION ALL ", "to_owner")] {
            sql.push(before).push("SELECT id FROM transfers WHERE ").push(column).push(" = ");
            sql.push_bind(viewer.user_id.to_string()).push(" AND position > ").push_bind(after.as_i64());
        }
        sql.push(")");
    }
    sql.push(" ORDER BY position LIMIT ").push_bind(fetch(most));
    Ok(rows(tx, sql).await?.into_iter().map(|row| row.view).collect())
}

/// The newest rows where one of two columns is `key`: each by its own index, and only as many as can be shown.
fn either(
    sql: &mut Sql<'_>,
    source: &'static str,
    destination: &'static str,
    key: &str,
    destination_owner: Option<String>,
    query: &Query,
) {
    sql.push("IN (");
    for (side, column) in [source, destination].into_iter().enumerate() {
        if side > 0 {
            sql.push(" UNION ");
        }
        sql.push("SELECT * FROM (SELECT requested_position FROM transfers WHERE ").push(column).push(" = ");
        sql.push_bind(key.to_owned()).push(" AND requested_position < ").push_bind(query.before);
        if let (1, Some(owner)) = (side, &destination_owner) {
            sql.push(" AND to_owner = ").push_bind(owner.clone());
        }
        sql.push(" ORDER BY requested_position DESC LIMIT ").push_bind(fetch(query.limit)).push(") AS side");
    }
    sql.push(")");
}

/// The transfer, if this viewer may see it.
pub(super) async fn visible(tx: &mut Tx, viewer: &Viewer, id: TransferId) -> Result<Option<TransferView>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM transfers WHERE id = ").push_bind(id.to_string());
    let me = Some(viewer.user_id);
    let row = rows(tx, sql).await?.pop();
    Ok(row.filter(|row| viewer.is_admin() || row.from_owner == me || row.to_owner == me).map(|row| row.view))
}

/// Transfers that hold money of `account` now, or that it has promised to take; newest first.
pub(super) async fn pending(tx: &mut Tx, account: AccountId) -> Result<Vec<TransferView>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM transfers WHERE (from_account = ").push_bind(account.to_string());
    // What is promised but not captured is still held; once captured it is an entry of the source's statement.
    sql.push(" AND state IN ('held', 'promised')) OR (to_account = ").push_bind(account.to_string());
    sql.push(" AND state IN ('promised', 'in_transit')) ORDER BY requested_position DESC LIMIT 100");
    Ok(rows(tx, sql).await?.into_iter().map(|row| row.view).collect())
}

async fn rows(tx: &mut Tx, sql: Sql<'_>) -> Result<Vec<TransferRow>, DbError> {
    sql.fetch_all(tx).await?.iter().map(transfer_row).collect()
}
