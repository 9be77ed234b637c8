//! The host of server functions: hands them what they need through context, and nothing else.

use app::{api::AppError, ports::Request as Known};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::post,
};
use leptos::prelude::provide_context;

use super::{AppState, Caller, Problem, refill, rest::collect};

/// `/api/fn/{name}`.
pub fn functions() -> Router<AppState> {
    Router::new().route("/api/fn/{name}", post(server_function))
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
    let context = context(&state, known);
    let answer = leptos_axum::handle_server_fns_with_context(context, request).await;
    let mut answer = answer.into_response();
    refill::refill(&mut answer, &fields);
    Ok(answer)
}

/// What server functions find in their context.
fn context(state: &AppState, known: Known) -> impl Fn() + Clone + Send + 'static {
    let ports = state.ports.clone();
    move || {
        provide_context(ports.clone());
        provide_context(known.clone());
    }
}
