//! What a browser or an API client gets to see when something is not done.

use serde::{Deserialize, Serialize};
use server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};

use crate::{domain::Rejection, wire::Version};

/// Not done, and why. Never carries a stack, SQL, or anything that the viewer may not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum AppError {
    /// A rule of the ledger refused.
    #[error("{rejection}")]
    Rejected { rejection: Rejection },
    /// The input does not read; `field` names the culprit.
    #[error("{field}: {message}")]
    Invalid { field: String, message: String },
    /// The same command id was used for something else.
    #[error("this command id was already used for another command")]
    IdReused,
    /// `If-Match` does not hold.
    #[error("the account has changed meanwhile: it is at version {actual}, not {expected}")]
    VersionMismatch { expected: Version, actual: Version },
    /// It does not exist, or the viewer may not see it: which of the two is not said.
    #[error("not found")]
    NotFound,
    #[error("please sign in")]
    NotSignedIn,
    #[error("e-mail or password is wrong")]
    WrongCredentials,
    #[error("too many at once, or too often; try again in {retry_after} s")]
    TooMany { retry_after: u32 },
    /// The same request can be sent again: under the same id a command is done once.
    #[error("not available right now, try again in {retry_after} s")]
    Unavailable { retry_after: u32 },
    /// Details are in the server's log under this id.
    #[error("something went wrong here; nothing that was confirmed is lost (error {id})")]
    Internal { id: String },
}

impl AppError {
    /// Of what is not in a view. While that is behind (`stale`) nothing is known of what it does not show yet.
    pub fn absent(stale: bool) -> Self {
        if stale { Self::Unavailable { retry_after: 1 } } else { Self::NotFound }
    }

    pub fn invalid(field: &str, message: impl ToString) -> Self {
        Self::Invalid { field: field.to_owned(), message: message.to_string() }
    }

    /// The stable code, as in the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected { rejection } => rejection.code(),
            Self::Invalid { .. } => "invalid_input",
            Self::IdReused => "command_id_reused",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::NotFound => "not_found",
            Self::NotSignedIn => "not_signed_in",
            Self::WrongCredentials => "wrong_credentials",
            Self::TooMany { .. } => "too_many_requests",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal { .. } => "internal",
        }
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Rejected { .. } => 422,
            Self::Invalid { .. } => 400,
            Self::IdReused => 409,
            Self::VersionMismatch { .. } => 412,
            Self::NotFound => 404,
            Self::NotSignedIn | Self::WrongCredentials => 401,
            Self::TooMany { .. } => 429,
            Self::Unavailable { .. } => 503,
            Self::Internal { .. } => 500,
        }
    }
}

impl From<Rejection> for AppError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected { rejection }
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            // What a library says of it helps nobody: our own pages send whole forms.
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) | ServerFnErrorErr::Deserialization(_) => {
                Self::invalid("form", "a field is missing, or there is one too many; load the page again")
            }
            // The connection or the other end failed: whether it was done is not known, the same id may be sent again.
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Response(_) => Self::Unavailable { retry_after: 1 },
            _ => Self::Internal { id: "form".to_owned() },
        }
    }
}
