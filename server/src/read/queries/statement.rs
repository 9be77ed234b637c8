//! The statement of one account: by version, or by effective date with the running balance recomputed over that order.

use std::str::FromStr;

use app::{
    api::AppError,
    domain::{AccountId, Date},
    ports::{StatementFilter, Viewer},
    wire::{Page, Position, StatementRow, Version},
};

use super::{
    super::{
        columns::{json_array, text},
        projections::statement_row,
        sql::{DbError, Row, Sql, Tx},
    },
    paging::{self, fetch},
    wide_sum,
};

pub(super) const COLUMNS: &str = "s.account_id, s.event_id, s.kind, s.amount, s.balance, s.effective_on, s.recorded_at,
    s.description, s.transfer_id, s.counterparty, s.reverses, s.reversed_by, s.version, s.entry_position, s.position";

/// Where a page of a statement ended.
enum After {
    Version(Version),
    Date(Date, Version),
}

/// A statement, as asked for and checked.
pub(super) struct Query {
    by_date: bool,
    ascending: bool,
    /// In lower case, not empty.
    text: Option<String>,
    after: Option<After>,
    limit: usize,
}

impl Query {
    pub(super) fn read(filter: &StatementFilter) -> Result<Self, AppError> {
        let after = match filter.after.as_deref() {
            None => None,
            Some(text) if filter.by_date => {
                let (date, version) = text.split_once('.').ok_or_else(paging::not_a_page)?;
                let date = Date::from_str(date).map_err(|_| paging::not_a_page())?;
                Some(After::Date(date, checked(version)?))
            }
            Some(text) => Some(After::Version(checked(text)?)),
        };
        Ok(Self {
            by_date: filter.by_date,
            ascending: filter.ascending,
            text: filter.text.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty()),
            after,
            limit: paging::limit(filter.limit)?,
        })
    }

    /// How to compare with the end of the page before, and how to sort.
    fn order(&self) -> (&'static str, &'static str) {
        if self.ascending { (" > ", " ASC") } else { (" < ", " DESC") }
    }
}

fn checked(version: &str) -> Result<Version, AppError> {
    let version: i64 = version.parse().map_err(|_| paging::not_a_page())?;
    Ok(Version::from_i64(version))
}

pub(super) async fn page(tx: &mut Tx, account: AccountId, query: &Query) -> Result<Page<StatementRow>, DbError> {
    if query.by_date { page_by_date(tx, account, query).await } else { page_by_version(tx, account, query).await }
}

async fn page_by_version(tx: &mut Tx, account: AccountId, query: &Query) -> Result<Page<StatementRow>, DbError> {
    let (beyond, direction) = query.order();
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM statement s WHERE s.account_id = ").push_bind(account.to_string());
    if let Some(After::Version(version)) = query.after {
        sql.push(" AND s.version").push(beyond).push_bind(version.as_i64());
    }
    with_text(&mut sql, query);
    sql.push(" ORDER BY s.version").push(direction).push(" LIMIT ").push_bind(fetch(query.limit));
    let rows = sql.fetch_all(tx).await?;
    let rows = rows.iter().map(statement_row).collect::<Result<_, _>>()?;
    Ok(paging::cut(rows, query.limit, |row: &StatementRow| row.version.to_string()))
}

async fn page_by_date(tx: &mut Tx, account: AccountId, query: &Query) -> Result<Page<StatementRow>, DbError> {
    let (beyond, direction) = query.order();
    // Summed in two halves, since in order of dates a balance may pass the end of 64 bits, which SUM refuses.
    let mut sql = Sql::new(
        "WITH running AS (
             SELECT version, CAST(SUM(amount >> 32) OVER dates AS BIGINT) AS high,
                 CAST(SUM(amount & 4294967295) OVER dates AS BIGINT) AS low
             FROM statement WHERE account_id = ",
    );
    sql.push_bind(account.to_string())
        .push(" WINDOW dates AS (ORDER BY effective_on, version ROWS UNBOUNDED PRECEDING)) SELECT r.high, r.low, ")
        .push(COLUMNS)
        .push(" FROM running r JOIN statement s ON s.version = r.version AND s.account_id = ")
        .push_bind(account.to_string())
        .push(" WHERE TRUE");
    if let Some(After::Date(date, version)) = query.after {
        sql.push(" AND (s.effective_on, s.version)").push(beyond).push("(");
        sql.push_bind(date.to_string()).push(", ").push_bind(version.as_i64()).push(")");
    }
    with_text(&mut sql, query);
    sql.push(" ORDER BY s.effective_on").push(direction).push(", s.version").push(direction);
    sql.push(" LIMIT ").push_bind(fetch(query.limit));
    let rows = sql.fetch_all(tx).await?;
    let rows = rows.iter().map(row_by_date).collect::<Result<_, _>>()?;
    Ok(paging::cut(rows, query.limit, |row: &StatementRow| format!("{}.{}", row.effective_on, row.version)))
}

