//! The bus as Apache Kafka: four topics, one relay at a time that publishes, any number of nodes that read.
//!
//! The truth is the position. Kafka's offsets and groups are not used: each node assigns all partitions to itself, and
//! finds where to go on by the recorded time of the last event that it has, which grows with positions.

mod consumer;
mod control;
mod merge;
mod node;
mod people;
mod producer;
mod reader;
mod relay;
mod replay;
mod said;
mod settings;
mod topics;
mod wire;

use rdkafka::error::KafkaError;

pub use control::{LOG_HEAD, REPLAY_REQUESTED, ReplayRequested};
pub use node::KafkaBus;
pub use people::PersonMessage;
pub use relay::{Relay, RelayParts, RelayStatus};
pub use said::{Replaced, Said, compare, said};
pub use settings::{KafkaSettings, SettingsError};
pub use topics::{Topics, ensure};
pub use wire::{HEADERS, NODE, SOURCE, TRACE};

use super::BusError;

impl From<KafkaError> for BusError {
    fn from(error: KafkaError) -> Self {
        Self(Box::new(error))
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Whether a client goes on by itself after this: brokers that are away, which it looks for until they are back.
fn passes(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::NotCoordinator
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
        )
    )
}
