//! What a live stream carries: rows of views, by query.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{AccountId, IdError, TransferId};

use super::{Json, Position, StreamId};

/// What a page can ask to be kept up to date about. Written `statement:<account id>`; in a URL `?q=…&q=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LiveQuery {
    /// [`super::AccountView`] of all accounts that the viewer sees.
    Accounts,
    /// [`super::Totals`] of all accounts that the viewer sees: one row.
    Totals,
    /// [`super::AccountView`] of one account.
    Account(AccountId),
    /// [`super::StatementRow`]s of one account.
    Statement(AccountId),
    /// [`super::DayBalances`] of one account: one row.
    Days(AccountId),
    /// [`super::StatementRow`]s of all accounts that the viewer sees: the newest.
    Movements,
    /// [`super::TransferView`]s that the viewer sees.
    Transfers,
    /// One [`super::TransferView`].
    Transfer(TransferId),
    /// [`super::EventView`]s of all events that the viewer sees.
    Events,
    /// [`super::EventView`]s of one stream.
    Stream(StreamId),
    /// [`super::TrialBalanceLine`]s; admins only.
    TrialBalance,
}

impl fmt::Display for LiveQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accounts => f.write_str("accounts"),
            Self::Totals => f.write_str("totals"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Statement(id) => write!(f, "statement:{id}"),
            Self::Days(id) => write!(f, "days:{id}"),
            Self::Movements => f.write_str("movements"),
            Self::Transfers => f.write_str("transfers"),
            Self::Transfer(id) => write!(f, "transfer:{id}"),
            Self::Events => f.write_str("events"),
            Self::Stream(id) => write!(f, "stream:{id}"),
            Self::TrialBalance => f.write_str("trial-balance"),
        }
    }
}

impl FromStr for LiveQuery {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("accounts", "") => Ok(Self::Accounts),
            ("totals", "") => Ok(Self::Totals),
            ("movements", "") => Ok(Self::Movements),
            ("transfers", "") => Ok(Self::Transfers),
            ("events", "") => Ok(Self::Events),
            ("trial-balance", "") => Ok(Self::TrialBalance),
            ("account", id) => id.parse().map(Self::Account),
            ("statement", id) => id.parse().map(Self::Statement),
            ("days", id) => id.parse().map(Self::Days),
            ("transfer", id) => id.parse().map(Self::Transfer),
            ("stream", id) => id.parse().map(Self::Stream),
            _ => Err(IdError(text.to_owned())),
        }
    }
}

/// One message of a live stream (SSE event `rows`): whole rows, each newer than what was shown, oldest change first.
///
/// A row replaces the shown row with its key if its position is not smaller. With `reset`, the rows are all there is
/// to show (as a fresh page would) and replace everything.
///
/// The other SSE events: `position` (`data` is a position: every query of the stream is shown up to here), `behind`
/// (`data` is how far this node has come, which is not as far as the reader: it sends no rows of what is behind), and
/// `end` (`data` is `signed_out`, `expired` or `shutting_down`). An event's `id` is the position to resume from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rows {
    pub query: String,
    /// What the view behind this query has seen: so has whoever shows the rows.
    pub position: Position,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// A JSON array of the query's views.
    pub rows: Box<RawValue>,
}

/// [`Rows`] as the browser reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivedRows<'a> {
    pub query: String,
    pub position: Position,
    pub reset: bool,
    pub rows: Json<'a>,
}

impl<'a> ArrivedRows<'a> {
    pub fn read(text: &'a str) -> Option<Self> {
        let json = Json::parse(text)?;
        let reset: Option<bool> = json.field("reset")?;
        let (query, position) = (json.field("query")?, json.field("position")?);
        Some(Self { query, position, reset: reset.unwrap_or(false), rows: json.get("rows")? })
    }
}
