//! The log, as stored: envelopes with payload and metadata.

use app::{
    api::AppError,
    domain::{CommandId, EventId},
    ports::{EventsFilter, Freshness, Viewer},
    wire::{EventView, Hash, Page, Position, Seen, StreamId, Version},
};
use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    super::{Admin, AppState, SignedIn, problem::internal},
    Answer,
    input::Segment,
    params::Params,
};

/// A stored event. The text of `payload` and `metadata` is exactly what `hash` covers.
#[derive(Serialize, ToSchema)]
pub struct EventEnvelope {
    position: Position,
    event_id: EventId,
    stream: StreamId,
    version: Version,
    #[serde(rename = "type")]
    event_type: String,
    /// Schema version of the payload.
    schema: u32,
    /// Microseconds since 1970.
    recorded_at: i64,
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// Absent where the reader may not see who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    hash: Hash,
    command_id: CommandId,
    correlation_id: CommandId,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<EventId>,
}

impl TryFrom<EventView> for EventEnvelope {
    type Error = AppError;

    fn try_from(event: EventView) -> Result<Self, AppError> {
        let json = |text: String| RawValue::from_string(text).map_err(|error| internal(&error));
        Ok(Self {
            position: event.position,
            event_id: event.event_id,
            stream: event.stream,
            version: event.version,
            event_type: event.event_type,
            schema: event.schema,
            recorded_at: event.recorded_at,
            payload: json(event.payload)?,
            metadata: if event.metadata.is_empty() { None } else { Some(json(event.metadata)?) },
            hash: event.hash,
            command_id: event.command_id,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
        })
    }
}

/// All events, in order. Admins only.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "Log",
    params(
        ("after" = Option<u64>, Query, description = "Only after this position"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500),
        ("type" = Option<String>, Query, description = "Such as `account.money_deposited`"),
        ("stream" = Option<StreamId>, Query),
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<Page<EventEnvelope>>)),
)]
pub async fn events(
    State(state): State<AppState>,
    Admin(viewer): Admin,
    mut params: Params,
) -> Answer<Seen<Page<EventEnvelope>>> {
    let filter = EventsFilter {
        event_type: params.take("type")?,
        stream: params.take("stream")?,
        after: params.take("after")?,
        limit: params.limit()?,
        ascending: true,
        ..EventsFilter::default()
    };
    let fresh = params.freshness()?;
    params.finish()?;
    Ok(Json(read(&state, &viewer, filter, fresh).await?))
}

/// One stream's events, in order: an admin's any, a customer's own.
#[utoipa::path(
    get, path = "/api/v1/streams/{stream}", tag = "Log",
    params(
        ("stream" = StreamId, Path),
        ("after" = Option<u64>, Query, description = "Only after this position"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500),
        ("event" = Option<EventId>, Query, description = "Only the event with this id"),
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<Page<EventEnvelope>>)),
)]
pub async fn stream(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Segment(stream): Segment<StreamId>,
    mut params: Params,
) -> Answer<Seen<Page<EventEnvelope>>> {
    let after = params.take("after")?;
    let filter = EventsFilter {
        stream: Some(stream),
        event: params.take("event")?,
        after,
        limit: params.limit()?,
        ascending: true,
        ..EventsFilter::default()
    };
    let fresh = params.freshness()?;
    params.finish()?;
    let from_the_start = EventsFilter { after: None, limit: 1, ..filter.clone() };
    let page = read(&state, &viewer, filter, fresh).await?;
    // A stream without events does not exist, and neither does one that this viewer may not see.
    let nothing = page.value.items.is_empty();
    if nothing && (after.is_none() || read(&state, &viewer, from_the_start, fresh).await?.value.items.is_empty()) {
        return Err(AppError::absent(page.stale).into());
    }
    Ok(Json(page))
}

async fn read(
    state: &AppState,
    viewer: &Viewer,
    filter: EventsFilter,
    fresh: Freshness,
) -> Result<Seen<Page<EventEnvelope>>, AppError> {
    let Seen { position, stale, value } = super::queries(state)?.events(viewer, filter, fresh).await?;
    let items = value.items.into_iter().map(EventEnvelope::try_from).collect::<Result<_, _>>()?;
    Ok(Seen { position, stale, value: Page { items, next: value.next } })
}
