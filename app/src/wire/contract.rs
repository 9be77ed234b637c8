//! The event contract: every event by its public name, to bytes and back.
//!
//! This is the one place where stored events are read: older schema versions are upcast here.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::domain::{EventId, account::AccountEvent, session::SessionEvent, transfer::TransferEvent};

use super::{Json, Position, read};

/// Everything that can be in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Event {
    Account(AccountEvent),
    Transfer(TransferEvent),
    Session(SessionEvent),
    Projection(ProjectionEvent),
}

/// What the log says about projections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProjectionEvent {
    /// An admin decided that this projection goes on without this event; every rebuild honours it.
    #[serde(rename = "projection.event_skipped")]
    EventSkipped { projection: String, position: Position, event_id: EventId, reason: String },
}

/// An event that cannot be read. Its reader stops; nothing is skipped.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("unknown event type {event_type}, schema {schema}: written by a newer Daybook?")]
    UnknownType { event_type: String, schema: u32 },
    #[error("the payload of {event_type}, schema {schema}, does not read: {source}")]
    Payload { event_type: String, schema: u32, source: serde_json::Error },
}

/// Turns the payload of one old schema version into the next.
pub struct Upcaster {
    pub event_type: &'static str,
    /// The schema version it reads; it gives `from + 1`.
    pub from: u32,
    pub upcast: fn(Value) -> Value,
}

/// All upcasters. None yet: every event is at schema 1.
pub const UPCASTERS: &[Upcaster] = &[];

const CURRENT_SCHEMA: u32 = 1;

/// Public type name, schema version and payload bytes of an event.
///
/// # Panics
/// Never: events hold nothing that JSON cannot.
pub fn encode(event: &Event) -> (String, u32, Vec<u8>) {
    // An event serialises as {"<type>":<payload>}: the name is taken from the one place that defines it.
    let json = serde_json::to_string(event).expect("events hold nothing that JSON cannot");
    let (name, rest) = json[2..].split_once("\":").expect("an event serialises as an object of one field");
    (name.to_owned(), CURRENT_SCHEMA, rest.as_bytes()[..rest.len() - 1].to_vec())
}

/// Reads an event, upcasting older schema versions.
pub fn decode(event_type: &str, schema: u32, payload: &[u8]) -> Result<Event, DecodeError> {
    decode_with(UPCASTERS, event_type, schema, payload)
}

/// [`decode`] with upcasters of the caller's own.
pub fn decode_with(
    upcasters: &[Upcaster],
    event_type: &str,
    schema: u32,
    payload: &[u8],
) -> Result<Event, DecodeError> {
    let unreadable = |source| DecodeError::Payload { event_type: event_type.to_owned(), schema, source };
    let unknown = || DecodeError::UnknownType { event_type: event_type.to_owned(), schema };

    let first = upcasters.iter().find(|upcaster| upcaster.event_type == event_type && upcaster.from == schema);
    let Some(first) = first else {
        let newest = upcasters.iter().filter(|u| u.event_type == event_type).map(|u| u.from + 1).max();
        if schema != newest.unwrap_or(CURRENT_SCHEMA) {
            return Err(unknown());
        }
        let payload: &RawValue = serde_json::from_slice(payload).map_err(unreadable)?;
        let named = format!("{{{}:{}}}", Value::from(event_type), payload.get());
        let kind = event_type.split('.').next();
        return match kind {
            Some("account") => serde_json::from_str(&named).map(Event::Account),
            Some("transfer") => serde_json::from_str(&named).map(Event::Transfer),
            Some("session") => serde_json::from_str(&named).map(Event::Session),
            Some("projection") => serde_json::from_str(&named).map(Event::Projection),
            _ => return Err(unknown()),
        }
        // The variant is the name, first thing in the text; an unknown variant further in is the payload's.
        .map_err(|error| {
            if error.to_string().starts_with(&format!("unknown variant `{event_type}`")) {
                unknown()
            } else {
                unreadable(error)
            }
        });
    };
    let value = (first.upcast)(serde_json::from_slice(payload).map_err(unreadable)?);
    decode_with(upcasters, event_type, schema + 1, value.to_string().as_bytes())
}

/// [`decode`] for pages, on both sides: the same event, in much less of the browser's code. `None`: it does not read.
pub fn read_event(event_type: &str, schema: u32, payload: &str) -> Option<Event> {
    // Known when it is compiled: all that `decode` needs is in the browser's module only once there is an upcaster.
    if const { !UPCASTERS.is_empty() } {
        return decode(event_type, schema, payload.as_bytes()).ok();
    }
    let payload = Json::parse(payload)?;
    if schema == CURRENT_SCHEMA { read::event(event_type, payload) } else { None }
}
