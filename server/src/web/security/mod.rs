//! The edge that every request passes: who asks, whether it may come from where it comes, how much it may take; and
//! what every answer says to the browser. Handlers behind it find [`app::ports::Request`] among the extensions.

pub(super) mod headers;
mod limits;
mod origin;
mod rate;

use app::{
    api::AppError,
    ports::{Request as Known, Viewer},
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

pub(super) use limits::too_large;
pub use rate::RateLimit;

use super::{
    AppState, Problem,
    request::{Via, identify},
};

/// The one route whose answers never end by themselves: no time-out, no place among the bounded requests.
pub const LIVE: &str = "/live";

/// A session in use is renewed once this little of it is left, microseconds.
const RENEW_BELOW: i64 = 10 * 60 * 1_000_000;

/// The edge; put around the whole router.
pub async fn edge(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (known, via) = identify(&state, &parts);
    let live = parts.uri.path() == LIVE;
    let method = parts.method.clone();
    let path = parts.uri.path().to_owned();
    let renewable = via == Via::Cookie && !live && method == Method::GET && !path.starts_with("/pkg/");

    let admitted = (state.rate.check(known.client, &path))
        .and_then(|()| origin::check(&parts, &state.options))
        .and_then(|()| limits::body(&parts.headers, body, state.options.max_body))
        .map(|body| {
            parts.extensions.insert(known.clone());
            parts.extensions.insert(via);
            Request::from_parts(parts, body)
        });
    let mut response = match admitted {
        Ok(request) => answer(&state, live, request, next).await,
        Err(problem) => problem.into_response(),
    };
    // Whoever was turned away gets no more work done for them.
    let renewable = renewable && response.status() != StatusCode::TOO_MANY_REQUESTS;
    if let (true, Some(viewer)) = (renewable, &known.viewer) {
        renew(&state, &known, viewer, &mut response).await;
    }
    headers::add(&state.options, &known.nonce, &mut response);
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    response
}

async fn answer(state: &AppState, live: bool, mut request: Request, next: Next) -> Response {
    if live {
        return next.run(request).await;
    }
    // Held until the answer is there: what does not fit is refused early instead of queueing up in memory.
    let Ok(_permit) = state.permits.try_acquire() else {
        return Problem::from(AppError::Unavailable { retry_after: 1 }).into_response();
    };
    let command = limits::command_id(&mut request);
    match tokio::time::timeout(state.options.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => limits::timed_out(command.as_deref()).into_response(),
    }
}

/// Keeps a browser signed in that only reads: where sessions are known, a page view renews one that is half over.
async fn renew(state: &AppState, known: &Known, viewer: &Viewer, response: &mut Response) {
    let Some(sessions) = &state.ports.sessions else { return };
    if viewer.expires_at - known.now > RENEW_BELOW || response.headers().contains_key(header::SET_COOKIE) {
        return;
    }
    // A session that has just ended is not renewed; that is not this request's concern.
    let Ok(renewed) = sessions.renew(viewer).await else { return };
    let cookie = known.cookies.session(&renewed.token, renewed.viewer.expires_at, known.now);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
