//! From what was decided to what is stored: envelopes, hashes, receipts.

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Event, Metadata, Receipt, ReceiptEvent, StreamId, encode, event_hash, log_hash},
};

use super::{MAX_EVENT_BYTES, Submission, SubmitError, entry::Entry};
use crate::write::store::{Head, StoreError};

/// Puts `events` at the end of the stream and of the log: both move on. Nothing moves if it fails.
///
/// `now`: microseconds since 1970; an event is never recorded before the one in front of it.
pub(super) fn seal(
    submission: &Submission,
    traceparent: Option<&str>,
    events: &[Event],
    now: i64,
    entry: &mut Entry,
    tip: &mut Head,
) -> Result<Vec<Envelope>, SubmitError> {
    let metadata = Metadata {
        command_id: submission.command_id,
        actor: submission.actor,
        correlation_id: submission.correlation_id,
        causation_id: submission.causation_id,
        digest: submission.digest,
        traceparent: traceparent.map(str::to_owned),
    };
    let metadata = serde_json::to_vec(&metadata).map_err(|error| SubmitError::Internal(error.to_string()))?;
    let encoded: Vec<_> = events.iter().map(encode).collect();
    let bytes = encoded.iter().map(|(_, _, payload)| payload.len() + metadata.len()).max().unwrap_or(0);
    if bytes > MAX_EVENT_BYTES {
        return Err(SubmitError::TooLarge { bytes });
    }
    let mut sealed = Vec::with_capacity(encoded.len());
    for (index, (event, (event_type, schema, payload))) in events.iter().zip(encoded).enumerate() {
        entry.apply(event).map_err(SubmitError::Internal)?;
        let mut envelope = Envelope {
            position: tip.position.next(),
            event_id: EventId::derive(submission.command_id, index),
            stream: submission.stream,
            version: entry.version.next(),
            event_type,
            schema,
            payload,
            metadata: metadata.clone(),
            recorded_at: now.max(tip.recorded_at),
            hash: entry.hash,
        };
        envelope.hash = event_hash(&envelope, &entry.hash);
        entry.follow(&envelope);
        *tip = Head {
            position: envelope.position,
            hash: log_hash(&tip.hash, &envelope.hash),
            recorded_at: envelope.recorded_at,
        };
        sealed.push(envelope);
    }
    Ok(sealed)
}

/// The answer to the command that led to `events`, which are its own and in order.
pub(super) fn receipt<'a>(
    command_id: CommandId,
    stream: StreamId,
    events: impl IntoIterator<Item = &'a Envelope>,
    repeated: bool,
) -> Receipt {
    let events: Vec<&Envelope> = events.into_iter().collect();
    let last = events.last();
    Receipt {
        command_id,
        stream: last.map_or(stream, |event| event.stream),
        version: last.map(|event| event.version).unwrap_or_default(),
        position: last.map(|event| event.position).unwrap_or_default(),
        events: events
            .iter()
            .map(|event| ReceiptEvent {
                event_id: event.event_id,
                event_type: event.event_type.clone(),
                version: event.version,
                position: event.position,
            })
            .collect(),
        repeated,
    }
}

/// Whether the stored event came from this very submission, sent by the same actor.
pub(super) fn is_of(event: &Envelope, submission: &Submission) -> Result<bool, StoreError> {
    let metadata: Metadata = serde_json::from_slice(&event.metadata).map_err(|error| StoreError::Corrupt {
        at: format!("metadata at position {}", event.position),
        what: error.to_string(),
    })?;
    Ok(metadata.digest == submission.digest && metadata.actor == submission.actor)
}
