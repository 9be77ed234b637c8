//! Says what was wrong with an input, and what would be right: never in the words of a library.

use app::api::AppError;
use serde_json::Value;

/// As much of a text is quoted.
const QUOTED: usize = 40;

const WHOLE: &str = "a whole number of minor units is expected, like 12345";
const UUID: &str = "a UUID is expected, like 0190f5fe-7c00-7a00-8000-000000000001";
const DAY: &str = "a day is expected, like 2026-01-31";
const CURRENCY: &str = "a currency of ISO 4217 is expected, like CZK";
const POSITION: &str = "a position of the log is expected, a whole number like 17";
const STREAM: &str = "a stream is expected, like account-0190f5fe-7c00-7a00-8000-000000000001";
const TEXT: &str = "a text is expected";

/// What belongs into this field of a body.
fn in_body(field: &str) -> &'static str {
    match field {
        "amount" | "overdraft_limit" | "limit" => WHOLE,
        "account_id" | "transfer_id" | "event_id" | "owner" | "from" | "to" => UUID,
        "currency" => CURRENCY,
        "effective_on" => DAY,
        "position" => POSITION,
        _ => TEXT,
    }
}

/// What belongs into this parameter, header, or part of a path.
fn outside(name: &str) -> &'static str {
    match name {
        "min_balance" | "max_balance" => WHOLE,
        "limit" => "a whole number from 1 to 500 is expected",
        "wait_for" | "after" => POSITION,
        "wait_ms" => "a whole number of milliseconds is expected, like 2000",
        "stream" => STREAM,
        "If-Match" => "a version of the stream is expected, a whole number like 3",
        "owner" | "event" | "id" | "Idempotency-Key" => UUID,
        _ => TEXT,
    }
}

/// A value in a few words.
fn said(value: &Value) -> String {
    match value {
        Value::Null => "this is null".to_owned(),
        Value::Bool(value) => format!("this is {value}"),
        Value::Number(number) => format!("this is {number}"),
        Value::String(text) => quoted(text),
        Value::Array(_) => "this is a list".to_owned(),
        Value::Object(_) => "this is an object".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let start: String = text.chars().take(QUOTED).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("this is the text {start:?}{more}")
}

/// The parameter, header or part of a path `name` does not read.
pub fn unreadable(name: &str, text: &str) -> AppError {
    AppError::invalid(name, format!("{}; {}", outside(name), quoted(text)))
}

/// Why `body` does not read as what the API takes there; `path` is the field that serde was at.
pub fn malformed(body: &[u8], path: &str, error: &serde_json::Error) -> AppError {
    let Ok(whole) = serde_json::from_slice::<Value>(body) else { return no_json(error) };
    let message = error.to_string();
    // Such a field has no path of its own: serde names it in the message.
    let named = |start: &str| Some(message.strip_prefix(start)?.split('`').next()?.to_owned());
    if let Some(field) = named("missing field `") {
        return AppError::invalid(&field, format!("this field is needed: {}", in_body(&field)));
    }
    if let Some(field) = named("unknown field `") {
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        return AppError::invalid(&field, format!("there is no such field here, only {}", known.join(", ")));
    }
    if let Some(field) = named("duplicate field `") {
        return AppError::invalid(&field, "this field is given twice");
    }
    match whole.get(path) {
        Some(value) => AppError::invalid(path, format!("{}; {}", in_body(path), said(value))),
        None => AppError::invalid("body", "this is not what belongs here"),
    }
}

/// The body is not JSON at all, or goes on behind its end.
fn no_json(error: &serde_json::Error) -> AppError {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return AppError::invalid("body", "this JSON ends before it is complete");
    }
    AppError::invalid("body", format!("this is not JSON: it cannot be read at line {line}, column {column}"))
}
