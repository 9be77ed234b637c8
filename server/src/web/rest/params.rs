//! Reads a query string, and names the parameter that does not read.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use app::{api::AppError, ports::Freshness, wire::Position};
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};

use super::{super::Problem, wanted};

/// Waits at most this long for a position to become visible.
const WAIT_MAX: u64 = 30_000;
const WAIT_DEFAULT: u64 = 5_000;
const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 500;

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
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(AppError::invalid(name, "no text here holds a NUL character"));
        }
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
