//! The host of server functions: hands them what they need through context, and nothing else.

use app::{api::AppError, ports::Request as Known};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use leptos::prelude::provide_context;

use super::{AppState, Caller, Problem, refill, rest::collect};

/// Bytes of an answer that says what was wrong, at most.
const MOST: usize = 64 * 1024;

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
    let mut answer = with_status(answer.into_response()).await;
    refill::refill(&mut answer, &fields);
    Ok(answer)
}

/// What a form was refused with before its function was called is 500 to Leptos, whatever it says.
async fn with_status(answer: Response) -> Response {
    if answer.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MOST).await else { return head.status.into_response() };
    if let Some(status) = serde_json::from_slice::<AppError>(&body).ok().map(|error| error.status()) {
        head.status = StatusCode::from_u16(status).unwrap_or(head.status);
    }
    Response::from_parts(head, Body::from(body))
}

/// What server functions find in their context.
fn context(state: &AppState, known: Known) -> impl Fn() + Clone + Send + 'static {
    let ports = state.ports.clone();
    move || {
        provide_context(ports.clone());
        provide_context(known.clone());
    }
}
