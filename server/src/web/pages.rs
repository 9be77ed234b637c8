//! The host of pages: hands them what they need through context, and nothing else.

use app::{
    api::AppError,
    domain::AccountId,
    pages::{patience, statement_csv},
    ports::{Assets, Module, Request as Known},
    shell,
};
use axum::{
    Router,
    extract::{Path, Request, State},
    response::Response,
    routing::get,
};
use leptos::prelude::provide_context;
use leptos_axum::LeptosRoutes as _;

use super::{AppState, Caller, Problem, SignedIn, assets};

/// All pages, the not-found page for what is none, and the download of a statement.
pub fn pages() -> Router<AppState> {
    Router::new()
        .leptos_routes_with_handler(shell::routes(), page)
        .route("/accounts/{id}/statement.csv", get(statement))
        .fallback(page)
}

async fn page(State(state): State<AppState>, Caller(known): Caller, request: Request) -> Response {
    shell::respond(context(&state, known), request).await
}

/// What pages find in their context.
fn context(state: &AppState, known: Known) -> impl Fn() + Clone + Send + 'static {
    let ports = state.ports.clone();
    move || {
        provide_context(ports.clone());
        provide_context(known.clone());
        provide_context(Assets {
            css: assets::url("main.css"),
            loader: assets::url("islands.js"),
            ledger: Module { js: assets::url("daybook.js"), wasm: assets::url("daybook_bg.wasm") },
            timeline: Module { js: assets::url("timeline.js"), wasm: assets::url("timeline_bg.wasm") },
            favicon: assets::url("favicon.svg"),
        });
    }
}

async fn statement(
    State(state): State<AppState>,
    Caller(known): Caller,
    SignedIn(viewer): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = AccountId::parse(&id).map_err(|_| AppError::NotFound)?;
    let queries = state.ports.queries.clone().ok_or(AppError::NotFound)?;
    Ok(statement_csv(queries, viewer, id, patience(&known)).await?)
}
