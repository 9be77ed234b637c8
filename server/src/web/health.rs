//! For whoever watches the process: `/healthz` (it runs) and `/readyz` (it can serve).

use axum::{extract::State, http::StatusCode};

use super::AppState;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "Operations", security(()), responses((status = 200, description = "It runs", body = String)))]
pub async fn alive() -> &'static str {
    "ok"
}

/// Not ready: starting, shutting down, a database of this process does not answer, or its views have not yet come to where
/// the log ended when it started. Being behind later is no reason; pages say so themselves.
#[utoipa::path(get, path = "/readyz", tag = "Operations", security(()), responses(
    (status = 200, description = "It can serve", body = String),
    (status = 503, description = "Not yet, or no longer; the body says why", body = String),
))]
pub async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    match hindrance(&state).await {
        None => (StatusCode::OK, "ok"),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn hindrance(state: &AppState) -> Option<&'static str> {
    if state.stopping.is_cancelled() {
        return Some("shutting down");
    }
    if let Some(commands) = &state.ports.commands
        && !commands.answers().await
    {
        return Some("the write database does not answer");
    }
    match state.ports.queries.as_ref()?.status().await {
        Ok(status) if status.catching_up && status.head.is_none() => {
            Some("the views are catching up with the log; where it ends the bus has not said yet")
        }
        Ok(status) if status.catching_up => Some("the views are catching up with the log"),
        Ok(_) => None,
        Err(_) => Some("the read database does not answer"),
    }
}
