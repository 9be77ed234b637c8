//! An event as a message: what is said of it beside its payload.

use app::wire::Envelope;
use rdkafka::message::{Header, OwnedHeaders};

use super::wire::{HEADERS, NODE, SOURCE, TRACE, rfc3339};

/// The headers of `event`; for one node only, on the replay topic. `traceparent`: see [`TRACE`].
pub fn headers(event: &Envelope, node: Option<&str>, traceparent: Option<&str>) -> OwnedHeaders {
    let (id, subject) = (event.event_id.to_string(), event.stream.to_string());
    let (time, hash) = (rfc3339(event.recorded_at), event.hash.to_string());
    let (position, version, schema) = (event.position.to_string(), event.version.to_string(), event.schema.to_string());
    let values: [&[u8]; HEADERS.len()] = [
        b"1.0",
        id.as_bytes(),
        SOURCE.as_bytes(),
        event.event_type.as_bytes(),
        time.as_bytes(),
        subject.as_bytes(),
        position.as_bytes(),
        version.as_bytes(),
        schema.as_bytes(),
        hash.as_bytes(),
        &event.metadata,
        b"application/json",
    ];
    let all = OwnedHeaders::new_with_capacity(HEADERS.len() + 2);
    let all = HEADERS.iter().zip(values).fold(all, |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let all = match node {
        Some(node) => all.insert(Header { key: NODE, value: Some(node) }),
        None => all,
    };
    match traceparent {
        Some(follows) => all.insert(Header { key: TRACE, value: Some(follows) }),
        None => all,
    }
}
