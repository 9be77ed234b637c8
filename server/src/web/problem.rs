//! Errors as RFC 9457 problem details: a stable `code`, the numbers that show what was refused, never a stack or SQL.

use app::api::AppError;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

/// What an API client gets instead of an answer.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub detail: String,
    /// What else the problem says, such as the numbers of a refusal.
    pub members: Map<String, Value>,
    /// Seconds.
    pub retry_after: Option<u32>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), members: Map::new(), retry_after: None }
    }

    /// Says under which id a command that may have been done can be sent again.
    #[must_use]
    pub fn of_command(mut self, id: &str) -> Self {
        let told = self.detail;
        self.detail =
            format!("{told}: with `Idempotency-Key: {id}` the command is done once, even if it has been done already");
        self.members.insert("command_id".to_owned(), id.into());
        self
    }
}

/// Something failed that the client can do nothing about: the details go to the log under an id, the id to the client.
pub fn internal(error: &dyn std::fmt::Display) -> AppError {
    let id = new_id().to_string();
    tracing::error!(error_id = id, %error, "a request failed");
    AppError::Internal { id }
}

/// A new UUID of version 7: ordered by time, the rest random.
pub fn new_id() -> uuid::Uuid {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the operating system has randomness");
    let millis = u64::try_from(super::request::now() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Self::new(status, error.code(), error.to_string());
        let mut member = |name: &str, value: Value| problem.members.insert(name.to_owned(), value);
        match error {
            AppError::Rejected { rejection } => {
                if let Ok(Value::Object(numbers)) = serde_json::to_value(&rejection) {
                    problem.members = numbers;
                }
            }
            AppError::Invalid { field, .. } => {
                member("field", field.into());
            }
            AppError::VersionMismatch { expected, actual } => {
                member("expected", expected.0.into());
                member("actual", actual.0.into());
            }
            AppError::TooMany { retry_after } | AppError::Unavailable { retry_after } => {
                problem.retry_after = Some(retry_after);
            }
            AppError::Internal { id } => {
                member("error_id", id.into());
            }
            AppError::IdReused | AppError::NotFound | AppError::NotSignedIn | AppError::WrongCredentials => {}
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert("code".to_owned(), self.code.into());
        body.insert("status".to_owned(), self.status.as_u16().into());
        body.insert("title".to_owned(), self.status.canonical_reason().unwrap_or("Error").into());
        body.insert("detail".to_owned(), self.detail.into());
        let mut response = (self.status, Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
