//! Answers from the read database: the [`QueryPort`] of a query node.
//!
//! Each answer is read in one transaction and says which position it shows: the oldest that the projections behind it
//! had reached. What the viewer may not see does not exist here. Lists are paged by key, so that what is written
//! meanwhile shifts nothing.

mod account_page;
mod accounts;
mod changed;
mod events;
mod paging;
mod people;
mod statement;
mod transfers;
mod trial_balance;

use std::sync::Arc;

use app::{
    api::AppError,
    domain::{AccountId, Date, TransferId, UserId},
    ports::{AccountsFilter, EventsFilter, Freshness, QueryPort, StatementFilter, User, Viewer},
    wire::{
        AccountPage, AccountView, DailyTotal, EventView, Overview, Page, Person, Position, ReadStatus, Seen,
        StatementRow, TransferView, TrialBalance,
    },
};
use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    ReadSide,
    columns::json_array,
    sql::{DbError, Sql, Tx},
};
use crate::bus::BusStatus;

pub use changed::{LiveRows, projections};
pub use events::shown_to;

const ACCOUNTS: &str = "accounts";
const STATEMENT: &str = "statement";
const TRANSFERS: &str = "transfers";
const DAILY_TOTALS: &str = "daily_totals";
const TRIAL_BALANCE: &str = "trial_balance";
const TIMELINE: &str = "timeline";

/// The query side of a process, over its read database.
pub struct SqlQueries {
    side: watch::Receiver<Arc<ReadSide>>,
}

impl SqlQueries {
    /// Over this one.
    pub fn new(read: Arc<ReadSide>) -> Self {
        Self::over(watch::channel(read).1)
    }

    /// Over whichever is at work.
    pub fn over(side: watch::Receiver<Arc<ReadSide>>) -> Self {
        Self { side }
    }

    fn side(&self) -> Arc<ReadSide> {
        self.side.borrow().clone()
    }

    /// What this node's bus meets on its way.
    pub fn bus_status(&self) -> BusStatus {
        self.side().bus_status()
    }

    /// One moment of the read database, of which `projections` will be read; R5: not before they have seen
    /// `fresh.position`, if that comes in time.
    async fn snapshot(&self, projections: &[&str], fresh: Freshness) -> Result<Snapshot, AppError> {
        let side = self.side();
        // Whether it came in time shows in what is read next.
        side.wait_for(projections, fresh.position, fresh.wait).await;
        let mut tx = side.db.read().await.map_err(unavailable)?;
        let position = oldest(&mut tx, projections).await.map_err(unavailable)?;
        let old = side.is_old(position);
        Ok(Snapshot { tx, position, stale: old || position < fresh.position })
    }
}

/// A read transaction, and how far what it shows has come.
struct Snapshot {
    tx: Tx,
    position: Position,
    /// It has not come to what was waited for, or to where the log ended when this node started.
    stale: bool,
}

impl Snapshot {
    fn absent(&self) -> AppError {
        AppError::absent(self.stale)
    }

    fn seen<T>(self, value: T) -> Seen<T> {
        Seen { position: self.position, stale: self.stale, value }
    }
}

/// The oldest checkpoint of `projections`; 0 if one of them has none yet.
async fn oldest(tx: &mut Tx, projections: &[&str]) -> Result<Position, DbError> {
    let row = Sql::new(
        "SELECT COUNT(*) AS known, COALESCE(MIN(position), 0) AS position FROM checkpoints
         WHERE projection IN (SELECT value FROM {keys})",
    )
    .bind(json_array(projections))
    .fetch_one(tx)
    .await?;
    let known: i64 = row.try_get("known")?;
    let all = usize::try_from(known).is_ok_and(|known| known == projections.len());
    if all { row.try_get("position").map(Position::from_i64) } else { Ok(Position(0)) }
}

