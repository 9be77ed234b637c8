//! How large and how long a request may be.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use http_body_util::Limited;

use super::super::{Problem, problem::new_id};

const COMMANDS: &str = "/api/v1/commands/";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

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

/// The id of a command, which is given one here if it came without.
pub(super) fn command_id(request: &mut Request) -> Option<String> {
    if request.method() != Method::POST || !request.uri().path().starts_with(COMMANDS) {
        return None;
    }
    let made = HeaderValue::try_from(new_id().to_string()).ok()?;
    let id = request.headers_mut().entry(IDEMPOTENCY_KEY).or_insert(made);
    id.to_str().ok().map(str::to_owned)
}

/// Given up: it may have been done all the same.
pub(super) fn timed_out(command: Option<&str>) -> Problem {
    let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", "this took too long");
    match command {
        Some(id) => problem.of_command(id),
        None => problem,
    }
}
