//! What answers on the socket from the first moment on: that the process runs and what it waits for, then the real thing.
//! A proxy, or whoever watches, is answered at once instead of being kept waiting.

use std::sync::{Arc, OnceLock};

use app::api::AppError;
use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, Uri, header::RETRY_AFTER},
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Problem, WebOptions, health, security::headers};

/// When to ask again, seconds.
const AGAIN: u32 = 1;

/// A place for the router of a process that starts.
#[derive(Clone, Default)]
pub struct Front(Arc<OnceLock<Router>>);

impl Front {
    /// What to serve all along. Until [`Self::open`] it says what it `waits` for.
    pub fn router(&self, options: WebOptions, waits: watch::Receiver<String>) -> Router {
        let (there, starting) = (self.0.clone(), starting(options, waits));
        Router::new().fallback(move |request: Request| {
            let router = there.get().unwrap_or(&starting).clone();
            router.oneshot(request)
        })
    }

    /// From now on `router` answers, on connections that are open already too.
    pub fn open(&self, router: Router) {
        self.0.get_or_init(|| router);
    }
}

fn starting(options: WebOptions, waits: watch::Receiver<String>) -> Router {
    let headers = middleware::map_response(move |mut response: Response| {
        headers::add(&options, "", &mut response);
        std::future::ready(response)
    });
    Router::new().route("/healthz", get(health::alive)).fallback(wait).layer(headers).with_state(waits)
}

async fn wait(State(waits): State<watch::Receiver<String>>, uri: Uri) -> Response {
    let why = waits.borrow().clone();
    if uri.path().starts_with("/api/") {
        let mut problem = Problem::from(AppError::Unavailable { retry_after: AGAIN });
        problem.detail = why;
        return problem.into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, AGAIN.to_string())], why).into_response()
}
