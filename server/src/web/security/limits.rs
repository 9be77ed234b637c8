//! How large and how long a request may be.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::Limited;

use super::super::Problem;

/// The body, cut off at `limit` bytes; one that says beforehand that it is longer is not read at all.
pub(super) fn body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Body, Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    Ok(Body::new(Limited::new(body, limit)))
}

pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("a request's body is at most {limit} bytes"))
}

/// Given up: it may have been done all the same.
pub(super) fn timed_out() -> Problem {
    let detail = "this took too long; whether it was done is not known, the same Idempotency-Key can be sent again";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", detail)
}
