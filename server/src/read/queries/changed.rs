//! What a live query shows: the rows that changed after a position, or all that a fresh page would have.

use app::{
    api::AppError,
    ports::{EventsFilter, Freshness, Viewer},
    wire::{EventView, LiveQuery, Position, TransferView},
};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    super::projections::{account_view, statement_row, sums, transfer_row},
    ACCOUNTS, STATEMENT, SqlQueries, TIMELINE, TRANSFERS, TRIAL_BALANCE, accounts, events, statement, transfers,
    unavailable,
};

/// More changes than this are not replayed: the reader gets the newest rows anew.
const MOST_CHANGES: usize = 500;

/// Rows of one live query, read in one transaction.
pub struct LiveRows {
    /// What the view had seen.
    pub position: Position,
    /// These are the newest of all there is, not only those that changed.
    pub reset: bool,
    pub count: usize,
    /// A JSON array of views.
    pub json: String,
}

/// The projections behind a live query: the first is the one whose rows it shows.
pub fn projections(query: LiveQuery) -> &'static [&'static str] {
    match query {
        LiveQuery::Accounts | LiveQuery::Account(_) => &[ACCOUNTS],
        LiveQuery::Statement(_) => &[STATEMENT, ACCOUNTS],
        LiveQuery::Transfers | LiveQuery::Transfer(_) => &[TRANSFERS],
        LiveQuery::Events | LiveQuery::Stream(_) => &[TIMELINE],
        LiveQuery::TrialBalance => &[TRIAL_BALANCE],
    }
}

impl SqlQueries {
    /// Rows that changed after `after`, oldest change first; the newest rows there are if that is `None` or if there
    /// are too many. What the viewer may not see is [`AppError::NotFound`].
    pub async fn changed(
        &self,
        viewer: &Viewer,
        query: LiveQuery,
        after: Option<Position>,
    ) -> Result<LiveRows, AppError> {
        let mut snapshot = self.snapshot(&projections(query)[..1], Freshness::default()).await?;
        let tx = &mut *snapshot.tx;
        let found = match after {
            Some(after) => rows(tx, viewer, query, Some(after)).await?,
            None => None,
        };
        let (reset, (count, json)) = match found {
            Some(found) => (false, found),
            None => (true, rows(tx, viewer, query, None).await?.unwrap_or_else(|| (0, "[]".to_owned()))),
        };
        Ok(LiveRows { position: snapshot.position, reset, count, json })
    }
}

/// Count and JSON; `None` if there are too many changes to replay.
async fn rows(
    tx: &mut SqliteConnection,
    viewer: &Viewer,
    query: LiveQuery,
    after: Option<Position>,
) -> Result<Option<(usize, String)>, AppError> {
    match query {
        LiveQuery::Accounts => {
            let mut sql = select("accounts", accounts::COLUMNS, after);
            if !viewer.is_admin() {
                sql.push(" AND owner = ").push_bind(viewer.user_id.to_string());
            }
            listed(fetch(tx, sql, after, account_view).await?, after)
        }
        LiveQuery::Account(id) => {
            let account = accounts::visible(tx, viewer, id).await.map_err(unavailable)?.ok_or(AppError::NotFound)?;
            one(account.position, account, after)
        }
        LiveQuery::Statement(id) => {
            accounts::visible(tx, viewer, id).await.map_err(unavailable)?.ok_or(AppError::NotFound)?;
            let mut sql = select("statement s", statement::COLUMNS, after);
            sql.push(" AND account_id = ").push_bind(id.to_string());
            listed(fetch(tx, sql, after, statement_row).await?, after)
        }
        LiveQuery::Transfers => {
            let mut sql = select("transfers", transfers::COLUMNS, after);
            if !viewer.is_admin() {
                sql.push(" AND (from_owner = ").push_bind(viewer.user_id.to_string());
                sql.push(" OR to_owner = ").push_bind(viewer.user_id.to_string()).push(")");
            }
            let rows = fetch(tx, sql, after, transfer_row).await?;
            listed(rows.into_iter().map(|row| row.view).collect::<Vec<TransferView>>(), after)
        }
        LiveQuery::Transfer(id) => {
            let transfer = transfers::visible(tx, viewer, id).await.map_err(unavailable)?.ok_or(AppError::NotFound)?;
            one(transfer.position, transfer, after)
        }
        LiveQuery::Events => listed(timeline(tx, viewer, EventsFilter::default(), after).await?, after),
        LiveQuery::Stream(stream) => {
            let filter = EventsFilter { stream: Some(stream), ..EventsFilter::default() };
            if events::list(tx, viewer, &filter, 1).await.map_err(unavailable)?.items.is_empty() {
                return Err(AppError::NotFound);
            }
            listed(timeline(tx, viewer, filter, after).await?, after)
        }
        LiveQuery::TrialBalance if viewer.is_admin() => {
            let sql = select("trial_balance", "*", after);
            let lines = fetch(tx, sql, after, |row| sums(row).map(|(currency, sums)| sums.line(currency))).await?;
            listed(lines, after)
        }
        LiveQuery::TrialBalance => Err(AppError::NotFound),
    }
}

fn select(table: &'static str, columns: &'static str, after: Option<Position>) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(columns).push(" FROM ").push(table).push(" WHERE position > ");
    sql.push_bind(after.unwrap_or_default().as_i64());
    sql
}

async fn fetch<T>(
    tx: &mut SqliteConnection,
    mut sql: QueryBuilder<Sqlite>,
    after: Option<Position>,
    row: impl Fn(&sqlx::sqlite::SqliteRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, AppError> {
    // Changes: from where the reader stands on. Everything: the newest, and as many as a list shows at most.
    sql.push(if after.is_some() { " ORDER BY position" } else { " ORDER BY position DESC" });
    sql.push(" LIMIT ").push_bind(i64::try_from(MOST_CHANGES + 1).unwrap_or(i64::MAX));
    let rows = sql.build().fetch_all(tx).await.map_err(unavailable)?;
    rows.iter().map(row).collect::<Result<_, _>>().map_err(unavailable)
}

async fn timeline(
    tx: &mut SqliteConnection,
    viewer: &Viewer,
    filter: EventsFilter,
    after: Option<Position>,
) -> Result<Vec<EventView>, AppError> {
    let filter = EventsFilter { after, ascending: after.is_some(), ..filter };
    let mut page = events::list(tx, viewer, &filter, MOST_CHANGES).await.map_err(unavailable)?;
    if page.next.is_some()
        && let Some(last) = page.items.last().cloned()
    {
        // One more than is replayed: says that there are too many.
        page.items.push(last);
    }
    Ok(page.items)
}

fn listed<T: Serialize>(mut rows: Vec<T>, after: Option<Position>) -> Result<Option<(usize, String)>, AppError> {
    if rows.len() > MOST_CHANGES {
        if after.is_some() {
            return Ok(None);
        }
        rows.truncate(MOST_CHANGES);
    }
    if after.is_none() {
        rows.reverse();
    }
    json(&rows).map(Some)
}

fn one<T: Serialize>(position: Position, row: T, after: Option<Position>) -> Result<Option<(usize, String)>, AppError> {
    let changed = after.is_none_or(|after| position > after);
    json(if changed { std::slice::from_ref(&row) } else { &[] }).map(Some)
}

fn json<T: Serialize>(rows: &[T]) -> Result<(usize, String), AppError> {
    let json = serde_json::to_string(rows).map_err(|error| unavailable(sqlx::Error::Encode(error.into())))?;
    Ok((rows.len(), json))
}
