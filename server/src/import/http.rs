//! The ledger that a server keeps, by its HTTP API.

use std::time::{Duration, Instant};

use app::{
    domain::{AccountId, CommandId, EventId, Rejection, UserId},
    ports::Role,
    wire::{Command, Event, Page, Position, Receipt, Seen, StatementRow, StreamId, Version, decode},
};
use async_trait::async_trait;
use reqwest::{Response, StatusCode, Url, header::RETRY_AFTER};
use rustls::crypto::{CryptoProvider, ring};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::{Mutex, OnceCell};

use super::ledger::{Ledger, SendError, StatementError, Stored, VIEW_WAIT};
use crate::token::TOKEN_LIFETIME;

/// How long a token is used before it is renewed: a third of its life.
const RENEW_AFTER: Duration = Duration::from_micros(TOKEN_LIFETIME.unsigned_abs() / 3);

/// The ledger of a running server, by its HTTP API.
pub struct Http {
    client: reqwest::Client,
    /// Without a slash at the end.
    server: String,
    token: Mutex<Token>,
    renew_after: Duration,
    head: OnceCell<Position>,
}

struct Token {
    text: String,
    renew_at: Instant,
    holder: Option<Holder>,
}

/// Whom a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub user_id: UserId,
    pub roles: Vec<Role>,
}

/// The part of a renewed session that is wanted here.
#[derive(Deserialize)]
struct Renewed {
    token: String,
    user_id: UserId,
    roles: Vec<Role>,
}

/// An event as the API shows it.
#[derive(Deserialize)]
struct EventEnvelope {
    event_id: EventId,
    version: Version,
    position: Position,
    #[serde(rename = "type")]
    event_type: String,
    schema: u32,
    payload: Box<RawValue>,
}

/// The part of the server's status that is wanted here.
#[derive(Deserialize)]
struct Status {
    head: Option<Position>,
}

/// Someone whom the server knows.
#[derive(Deserialize)]
struct Person {
    id: UserId,
}

/// A problem as the API describes it (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    /// The numbers of a refusal.
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

impl Http {
    pub fn new(server: &str, token: &str) -> reqwest::Result<Self> {
        Self::renewing_after(server, token, RENEW_AFTER)
    }

    /// [`Self::new`], with a token of its own age.
    pub fn renewing_after(server: &str, token: &str, renew_after: Duration) -> reqwest::Result<Self> {
        // Without a provider there is no client; the program has set one, whoever only uses the library may have not.
        if CryptoProvider::get_default().is_none() && ring::default_provider().install_default().is_err() {
            tracing::debug!("a provider for TLS was installed meanwhile");
        }
        let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).build()?;
        // How old this one is, nobody says: it is renewed at once.
        let token = Mutex::new(Token { text: token.to_owned(), renew_at: Instant::now(), holder: None });
        Ok(Self { client, server: server.trim_end_matches('/').to_owned(), token, renew_after, head: OnceCell::new() })
    }

    /// Whether a Daybook is there at all.
    pub async fn greet(&self) -> reqwest::Result<()> {
        self.client.get(format!("{}/healthz", self.server)).send().await?.error_for_status()?;
        Ok(())
    }

    /// A token that is good for a while: a session lives as long as it is in use, up to its twelve hours.
    async fn token(&self) -> Result<String, SendError> {
        let mut token = self.token.lock().await;
        if Instant::now() < token.renew_at {
            return Ok(token.text.clone());
        }
        let url = format!("{}/api/v1/session/renew", self.server);
        let renewed = async {
            let answer = self.client.post(url).bearer_auth(&token.text).send().await.map_err(no_answer)?;
            if answer.status().is_success() {
                answer.json::<Renewed>().await.map_err(no_answer)
            } else {
                Err(refusal(answer).await)
            }
        };
        *token = match renewed.await {
            Ok(Renewed { token: text, user_id, roles }) => {
                Token { text, renew_at: Instant::now() + self.renew_after, holder: Some(Holder { user_id, roles }) }
            }
            Err(stop @ SendError::Stop(_)) => return Err(stop),
            // The one at hand will do until it can be renewed.
            Err(SendError::Busy(_) | SendError::Rejected(_) | SendError::Reused | SendError::Refused(_)) => {
                let renew_at = Instant::now() + Duration::from_secs(1);
                Token { text: token.text.clone(), renew_at, holder: token.holder.clone() }
            }
        };
        Ok(token.text.clone())
    }

    /// Whom the token is for.
    pub async fn holder(&self) -> Result<Holder, SendError> {
        self.token().await?;
        let holder = self.token.lock().await.holder.clone();
        holder.ok_or_else(|| SendError::Stop("the server does not say whom the token is for".to_owned()))
    }

    /// The id of the person with this e-mail, where the token is an admin's and there is someone.
    pub async fn person(&self, email: &str) -> Result<Option<UserId>, SendError> {
        let found: Option<Page<Person>> = self.get("/api/v1/users", &[("email", email)]).await?;
        Ok(found.and_then(|page| page.items.into_iter().next()).map(|person| person.id))
    }

    /// `None` where there is nothing, or nothing to be seen with this token.
    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<T>, SendError> {
        let url = Url::parse_with_params(&format!("{}{path}", self.server), query);
        let url = url.map_err(|error| SendError::Stop(format!("{}: {error}", self.server)))?;
        let request = self.client.get(url).bearer_auth(self.token().await?);
        let answer = request.send().await.map_err(no_answer)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => answer.json().await.map(Some).map_err(no_answer),
            _ => Err(refusal(answer).await),
        }
    }

    /// Where the log of the server ended when an event was first looked for: all that was there before this import.
    async fn head(&self) -> Result<Position, SendError> {
        let head = self.head.get_or_try_init(async || {
            let status: Option<Status> = self.get("/api/v1/status", &[]).await?;
            Ok::<_, SendError>(status.and_then(|status| status.head).unwrap_or_default())
        });
        head.await.copied()
    }
}

