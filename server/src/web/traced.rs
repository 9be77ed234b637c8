//! A command's request is a step of a trace: the first, unless whoever sent it says what it follows.

use axum::{extract::Request, http::Method, middleware::Next, response::Response};

use crate::trace::{self, Kind, Span};

/// Where commands come in.
const COMMANDS: [&str; 2] = ["/api/v1/commands/", "/api/fn/"];

/// Around everything that answers.
pub async fn traced(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_command = request.method() == Method::POST && COMMANDS.iter().any(|begin| path.starts_with(begin));
    if !is_command || !trace::is_on() {
        return next.run(request).await;
    }
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let mut span = Span::begin("POST command", Kind::Server, parent);
    span.set("http.request.method", "POST");
    span.set("url.path", path.to_owned());
    let response = trace::within(span.traceparent(), next.run(request)).await;
    span.set("http.response.status_code", i64::from(response.status().as_u16()));
    response
}
