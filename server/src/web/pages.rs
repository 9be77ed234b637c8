//! The host of pages and server functions: hands them what they need through context, and nothing else.

use app::{
    api::AppError,
    domain::AccountId,
    pages::{patience, statement_csv},
    ports::{Assets, Module, Request as Known},
    shell,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use leptos::prelude::provide_context;
use leptos_axum::LeptosRoutes as _;

use super::{AppState, Caller, Problem, SignedIn, assets, refill, rest::collect};

/// All pages, the not-found page for what is none, the download of a statement, and `/api/fn/{name}`.
pub fn pages() -> Router<AppState> {
    Router::new()
        .leptos_routes_with_handler(shell::routes(), page)
        .route("/accounts/{id}/statement.csv", get(statement))
        .route("/api/fn/{name}", post(server_function))
        .fallback(page)
}

async fn page(State(state): State<AppState>, Caller(known): Caller, request: Request) -> Response {
    shell::respond(context(&state, known), request).await
}

async fn server_function(
    State(state): State<AppState>,
    Caller(known): Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (path, method) = (request.uri().path(), request.method().clone());
    if server_fn::axum::get_server_fn_service(path, method).is_none() {
        return Err(AppError::NotFound.into());
    }
    let (head, body) = request.into_parts();
    let body = collect(body, state.options.max_body).await?;
    let fields = refill::fields(&head.headers, body.clone()).await;
    let request = Request::from_parts(head, Body::from(body));
    let answer = leptos_axum::handle_server_fns_with_context(context(&state, known), request).await;
    let mut answer = answer.into_response();
    refill::refill(&mut answer, &fields);
    Ok(answer)
}

/// What pages and server functions find in their context.
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
