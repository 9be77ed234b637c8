//! For whoever watches the process: `/healthz` (it runs) and `/readyz` (it can serve).

use axum::{extract::State, http::StatusCode};

use super::AppState;

pub async fn alive() -> &'static str {
    "ok"
}

/// Not ready: shutting down, or the read database does not answer. Being behind is no reason; pages say so themselves.
pub async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down");
    }
    match &state.ports.queries {
        Some(queries) if queries.status().await.is_err() => {
            (StatusCode::SERVICE_UNAVAILABLE, "the read database does not answer")
        }
        Some(_) | None => (StatusCode::OK, "ok"),
    }
}
