//! Reads what API clients send, and names the field that does not read.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use app::{
    api::AppError,
    ports::Freshness,
    wire::{Command, Position},
};
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::de::DeserializeOwned;

use super::{
    super::{AppState, Problem, problem::internal, security::too_large},
    wanted,
};

/// Waits at most this long for a position to become visible.
const WAIT_MAX: u64 = 30_000;
const WAIT_DEFAULT: u64 = 5_000;
const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 500;

/// A JSON body, whole, not yet read.
pub struct JsonBody(Bytes);

impl FromRequest<AppState> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "send JSON, and say so: Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        collect(body, state.options.max_body).await.map(Self)
    }
}

/// A body of at most `limit` bytes, whole.
pub async fn collect(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match body.collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if is_too_long(&error) => Err(too_large(limit)),
        Err(_) => Err(AppError::invalid("body", "it did not arrive whole").into()),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl JsonBody {
    /// The command `name`; `None` if people have no such command.
    pub fn command(&self, name: &str) -> Option<Result<Command, AppError>> {
        if let Err(error) = self.is_object() {
            return Some(Err(error));
        }
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let mut track = serde_path_to_error::Track::new();
        let read = Command::read(name, serde_path_to_error::Deserializer::new(&mut json, &mut track))?;
        Some(read.and_then(|command| json.end().map(|()| command)).map_err(|error| self.malformed(track, &error)))
    }

    /// Serde would take an array for a struct, field after field.
    fn is_object(&self) -> Result<(), AppError> {
        match self.0.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Ok(()),
            None => Err(AppError::invalid(
                "body",
                "a JSON object is expected, like {\"name\": \"Everyday\"}; this is empty",
            )),
            Some(_) => Err(AppError::invalid("body", "a JSON object is expected, like {\"name\": \"Everyday\"}")),
        }
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T, AppError> {
        self.is_object()?;
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let mut track = serde_path_to_error::Track::new();
        let read = T::deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
        read.and_then(|value| json.end().map(|()| value)).map_err(|error| self.malformed(track, &error))
    }

    fn malformed(&self, track: serde_path_to_error::Track, error: &serde_json::Error) -> AppError {
        wanted::malformed(&self.0, &track.path().to_string(), error)
    }
}

/// A header that has to be readable if it is there.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AppError> {
    let mut values = headers.get_all(name).iter();
    let value =
        values.next().map(|value| value.to_str().map_err(|_| AppError::invalid(name, "this header is not plain text")));
    if values.next().is_some() {
        return Err(AppError::invalid(name, "this header is given twice"));
    }
    Ok(value.transpose()?.map(|text| text.trim().trim_matches('"')))
}

/// The query string's parameters, taken one by one; what nobody took is refused at the end.
pub struct Params(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| AppError::invalid("query", "parameters are expected as name=value, joined by &"))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if params.insert(name.clone(), value).is_some() {
                return Err(AppError::invalid(&name, "this parameter is given twice").into());
            }
        }
        Ok(Self(params))
    }
}

impl Params {
    /// An empty parameter is an absent one, as forms send it.
    pub fn take<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, AppError> {
        let value = self.0.remove(name).filter(|value| !value.is_empty());
        value.map(|value| value.parse().map_err(|_| wanted::unreadable(name, &value))).transpose()
    }

    /// `limit`, 1 to 500.
    pub fn limit(&mut self) -> Result<u32, AppError> {
        let limit = self.take("limit")?.unwrap_or(LIMIT_DEFAULT);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(limit);
        }
        Err(wanted::unreadable("limit", &limit.to_string()))
    }

    /// `wait_for` and `wait_ms` (R5).
    pub fn freshness(&mut self) -> Result<Freshness, AppError> {
        let position: Option<Position> = self.take("wait_for")?;
        let millis: Option<u64> = self.take("wait_ms")?;
        let wait = Duration::from_millis(millis.unwrap_or(WAIT_DEFAULT).min(WAIT_MAX));
        Ok(position.map_or_else(Freshness::default, |position| Freshness { position, wait }))
    }

    pub fn finish(self) -> Result<(), AppError> {
        match self.0.into_keys().next() {
            Some(name) => Err(AppError::invalid(&name, "there is no such parameter here")),
            None => Ok(()),
        }
    }
}

/// The one part of a path that differs.
pub struct Segment<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| AppError::invalid("path", "this is not text in UTF-8"))?;
        let (name, text) = params.iter().next().ok_or_else(|| internal(&"a route without a part that differs"))?;
        text.parse().map(Self).map_err(|_| wanted::unreadable(name, text).into())
    }
}
