//! A form that is refused without JavaScript comes back with what was typed: the address that the browser is sent back to
//! carries the fields, and the page fills them in again.

use app::links::escape;
use axum::{
    Form,
    body::{Body, Bytes},
    extract::{FromRequest as _, Request},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

/// Never in an address.
const SECRET: [&str; 3] = ["password", "old", "new"];
/// What the page makes anew by itself.
const MADE: [&str; 6] = ["command_id", "account_id", "from", "currency", "next", "event_id"];
/// Longer addresses are refused by some on the way: then it goes back empty.
const LONGEST: usize = 4000;

/// The fields of a form as it was posted.
pub(super) async fn fields(headers: &HeaderMap, body: Bytes) -> Vec<(String, String)> {
    let mut request = Request::post("/");
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let Ok(request) = request.body(Body::from(body)) else { return Vec::new() };
    Form::from_request(request, &()).await.map(|Form(fields)| fields).unwrap_or_default()
}

/// Adds the fields to the address that a refused form is sent back to; other answers stay as they are.
pub(super) fn refill(answer: &mut Response, fields: &[(String, String)]) {
    let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let filled = location.and_then(|location| with_fields(location, fields));
    if let Some(filled) = filled.and_then(|filled| HeaderValue::try_from(filled).ok()) {
        answer.headers_mut().insert(header::LOCATION, filled);
    }
}

/// `None`: not a refusal, or too long.
fn with_fields(location: &str, fields: &[(String, String)]) -> Option<String> {
    let (path, query) = location.split_once('?')?;
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    };
    let mut pairs: Vec<(String, String)> = query.split('&').map(pair).collect();
    if !pairs.iter().any(|(name, _)| name == "__err") {
        return None;
    }
    let shown = fields.iter().filter(|(name, _)| ![&SECRET[..], &MADE[..]].concat().contains(&name.as_str()));
    pairs.extend(shown.map(|(name, value)| (escape(name), escape(value))));
    // The address that it came from may be that of an earlier refusal: the last word on each field counts.
    let last =
        |(index, (name, _)): (usize, &(String, String))| pairs[index + 1..].iter().all(|(later, _)| later != name);
    let kept: Vec<String> = pairs
        .iter()
        .enumerate()
        .filter(|found| last(*found))
        .map(|(_, (name, value))| format!("{name}={value}"))
        .collect();
    let address = format!("{path}?{}", kept.join("&"));
    (address.len() <= LONGEST).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_was_typed_comes_back_once_and_secrets_never() {
        let fields =
            typed(&[("command_id", "1"), ("amount", "1 000,50"), ("password", "hunter2"), ("description", "a&b")]);
        let back = with_fields("http://x/accounts/1/deposit?amount=5&__err=old&__path=p&__err=new", &fields);
        let expected = "http://x/accounts/1/deposit?__path=p&__err=new&amount=1%20000%2C50&description=a%26b";
        assert_eq!(back.as_deref(), Some(expected));
    }

    #[test]
    fn only_refusals_are_refilled_and_only_as_long_as_addresses_may_be() {
        assert_eq!(with_fields("/accounts/1", &typed(&[("amount", "1")])), None);
        assert_eq!(with_fields("/accounts/1?by=date", &typed(&[("amount", "1")])), None);
        assert_eq!(with_fields("/a?__err=x", &typed(&[("reason", &"é".repeat(2000))])), None);
    }
}
