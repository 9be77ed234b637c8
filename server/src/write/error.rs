//! What of the write side's failures gets out: internals stay in the log, under an id that is told.

use std::error::Error;

use app::api::AppError;

use super::writer::{MAX_EVENT_BYTES, SubmitError};

/// Seconds after which to come back when the store does not answer.
const RETRY_AFTER: u32 = 1;

/// What whoever sent the command gets to see.
pub fn to_app(error: SubmitError) -> AppError {
    match error {
        SubmitError::Rejected(rejection) => AppError::Rejected { rejection },
        SubmitError::IdReused => AppError::IdReused,
        SubmitError::VersionMismatch { expected, actual } => AppError::VersionMismatch { expected, actual },
        SubmitError::Busy { retry_after } => {
            let retry_after = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1);
            AppError::Unavailable { retry_after }
        }
        // A lost answer to a commit, too: the same command id can be sent again, and tells whether it was done.
        SubmitError::Unavailable(error) => unavailable(&error),
        SubmitError::TooLarge { bytes } => {
            AppError::invalid("command", format!("the event would be {bytes} bytes, more than {MAX_EVENT_BYTES}"))
        }
        error @ (SubmitError::Corrupt(_) | SubmitError::Internal(_)) => internal(&error),
    }
}

/// An error with all that is behind it: as JSON, a log line has no other place for that.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let behind = std::iter::successors(error.source(), |error| (**error).source());
    behind.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

/// Logged; the other side may try again.
pub fn unavailable(error: &(dyn Error + 'static)) -> AppError {
    tracing::warn!(error = causes(error), "not available");
    AppError::Unavailable { retry_after: RETRY_AFTER }
}

/// Logged under an id, which is all that the other side learns.
pub fn internal(error: &(dyn Error + 'static)) -> AppError {
    let mut random = [0; 8];
    // Without random numbers the id is all zeros: still a word to look for in the log.
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::warn!(%error, "no random numbers to be had");
    }
    let id = format!("{:016x}", u64::from_be_bytes(random));
    tracing::error!(error = causes(error), error_id = id, "internal error");
    AppError::Internal { id }
}
