//! The JSON API under `/api/v1`: thin handlers over the ports.
//!
//! Amounts are integers in minor units, times are microseconds since 1970, ids are UUIDs.

#[cfg(feature = "query")]
pub mod accounts;
#[cfg(feature = "command")]
pub mod commands;
#[cfg(feature = "query")]
pub mod events;
mod input;
#[cfg(feature = "query")]
mod params;
pub mod session;
pub mod status;
#[cfg(feature = "query")]
pub mod users;
mod wanted;

use std::sync::Arc;

use app::{
    api::AppError,
    ports::{QueryPort, SessionPort},
};
use axum::{
    Json,
    routing::{MethodRouter, get, post},
};

#[cfg(feature = "command")]
pub(super) use input::collect;

use super::{AppState, Problem};

/// What a handler gives.
pub type Answer<T> = Result<Json<T>, Problem>;

/// One route of the API: method, path, handler.
pub type Route = (&'static str, &'static str, MethodRouter<AppState>);

/// Every route under `/api/v1` that this build has. The OpenAPI description is checked against this list.
pub fn routes() -> Vec<Route> {
    let mut routes = vec![("get", "/api/v1/status", get(status::status))];
    #[cfg(feature = "command")]
    routes.extend([
        ("post", "/api/v1/session", post(session::sign_in)),
        ("delete", "/api/v1/session", axum::routing::delete(session::sign_out)),
        ("post", "/api/v1/session/renew", post(session::renew)),
        ("get", "/api/v1/session/renew", get(session::keep)),
        ("post", "/api/v1/commands/{command}", post(commands::send)),
    ]);
    #[cfg(feature = "query")]
    routes.extend([
        ("get", "/api/v1/accounts", get(accounts::accounts)),
        ("get", "/api/v1/accounts/{id}", get(accounts::account)),
        ("get", "/api/v1/accounts/{id}/statement", get(accounts::statement)),
        ("get", "/api/v1/accounts/{id}/transfers", get(accounts::transfers)),
        ("get", "/api/v1/transfers/{id}", get(accounts::transfer)),
        ("get", "/api/v1/trial-balance", get(accounts::trial_balance)),
        ("get", "/api/v1/events", get(events::events)),
        ("get", "/api/v1/streams/{stream}", get(events::stream)),
        ("get", "/api/v1/users", get(users::users)),
        ("post", "/api/v1/projections/{name}/retry", post(status::retry)),
    ]);
    routes
}

// A process without that side has no such routes: to its clients they do not exist.

#[cfg(feature = "command")]
fn commands(state: &AppState) -> Result<&Arc<dyn app::ports::CommandPort>, AppError> {
    state.ports.commands.as_ref().ok_or(AppError::NotFound)
}

fn sessions(state: &AppState) -> Result<&Arc<dyn SessionPort>, AppError> {
    state.ports.sessions.as_ref().ok_or(AppError::NotFound)
}

fn queries(state: &AppState) -> Result<&Arc<dyn QueryPort>, AppError> {
    state.ports.queries.as_ref().ok_or(AppError::NotFound)
}
