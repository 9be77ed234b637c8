//! What a live query shows: the rows that changed after a position, or all that a fresh page would have.

use app::{
    api::AppError,
    domain::{AccountId, Date},
    ports::{EventsFilter, Freshness, Viewer},
    wire::{AccountView, LiveQuery, Position},
};
use serde::Serialize;

use super::{
    super::{
        feed::now,
        sql::{DbError, Tx},
    },
    ACCOUNTS, DAILY_TOTALS, STATEMENT, SqlQueries, TIMELINE, TRANSFERS, TRIAL_BALANCE, account_page, accounts, events,
    statement, transfers, trial_balance, unavailable,
};

/// More changes than this are not replayed: the reader gets the newest rows anew.
const MOST_CHANGES: usize = 500;
/// As many movements over all accounts are kept alive.
const MOVEMENTS: i64 = 50;

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
        LiveQuery::Accounts | LiveQuery::Totals | LiveQuery::Account(_) => &[ACCOUNTS],
        LiveQuery::Statement(_) => &[STATEMENT, ACCOUNTS],
        LiveQuery::Movements => &[STATEMENT],
        LiveQuery::Days(_) => &[DAILY_TOTALS, ACCOUNTS],
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
        let tx = &mut snapshot.tx;
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
    tx: &mut Tx,
    viewer: &Viewer,
    query: LiveQuery,
    after: Option<Position>,
) -> Result<Option<(usize, String)>, AppError> {
    match query {
        LiveQuery::Accounts => listed(accounts(tx, viewer, after).await.map_err(unavailable)?, after),
        LiveQuery::Totals => {
            let totals = accounts::totals(tx, viewer).await.map_err(unavailable)?;
            one(totals.position, totals, after)
        }
        LiveQuery::Account(id) => {
            let account = visible(tx, viewer, id).await?;
            one(account.position, account, after)
        }
        LiveQuery::Statement(id) => {
            visible(tx, viewer, id).await?;
            listed(statement::changed(tx, id, after, MOST_CHANGES).await.map_err(unavailable)?, after)
        }
        LiveQuery::Days(id) => {
            visible(tx, viewer, id).await?;
            let days = account_page::days(tx, id, Date::of_micros(now())).await.map_err(unavailable)?;
            one(days.position, days, after)
        }
        LiveQuery::Movements => movements(tx, viewer, after).await,
        LiveQuery::Transfers => {
            listed(transfers::changed(tx, viewer, after, MOST_CHANGES).await.map_err(unavailable)?, after)
        }
        LiveQuery::Transfer(id) => {
            let transfer = transfers::visible(tx, viewer, id).await.map_err(unavailable)?.ok_or(AppError::NotFound)?;
            one(transfer.position, transfer, after)
        }
        LiveQuery::Events => {
            listed(events::changed(tx, viewer, None, after, MOST_CHANGES).await.map_err(unavailable)?, after)
        }
        LiveQuery::Stream(stream) => {
            let filter = EventsFilter { stream: Some(stream), ..EventsFilter::default() };
            if events::list(tx, viewer, &filter, 1).await.map_err(unavailable)?.items.is_empty() {
                return Err(AppError::NotFound);
            }
            listed(events::changed(tx, viewer, Some(stream), after, MOST_CHANGES).await.map_err(unavailable)?, after)
        }
        LiveQuery::TrialBalance if viewer.is_admin() => {
            let mut lines = trial_balance::all(tx).await.map_err(unavailable)?.lines;
            lines.retain(|line| line.position > after.unwrap_or_default());
            listed(lines, after)
        }
        LiveQuery::TrialBalance => Err(AppError::NotFound),
    }
}

async fn visible(tx: &mut Tx, viewer: &Viewer, id: AccountId) -> Result<AccountView, AppError> {
    accounts::visible(tx, viewer, id).await.map_err(unavailable)?.ok_or(AppError::NotFound)
}

async fn accounts(tx: &mut Tx, viewer: &Viewer, after: Option<Position>) -> Result<Vec<AccountView>, DbError> {
    match after {
        Some(after) => accounts::changed(tx, viewer, after, MOST_CHANGES + 1).await,
        None => accounts::for_overview(tx, viewer, MOST_CHANGES).await,
    }
}

/// The newest movements, of which those that changed are sent: who has the others has them as they are.
async fn movements(tx: &mut Tx, viewer: &Viewer, after: Option<Position>) -> Result<Option<(usize, String)>, AppError> {
    let own = statement::accounts_of(tx, viewer).await.map_err(unavailable)?;
    let mut rows = statement::latest(tx, own.as_deref(), MOVEMENTS).await.map_err(unavailable)?;
    rows.reverse();
    let all_new = rows.first().is_some_and(|oldest| Some(oldest.entry_position) > after);
    if after.is_some() && all_new && rows.len() >= usize::try_from(MOVEMENTS).unwrap_or(usize::MAX) {
        return Ok(None);
    }
    rows.retain(|row| row.position > after.unwrap_or_default());
    json(&rows).map(Some)
}

fn listed<T: Serialize>(mut rows: Vec<T>, after: Option<Position>) -> Result<Option<(usize, String)>, AppError> {
    if rows.len() > MOST_CHANGES {
        if after.is_some() {
            return Ok(None);
        }
        rows.truncate(MOST_CHANGES);
    }
    json(&rows).map(Some)
}

fn one<T: Serialize>(position: Position, row: T, after: Option<Position>) -> Result<Option<(usize, String)>, AppError> {
    let changed = after.is_none_or(|after| position > after);
    json(if changed { std::slice::from_ref(&row) } else { &[] }).map(Some)
}

fn json<T: Serialize>(rows: &[T]) -> Result<(usize, String), AppError> {
    let json = serde_json::to_string(rows).map_err(|error| unavailable(DbError::failed(error)))?;
    Ok((rows.len(), json))
}
