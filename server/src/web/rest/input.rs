//! Reads what API clients send, and names the field that does not read.

use std::str::FromStr;

use app::api::AppError;
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{StatusCode, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::de::DeserializeOwned;

use super::{
    super::{AppState, Problem, problem::internal, security::too_large},
    wanted,
};

/// A JSON body, whole, not yet read.
pub struct JsonBody(pub(super) Bytes);

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
    /// Serde would take an array for a struct, field after field.
    pub(super) fn is_object(&self) -> Result<(), AppError> {
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

    pub(super) fn malformed(&self, track: serde_path_to_error::Track, error: &serde_json::Error) -> AppError {
        wanted::malformed(&self.0, &track.path().to_string(), error)
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
