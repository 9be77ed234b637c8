//! All routes, and the edge around them.

use std::any::Any;

use app::api::AppError;
use axum::{
    Router,
    http::StatusCode,
    middleware,
    response::{IntoResponse as _, Response},
    routing::{any, get},
};

use tower_http::catch_panic::CatchPanicLayer;

use super::{AppState, Problem, health, problem::internal, rest, security, traced};
#[cfg(feature = "query")]
use super::{assets, docs, live, openapi, pages};

/// The whole web. Routes of a side that this process does not have answer 404.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/api", any(no_such_route))
        .route("/api/", any(no_such_route))
        .route("/api/{*rest}", any(no_such_route));
    for (_, path, handler) in rest::routes() {
        router = router.route(path, handler);
    }
    #[cfg(feature = "command")]
    let router = router.merge(super::functions::functions());
    #[cfg(feature = "query")]
    let router = router
        .route(security::LIVE, get(live::live))
        .route("/api/openapi.json", get(openapi::json))
        .route("/api/docs", get(docs::page))
        .merge(assets::assets())
        .merge(pages::pages());
    #[cfg(not(feature = "query"))]
    let router = router.fallback(no_such_route);
    router
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(traced::traced))
        .layer(middleware::from_fn_with_state(state.clone(), security::edge))
        .with_state(state)
}

/// What the panic said goes to the log, under an id that the client is given.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Problem::from(internal(&format_args!("panic: {}", text.unwrap_or("without a message")))).into_response()
}

async fn no_such_route() -> Problem {
    AppError::NotFound.into()
}

async fn wrong_method() -> Response {
    let detail = "this route does not know that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into_response()
}