fn row_by_date(row: &Row) -> Result<StatementRow, DbError> {
    let balance = wide_sum(row.try_get("high")?, row.try_get("low")?);
    Ok(StatementRow { balance, ..statement_row(row)? })
}

fn with_text(sql: &mut Sql<'_>, query: &Query) {
    if let Some(text) = &query.text {
        sql.push(" AND {find}(s.search, ").push_bind(text.clone()).push(") > 0");
    }
}

/// Entries that are new or were reversed after `after`, oldest first; more than `most` if not all of them are here. The
/// newest `most` if that is `None`.
///
/// Looks at the newest entries alone, by their key: an older one changes only by a newer one that reverses it.
pub(super) async fn changed(
    tx: &mut Tx,
    account: AccountId,
    after: Option<Position>,
    most: usize,
) -> Result<Vec<StatementRow>, DbError> {
    let mut sql = Sql::new("WITH newest AS (SELECT version, entry_position, reverses FROM statement");
    sql.push(" WHERE account_id = ").push_bind(account.to_string());
    let limit = if after.is_some() { fetch(most) } else { i64::try_from(most).unwrap_or(i64::MAX) };
    sql.push(" ORDER BY version DESC LIMIT ").push_bind(limit).push("), fresh AS (SELECT * FROM newest");
    sql.push(" WHERE entry_position > ").push_bind(after.unwrap_or_default().as_i64()).push(") SELECT ");
    sql.push(COLUMNS).push(" FROM statement s WHERE s.account_id = ").push_bind(account.to_string());
    sql.push(" AND s.version IN (SELECT version FROM fresh");
    if after.is_some() {
        sql.push(" UNION SELECT f.version FROM fresh JOIN feed f ON f.event_id = fresh.reverses");
    }
    sql.push(") ORDER BY s.version");
    sql.fetch_all(tx).await?.iter().map(statement_row).collect()
}

/// Accounts whose entries are the viewer's; `None`: an admin's, which are all.
pub(super) async fn accounts_of(tx: &mut Tx, viewer: &Viewer) -> Result<Option<Vec<AccountId>>, DbError> {
    if viewer.is_admin() {
        return Ok(None);
    }
    let rows = Sql::new("SELECT account_id FROM statement_accounts WHERE owner = ?")
        .bind(viewer.user_id.to_string())
        .fetch_all(tx)
        .await?;
    rows.iter().map(|row| text(row, "account_id")).collect::<Result<_, _>>().map(Some)
}

/// The newest entries over `accounts`, or over all if that is `None`.
pub(super) async fn latest(
    tx: &mut Tx,
    accounts: Option<&[AccountId]>,
    limit: i64,
) -> Result<Vec<StatementRow>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS);
    if let Some(accounts) = accounts {
        // The newest few of each account, by its key: never a walk through everyone's entries.
        sql.push(" FROM {keys}").bind_last(json_array(accounts));
        sql.push(
            " {then} statement s ON s.account_id = keys.value AND s.version IN
                   (SELECT version FROM statement WHERE account_id = keys.value ORDER BY version DESC LIMIT ",
        );
        sql.push_bind(limit).push(")");
    } else {
        sql.push(" FROM statement s");
    }
    sql.push(" ORDER BY s.entry_position DESC LIMIT ").push_bind(limit);
    sql.fetch_all(tx).await?.iter().map(statement_row).collect()
}
