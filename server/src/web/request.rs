//! Who asks, from where, in which language: read once at the edge from each request, the same for every handler.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{SystemTime, UNIX_EPOCH},
};

use app::{
    api::AppError,
    cookies,
    locale::Locale,
    ports::{self, Theme, Viewer},
    wire::Position,
};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{AppState, Problem, network::client_address};

/// The reader's choice of light or dark, made in the browser.
const THEME: &str = "daybook_theme";

/// How a request showed who it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Bearer,
    Cookie,
    Nothing,
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Reads a request's head. An `Authorization` header counts alone, even if what it holds is not valid.
pub fn identify(state: &AppState, parts: &Parts) -> (ports::Request, Via) {
    let headers = &parts.headers;
    let policy = state.options.cookies();
    let (token, via) = match (headers.get(header::AUTHORIZATION), cookie(headers, policy.session_name())) {
        (Some(value), _) => (value.to_str().ok().and_then(bearer), Via::Bearer),
        (None, Some(token)) => (Some(token), Via::Cookie),
        (None, None) => (None, Via::Nothing),
    };
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let languages = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let request = ports::Request {
        viewer: token.and_then(|token| state.tokens.check(token)),
        client: client_address(peer, headers, &state.options.trusted_proxies),
        locale: Locale::negotiate(languages.unwrap_or_default()),
        seen: cookie(headers, cookies::SEEN).and_then(|text| text.parse().ok()).unwrap_or(Position(0)),
        theme: cookie(headers, THEME).and_then(theme),
        insecure: state.options.insecure(),
        now: now(),
        nonce: nonce(),
        cookies: policy,
    };
    (request, via)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn theme(name: &str) -> Option<Theme> {
    match name {
        "light" => Some(Theme::Light),
        "dark" => Some(Theme::Dark),
        _ => None,
    }
}

/// The value of a cookie; empty ones are none.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name && !value.is_empty()).then_some(value))
}

/// 128 bits that nobody can guess.
fn nonce() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is known of the request: see [`ports::Request`].
pub struct Caller(pub ports::Request);

/// Someone with a valid session; everyone else gets 401.
pub struct SignedIn(pub Viewer);

/// An admin; to other people there is nothing here.
pub struct Admin(pub Viewer);

fn of(parts: &Parts) -> Result<&ports::Request, AppError> {
    let request = parts.extensions.get::<ports::Request>();
    request.ok_or_else(|| super::problem::internal(&"a route outside the edge that reads requests"))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(of(parts)?.clone()))
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(of(parts)?.viewer.clone().ok_or(AppError::NotSignedIn)?))
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SignedIn(viewer) = SignedIn::from_request_parts(parts, state).await?;
        if viewer.is_admin() { Ok(Self(viewer)) } else { Err(AppError::NotFound.into()) }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers: HeaderMap =
            [(header::COOKIE, HeaderValue::from_static("xdaybook=1; daybook_seen=40;daybook=a=b"))]
                .into_iter()
                .collect();
        assert_eq!(cookie(&headers, "daybook"), Some("a=b"));
        assert_eq!(cookie(&headers, "daybook_seen"), Some("40"));
        assert_eq!(cookie(&headers, "book"), None);
    }
}