/// No answer: it may be done or not, and the same may be sent again.
fn no_answer(error: reqwest::Error) -> SendError {
    tracing::debug!(%error, "no answer");
    SendError::Busy(Duration::from_secs(1))
}

#[async_trait]
impl Ledger for Http {
    async fn send(&self, id: CommandId, command: Command) -> Result<Receipt, SendError> {
        let url = format!("{}/api/v1/commands/{}", self.server, command.name());
        let token = self.token().await?;
        let request = self.client.post(url).bearer_auth(token).header("Idempotency-Key", id.to_string());
        let answer = request.json(&fields(&command)).send().await.map_err(no_answer)?;
        if answer.status().is_success() {
            return answer.json().await.map_err(no_answer);
        }
        Err(refusal(answer).await)
    }

    async fn stored(&self, account: AccountId, id: CommandId) -> Result<Option<(Receipt, Event)>, SendError> {
        let (event_id, head, wait) = (EventId::derive(id, 0), self.head().await?, VIEW_WAIT.as_millis());
        let query = [("event", event_id.to_string()), ("wait_for", head.to_string()), ("wait_ms", wait.to_string())];
        let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
        let path = format!("/api/v1/streams/{}", StreamId::from(account));
        let found: Option<Page<EventEnvelope>> = self.get(&path, &query).await?;
        let Some(found) = found.and_then(|page| page.items.into_iter().next()) else { return Ok(None) };
        let EventEnvelope { event_id, version, position, event_type, schema, payload } = found;
        let event = decode(&event_type, schema, payload.get().as_bytes());
        let event = event.map_err(|error| SendError::Stop(error.to_string()))?;
        Ok(Some((Stored { event_id, event_type, version, position }.receipt(account, id), event)))
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
        let token = self.token().await.map_err(|error| match error {
            SendError::Stop(what) | SendError::Refused(what) => StatementError(what),
            SendError::Busy(_) | SendError::Rejected(_) | SendError::Reused => {
                StatementError("the token cannot be renewed".to_owned())
            }
        })?;
        let answer = self.client.get(url).bearer_auth(token).send().await.map_err(broken)?;
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
        (StatusCode::CONFLICT, _) => SendError::Reused,
        (StatusCode::UNAUTHORIZED, _) => SendError::Stop("the token is not valid (any more)".to_owned()),
        (_, Ok(problem)) if status.is_client_error() => match problem.rejection() {
            Some(rejection) => SendError::Rejected(rejection),
            None => SendError::Refused(format!("{} ({})", problem.detail, problem.code)),
        },
        (_, Ok(problem)) => SendError::Stop(problem.detail),
        (_, Err(other)) => SendError::Stop(other),
    }
}

impl Problem {
    /// The rule that refused, where this is a rule that we know.
    fn rejection(&self) -> Option<Rejection> {
        let mut members = self.more.clone();
        members.insert("code".to_owned(), self.code.clone().into());
        serde_json::from_value(members.into()).ok()
    }
}

async fn problem(answer: Response) -> Result<Problem, String> {
    let status = answer.status();
    json(answer).await.ok_or_else(|| format!("the server answered {status}"))
}

async fn json<T: DeserializeOwned>(answer: Response) -> Option<T> {
    answer.json().await.ok()
}
