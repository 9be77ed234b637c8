//! What is said on the control topic: where the log ends, and which positions a node asks for again.

use app::wire::Position;
use rdkafka::message::{Header, Message, OwnedHeaders};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::wire::{CONTENT_TYPE, SOURCE, header, rfc3339};
use crate::bus::head::SignedHead;

pub const LOG_HEAD: &str = "daybook.log_head";
pub const REPLAY_REQUESTED: &str = "daybook.replay_requested";

/// A query node wants the events `from` to `to`, both included, on the replay topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayRequested {
    pub node: String,
    pub from: Position,
    pub to: Position,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    LogHead(SignedHead),
    ReplayRequested(ReplayRequested),
    /// Of a kind that this node has no use for, or nothing of ours.
    Other,
}

impl Control {
    /// As a message: headers and value. `at`: when it is said, microseconds since 1970.
    pub fn to_message(&self, at: i64) -> Option<(OwnedHeaders, Vec<u8>)> {
        let (kind, id, value) = match self {
            Self::LogHead(said) => {
                (LOG_HEAD, format!("{}-{}", said.head.position, said.head.at), serde_json::to_vec(said))
            }
            Self::ReplayRequested(asked) => {
                (REPLAY_REQUESTED, format!("{}-{}-{at}", asked.node, asked.from), serde_json::to_vec(asked))
            }
            Self::Other => return None,
        };
        let at = rfc3339(at);
        let parts = [
            ("ce_specversion", "1.0"),
            ("ce_id", id.as_str()),
            ("ce_source", SOURCE),
            ("ce_type", kind),
            ("ce_time", at.as_str()),
            (CONTENT_TYPE, "application/json"),
        ];
        let headers = parts.iter().fold(OwnedHeaders::new_with_capacity(parts.len()), |all, (key, value)| {
            all.insert(Header { key, value: Some(*value) })
        });
        Some((headers, value.ok()?))
    }

    pub fn read(message: &impl Message) -> Self {
        if header(message, "ce_source").as_deref() != Some(SOURCE) {
            return Self::Other;
        }
        match header(message, "ce_type").as_deref() {
            Some(LOG_HEAD) => value(message).map_or(Self::Other, Self::LogHead),
            Some(REPLAY_REQUESTED) => value(message).map_or(Self::Other, Self::ReplayRequested),
            Some(_) | None => Self::Other,
        }
    }
}

fn value<T: DeserializeOwned>(message: &impl Message) -> Option<T> {
    serde_json::from_slice(message.payload()?).ok()
}
