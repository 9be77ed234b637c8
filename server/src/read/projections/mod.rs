//! The projections: each answers one question from the events of the log, in tables of its own.
//!
//! A projection reads no other projection's tables, only its own and the feed. It folds a batch in memory over the
//! rows that the batch touches and writes each of them once; how the log is cut into batches never shows.

mod accounts;
mod daily_totals;
mod entry;
mod statement;
mod timeline;
mod transfers;
mod trial_balance;
mod words;

use std::{panic::AssertUnwindSafe, sync::Arc};

use app::wire::{Envelope, Event, Position};
use async_trait::async_trait;
use futures_util::FutureExt as _;

use super::{
    changes::Changes,
    sql::{DbError, Sql, Tx},
};

pub use accounts::{Accounts, view as account_view};
pub use daily_totals::DailyTotals;
pub use statement::{Statement, view as statement_row};
pub use timeline::{Timeline, view as event_view};
pub use transfers::{TransferRow, Transfers, transfer as transfer_row};
pub use trial_balance::{TrialBalance, sums};

/// An event of the feed, read.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub envelope: Envelope,
    pub event: Event,
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// This event cannot be applied; the ones before it can.
    #[error("{what}")]
    Event { position: Position, what: String },
    #[error("the read database does not take it: {0}")]
    Database(#[from] DbError),
}

/// [`Projection::apply`], whose panic is that of whatever it was given.
pub async fn apply(
    projection: &dyn Projection,
    tx: &mut Tx,
    tables: Tables,
    events: &[&Decoded],
    changes: &mut Changes,
) -> Result<(), ApplyError> {
    let applied = AssertUnwindSafe(projection.apply(tx, tables, events, changes)).catch_unwind().await;
    applied.unwrap_or_else(|_| Err(DbError::Rows("the projection panics".into()).into()))
}

impl ApplyError {
    /// The event cannot be applied, because of `what`.
    pub fn event(decoded: &Decoded, what: impl ToString) -> Self {
        Self::Event { position: decoded.envelope.position, what: what.to_string() }
    }
}

/// Which of a projection's tables are written: those that are read, or the ones that a rebuild fills beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    Live,
    Next,
}

impl Tables {
    /// What stands for `{next}` behind a table's name.
    pub const NEXT: &'static str = "__next";

    /// Statement text with `{next}` behind each table's name filled in.
    pub fn text(self, template: &'static str) -> String {
        template.replace("{next}", if self == Self::Next { Self::NEXT } else { "" })
    }

    /// [`Self::text`], as a statement to be bound.
    pub fn sql<'v>(self, template: &'static str) -> Sql<'v> {
        Sql::new(self.text(template))
    }
}

/// A projection: a name, a version, tables, and a function from events to row changes.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Stays for good: checkpoints and skips go by it.
    fn name(&self) -> &'static str;

    /// Raised whenever `ddl` or `apply` changes: the tables are then rebuilt on the next start.
    fn version(&self) -> u32;

    /// The names of its tables, helpers included.
    fn tables(&self) -> &'static [&'static str];

    /// `CREATE TABLE name (…)` for each of `tables`, nothing else. Indexes are UNIQUE constraints in there, so that
    /// they follow their table when it is renamed.
    fn ddl(&self) -> &'static str;

    /// Applies `events`, which follow on what `tables` show. The same events in any batches leave the same rows.
    async fn apply(
        &self,
        tx: &mut Tx,
        tables: Tables,
        events: &[&Decoded],
        changes: &mut Changes,
    ) -> Result<(), ApplyError>;
}

/// All projections of Daybook.
pub fn all() -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(Accounts),
        Arc::new(Statement),
        Arc::new(Transfers),
        Arc::new(DailyTotals),
        Arc::new(TrialBalance),
        Arc::new(Timeline),
    ]
}
