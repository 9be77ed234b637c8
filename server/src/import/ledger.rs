//! The ledger that rows go into: this process' own, or one that a server keeps.

use std::{sync::Arc, time::Duration};

use app::{
    api::AppError,
    domain::{AccountId, CommandId, SessionId, UserId, derive_uuid},
    ports::{Freshness, QueryPort, Role, StatementFilter, Viewer},
    wire::{Command, Page, Position, Receipt, Seen, StatementRow, Version},
};
use async_trait::async_trait;
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use rustls::crypto::{CryptoProvider, ring};
use serde::{Deserialize, de::DeserializeOwned};

use crate::write::handler::{Handler, Sender};

/// How long one question waits for the views to catch up.
const VIEW_WAIT: Duration = Duration::from_secs(10);

/// Why a command was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// This one is refused, others need not be.
    Refused(String),
    /// Nothing was done; the same command can be sent again after this long.
    Busy(Duration),
    /// No other command would fare better.
    Stop(String),
}

/// The statement cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StatementError(pub String);

#[async_trait]
pub trait Ledger: Send + Sync {
    async fn send(&self, id: CommandId, command: Command) -> Result<Receipt, SendError>;

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
        self.handler.handle(Sender::Operator, id, command, None).await.map_err(|error| match error {
            AppError::Unavailable { retry_after } => SendError::Busy(Duration::from_secs(retry_after.into())),
            AppError::Internal { .. } | AppError::NotSignedIn => SendError::Stop(error.to_string()),
            AppError::IdReused => SendError::Refused(reused()),
            AppError::Rejected { .. }
            | AppError::Invalid { .. }
            | AppError::VersionMismatch { .. }
            | AppError::NotFound
            | AppError::WrongCredentials
            | AppError::TooMany { .. } => SendError::Refused(error.to_string()),
        })
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

fn reused() -> String {
    "it was imported before with other content (or options), or by someone else".to_owned()
}

/// The ledger of a running server, by its HTTP API.
pub struct Http {
    client: reqwest::Client,
    /// Without a slash at the end.
    server: String,
    token: String,
}

/// A problem as the API describes it (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl Http {
    pub fn new(server: &str, token: &str) -> reqwest::Result<Self> {
        // Without a provider there is no client; the program has set one, whoever only uses the library may have not.
        if CryptoProvider::get_default().is_none() && ring::default_provider().install_default().is_err() {
            tracing::debug!("a provider for TLS was installed meanwhile");
        }
        let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).build()?;
        Ok(Self { client, server: server.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }
}

#[async_trait]
impl Ledger for Http {
    async fn send(&self, id: CommandId, command: Command) -> Result<Receipt, SendError> {
        let url = format!("{}/api/v1/commands/{}", self.server, command.name());
        let request = self.client.post(url).bearer_auth(&self.token).header("Idempotency-Key", id.to_string());
        // No answer: it may be done or not, and the same id may be sent again.
        let again = |error: reqwest::Error| {
            tracing::debug!(%error, "no answer");
            SendError::Busy(Duration::from_secs(1))
        };
        let answer = request.json(&fields(&command)).send().await.map_err(again)?;
        if answer.status().is_success() {
            return answer.json().await.map_err(again);
        }
        Err(refusal(answer).await)
    }

    async fn statement(
        &self,
        account: AccountId,
        before: Version,
        limit: u32,
        position: Position,
    ) -> Result<Seen<Page<StatementRow>>, StatementError> {
        let wait = VIEW_WAIT.as_millis();
        let url = format!(
            "{}/api/v1/accounts/{account}/statement?after={before}&limit={limit}&wait_for={position}\
             &wait_ms={wait}",
            self.server
        );
        let broken = |error: reqwest::Error| StatementError(error.to_string());
        let answer = self.client.get(url).bearer_auth(&self.token).send().await.map_err(broken)?;
        if !answer.status().is_success() {
            return Err(StatementError(problem(answer).await.map_or_else(|status| status, |problem| problem.detail)));
        }
        answer.json().await.map_err(broken)
    }
}

/// The body of a command: its fields without its name.
fn fields(command: &Command) -> serde_json::Value {
    match serde_json::to_value(command) {
        Ok(serde_json::Value::Object(named)) => named.into_iter().next().map(|(_, fields)| fields).unwrap_or_default(),
        Ok(_) | Err(_) => serde_json::Value::Null,
    }
}

async fn refusal(answer: Response) -> SendError {
    let status = answer.status();
    let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match (status, problem(answer).await) {
        (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _) => {
            SendError::Busy(Duration::from_secs(wait.unwrap_or(1)))
        }
        (StatusCode::CONFLICT, _) => SendError::Refused(reused()),
        (StatusCode::UNAUTHORIZED, _) => SendError::Stop("the token is not valid (any more)".to_owned()),
        (_, Ok(problem)) if status.is_client_error() => {
            SendError::Refused(format!("{} ({})", problem.detail, problem.code))
        }
        (_, Ok(problem)) => SendError::Stop(problem.detail),
        (_, Err(other)) => SendError::Stop(other),
    }
}

async fn problem(answer: Response) -> Result<Problem, String> {
    let status = answer.status();
    json(answer).await.ok_or_else(|| format!("the server answered {status}"))
}

async fn json<T: DeserializeOwned>(answer: Response) -> Option<T> {
    answer.json().await.ok()
}
