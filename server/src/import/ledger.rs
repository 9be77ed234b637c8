//! The ledger that rows go into: this process' own, or one that a server keeps.

use std::{sync::Arc, time::Duration};

use app::{
    api::AppError,
    domain::{AccountId, CommandId, EventId, Rejection, SessionId, UserId, derive_uuid},
    ports::{Freshness, QueryPort, Role, StatementFilter, Viewer},
    wire::{Command, Envelope, Event, Page, Position, Receipt, ReceiptEvent, Seen, StatementRow, Version},
};
use async_trait::async_trait;

use crate::write::handler::{Handler, Sender};

/// How long one question waits for the views to catch up.
pub(super) const VIEW_WAIT: Duration = Duration::from_secs(10);

/// Why a command was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A rule of the ledger refused this one.
    #[error("{0}")]
    Rejected(Rejection),
    /// The command's id was used for another command, or by someone else.
    #[error("this command id was already used for another command")]
    Reused,
    /// This one is refused, others need not be.
    #[error("{0}")]
    Refused(String),
    /// Nothing was done; the same command can be sent again after this long.
    #[error("too busy, or away")]
    Busy(Duration),
    /// No other command would fare better.
    #[error("{0}")]
    Stop(String),
}

/// The statement cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StatementError(pub String);

#[async_trait]
pub trait Ledger: Send + Sync {
    async fn send(&self, id: CommandId, command: Command) -> Result<Receipt, SendError>;

    /// What the command `id` led to in `account`, if that can be seen from here; the receipt is marked `repeated`.
    async fn stored(&self, account: AccountId, id: CommandId) -> Result<Option<(Receipt, Event)>, SendError>;

    /// Entries of an account's statement before the version `before`, newest first, up to `limit`, and what the view
    /// has seen: `position` if that comes in time.
    async fn statement(
        &self,
        account: AccountId,
        before: Version,
        limit: u32,
        position: Position,
    ) -> Result<Seen<Page<StatementRow>>, StatementError>;
}

/// The ledger in this process; the operator imports.
pub struct Direct {
    pub handler: Arc<Handler>,
    pub queries: Arc<dyn QueryPort>,
}

#[async_trait]
impl Ledger for Direct {
    async fn send(&self, id: CommandId, command: Command) -> Result<Receipt, SendError> {
        self.handler.handle(Sender::Operator, id, command, None).await.map_err(refused)
    }

    async fn stored(&self, account: AccountId, id: CommandId) -> Result<Option<(Receipt, Event)>, SendError> {
        let Some((envelope, event)) = self.handler.first_event_of(id).await.map_err(refused)? else { return Ok(None) };
        let Envelope { event_id, stream, version, position, event_type, .. } = envelope;
        let found = Stored { event_id, event_type, version, position };
        Ok((stream == account.into()).then(|| (found.receipt(account, id), event)))
    }

    async fn statement(
        &self,
        account: AccountId,
        before: Version,
        limit: u32,
        position: Position,
    ) -> Result<Seen<Page<StatementRow>>, StatementError> {
        let filter = StatementFilter { after: Some(before.to_string()), limit, ..StatementFilter::default() };
        let fresh = Freshness { position, wait: VIEW_WAIT };
        let answer = self.queries.statement(&operator(), account, filter, fresh).await;
        answer.map_err(|error| StatementError(error.to_string()))
    }
}

/// Whoever runs the program may see everything.
fn operator() -> Viewer {
    let id = derive_uuid("operator", &[]);
    Viewer {
        user_id: UserId(id),
        session_id: SessionId(id),
        name: "operator".to_owned(),
        roles: vec![Role::Admin],
        expires_at: i64::MAX,
    }
}

fn refused(error: AppError) -> SendError {
    match error {
        AppError::Unavailable { retry_after } => SendError::Busy(Duration::from_secs(retry_after.into())),
        AppError::Internal { .. } | AppError::NotSignedIn => SendError::Stop(error.to_string()),
        AppError::IdReused => SendError::Reused,
        AppError::Rejected { rejection } => SendError::Rejected(rejection),
        AppError::Invalid { .. }
        | AppError::VersionMismatch { .. }
        | AppError::NotFound
        | AppError::WrongCredentials
        | AppError::TooMany { .. } => SendError::Refused(error.to_string()),
    }
}

/// Where an event is that was stored before.
pub(super) struct Stored {
    pub event_id: EventId,
    pub event_type: String,
    pub version: Version,
    pub position: Position,
}

impl Stored {
    /// What its command would have been answered.
    pub fn receipt(self, account: AccountId, command_id: CommandId) -> Receipt {
        let Self { event_id, event_type, version, position } = self;
        let events = vec![ReceiptEvent { event_id, event_type, version, position }];
        Receipt { command_id, stream: account.into(), version, position, events, repeated: true }
    }
}
