//! `GET /live?q=…&q=…&from=N`: server-sent events about the queries asked for, from a position on.
//!
//! A browser passes the highest position that it has seen in its cookie: a view that is older shows it nothing.
//!
//! Ends with `end` when the session ends or runs out and when the server stops; never because nothing happens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use app::{
    api::AppError,
    ports::{TokenCheck, Viewer},
    wire::{LiveQuery, Position},
};
use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{AppState, Caller, Problem, SignedIn, request::now};
use crate::read::hub::{End, LiveStream, Since};

/// Queries of one stream.
const MOST_QUERIES: usize = 64;
/// Messages that wait for a slow reader; beyond that the stream itself waits.
const BUFFER: usize = 16;

/// Opens a stream. 400: no query, too many, or one that does not read; 404: one that is not the viewer's to see.
pub async fn live(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Caller(request): Caller,
    Query(asked): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let hub = state.live.as_ref().map(|live| live.borrow().clone()).ok_or(AppError::NotFound)?;
    let (mut queries, mut from) = (Vec::<LiveQuery>::new(), Position(0));
    for (name, value) in &asked {
        match name.as_str() {
            "q" => queries.push(
                value.parse().map_err(|_| AppError::invalid("q", "there is no such live query; accounts is one"))?,
            ),
            "from" => {
                from = Position::of_a_log(value).ok_or_else(|| {
                    AppError::invalid("from", "a position of the log is expected, a whole number like 17")
                })?;
            }
            _ => return Err(AppError::invalid(name, "there is no such parameter here, only q and from").into()),
        }
    }
    // A browser that reconnects by itself knows better than the address it was given.
    if let Some(last) = headers.get("last-event-id").and_then(|value| Position::of_a_log(value.to_str().ok()?)) {
        from = last;
    }
    queries.sort_unstable();
    queries.dedup();
    if queries.is_empty() || queries.len() > MOST_QUERIES {
        return Err(AppError::invalid("q", format_args!("1 to {MOST_QUERIES} queries make a stream")).into());
    }
    let stream = hub.open(viewer.clone(), queries, Since { from, seen: request.seen }).await?;
    let (to, messages) = mpsc::channel(BUFFER);
    tokio::spawn(run(stream, to, viewer, state.tokens.clone(), state.stopping.clone()));
    let body = Body::from_stream(ReceiverStream::new(messages).map(Ok::<String, Infallible>));
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // Proxies are not to collect it before they pass it on.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, body).into_response())
}

async fn run(
    stream: LiveStream,
    to: mpsc::Sender<String>,
    viewer: Viewer,
    tokens: Arc<dyn TokenCheck>,
    stopping: CancellationToken,
) {
    let left = u64::try_from(viewer.expires_at.saturating_sub(now())).unwrap_or(0);
    let end = tokio::select! {
        () = stream.run(to.clone()) => return,
        () = tokens.until_ended(&viewer) => End::SignedOut,
        () = tokio::time::sleep(Duration::from_micros(left)) => End::Expired,
        () = stopping.cancelled() => End::ShuttingDown,
    };
    // A reader with a full buffer sees the connection close instead.
    if to.try_send(end.message()).is_err() {
        tracing::debug!(?end, "a slow reader was not told why its stream ended");
    }
}