/// A sum of `n >> 32` and one of `n & 4294967295`, put together; one beyond 64 bits is held at their end.
fn wide_sum(high: i64, low: i64) -> i64 {
    let sum = (i128::from(high) << 32) + i128::from(low);
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

/// The database did not answer as it should: a pool that is busy is worth another try, all else goes to the log.
fn unavailable(error: DbError) -> AppError {
    if let DbError::Busy | DbError::Away(_) = error {
        tracing::debug!(%error, "a query is not answered");
        return AppError::Unavailable { retry_after: 1 };
    }
    let mut random = [0; 8];
    // Without randomness the id is less unique, which is no reason to fail differently.
    let id = if getrandom::fill(&mut random).is_ok() { u64::from_be_bytes(random) } else { 0 };
    let id = format!("{id:016x}");
    tracing::error!(error_id = id, %error, "a query failed");
    AppError::Internal { id }
}

#[async_trait]
impl QueryPort for SqlQueries {
    async fn overview(&self, viewer: &Viewer, fresh: Freshness) -> Result<Seen<Overview>, AppError> {
        let mut snapshot = self.snapshot(&[ACCOUNTS, STATEMENT], fresh).await?;
        let overview = account_page::overview(&mut snapshot.tx, viewer).await.map_err(unavailable)?;
        Ok(snapshot.seen(overview))
    }

    async fn account_page(
        &self,
        viewer: &Viewer,
        id: AccountId,
        statement: StatementFilter,
        today: Date,
        fresh: Freshness,
    ) -> Result<Seen<AccountPage>, AppError> {
        let query = statement::Query::read(&statement)?;
        let mut snapshot = self.snapshot(&[ACCOUNTS, STATEMENT, TRANSFERS, DAILY_TOTALS], fresh).await?;
        let page = account_page::account_page(&mut snapshot.tx, viewer, id, &query, today).await;
        let page = page.map_err(unavailable)?.ok_or_else(|| snapshot.absent())?;
        Ok(snapshot.seen(page))
    }

    async fn accounts(
        &self,
        viewer: &Viewer,
        filter: AccountsFilter,
        fresh: Freshness,
    ) -> Result<Seen<Page<AccountView>>, AppError> {
        let query = accounts::Query::read(viewer, &filter)?;
        let mut snapshot = self.snapshot(&[ACCOUNTS], fresh).await?;
        let page = accounts::list(&mut snapshot.tx, &query).await.map_err(unavailable)?;
        Ok(snapshot.seen(page))
    }

    async fn account(&self, viewer: &Viewer, id: AccountId, fresh: Freshness) -> Result<Seen<AccountView>, AppError> {
        let mut snapshot = self.snapshot(&[ACCOUNTS], fresh).await?;
        let account = accounts::visible(&mut snapshot.tx, viewer, id).await.map_err(unavailable)?;
        let account = account.ok_or_else(|| snapshot.absent())?;
        Ok(snapshot.seen(account))
    }

    async fn statement(
        &self,
        viewer: &Viewer,
        id: AccountId,
        filter: StatementFilter,
        fresh: Freshness,
    ) -> Result<Seen<Page<StatementRow>>, AppError> {
        let query = statement::Query::read(&filter)?;
        let mut snapshot = self.snapshot(&[ACCOUNTS, STATEMENT], fresh).await?;
        let account = accounts::visible(&mut snapshot.tx, viewer, id).await.map_err(unavailable)?;
        account.ok_or_else(|| snapshot.absent())?;
        let page = statement::page(&mut snapshot.tx, id, &query).await.map_err(unavailable)?;
        Ok(snapshot.seen(page))
    }

    async fn daily_totals(
        &self,
        viewer: &Viewer,
        id: AccountId,
        fresh: Freshness,
    ) -> Result<Seen<Page<DailyTotal>>, AppError> {
        let mut snapshot = self.snapshot(&[ACCOUNTS, DAILY_TOTALS], fresh).await?;
        let account = accounts::visible(&mut snapshot.tx, viewer, id).await.map_err(unavailable)?;
        account.ok_or_else(|| snapshot.absent())?;
        let items = account_page::daily_totals(&mut snapshot.tx, id).await.map_err(unavailable)?;
        Ok(snapshot.seen(Page { items, next: None }))
    }

    async fn transfers(
        &self,
        viewer: &Viewer,
        account: Option<AccountId>,
        after: Option<String>,
        limit: u32,
        fresh: Freshness,
    ) -> Result<Seen<Page<TransferView>>, AppError> {
        let query = transfers::Query::read(after.as_deref(), limit)?;
        let mut snapshot = self.snapshot(&[ACCOUNTS, TRANSFERS], fresh).await?;
        if let Some(id) = account {
            let account = accounts::visible(&mut snapshot.tx, viewer, id).await.map_err(unavailable)?;
            account.ok_or_else(|| snapshot.absent())?;
        }
        let page = transfers::list(&mut snapshot.tx, viewer, account, &query).await.map_err(unavailable)?;
        Ok(snapshot.seen(page))
    }

    async fn transfer(
        &self,
        viewer: &Viewer,
        id: TransferId,
        fresh: Freshness,
    ) -> Result<Seen<TransferView>, AppError> {
        let mut snapshot = self.snapshot(&[TRANSFERS], fresh).await?;
        let transfer = transfers::visible(&mut snapshot.tx, viewer, id).await.map_err(unavailable)?;
        let transfer = transfer.ok_or_else(|| snapshot.absent())?;
        Ok(snapshot.seen(transfer))
    }

    async fn trial_balance(&self, viewer: &Viewer, fresh: Freshness) -> Result<Seen<TrialBalance>, AppError> {
        if !viewer.is_admin() {
            return Err(AppError::NotFound);
        }
        let mut snapshot = self.snapshot(&[TRIAL_BALANCE], fresh).await?;
        let balance = trial_balance::all(&mut snapshot.tx).await.map_err(unavailable)?;
        Ok(snapshot.seen(balance))
    }

    async fn events(
        &self,
        viewer: &Viewer,
        filter: EventsFilter,
        fresh: Freshness,
    ) -> Result<Seen<Page<EventView>>, AppError> {
        let limit = paging::limit(filter.limit)?;
        let mut snapshot = self.snapshot(&[TIMELINE], fresh).await?;
        let page = events::list(&mut snapshot.tx, viewer, &filter, limit).await.map_err(unavailable)?;
        Ok(snapshot.seen(page))
    }

    async fn people(&self, viewer: &Viewer, ids: &[UserId]) -> Result<Vec<Person>, AppError> {
        if !viewer.is_admin() {
            return Ok(vec![]);
        }
        let mut tx = self.side().db.read().await.map_err(unavailable)?;
        people::by_ids(&mut tx, ids).await.map_err(unavailable)
    }

    async fn user(&self, viewer: &Viewer, email: &str) -> Result<Option<User>, AppError> {
        if !viewer.is_admin() {
            return Err(AppError::NotFound);
        }
        let mut tx = self.side().db.read().await.map_err(unavailable)?;
        people::by_email(&mut tx, email).await.map_err(unavailable)
    }

    async fn status(&self) -> Result<ReadStatus, AppError> {
        Ok(self.side().status())
    }

    async fn retry(&self, viewer: &Viewer, projection: &str) -> Result<(), AppError> {
        if viewer.is_admin() && self.side().retry(projection) { Ok(()) } else { Err(AppError::NotFound) }
    }
}
