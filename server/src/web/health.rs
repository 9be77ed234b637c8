//! For whoever watches the process: `/healthz` (it runs) and `/readyz` (it can serve).

use axum::{extract::State, http::StatusCode};

use super::AppState;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "Operations", security(()), responses((status = 200, description = "It runs", body = String)))]
pub async fn alive() -> &'static str {
    "ok"
}

/// Not ready: shutting down, the read database does not answer, or the views have not yet come to where the log ended when
/// this process started. Being behind later is no reason; pages say so themselves.
#[utoipa::path(get, path = "/readyz", tag = "Operations", security(()), responses(
    (status = 200, description = "It can serve", body = String),
    (status = 503, description = "Not yet, or no longer; the body says why", body = String),
))]
pub async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down");
    }
    let Some(queries) = &state.ports.queries else { return (StatusCode::OK, "ok") };
    match queries.status().await {
        Ok(status) if status.catching_up => (StatusCode::SERVICE_UNAVAILABLE, "the views are catching up with the log"),
        Ok(_) => (StatusCode::OK, "ok"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the read database does not answer"),
    }
}
