//! The bus as Apache Kafka: four topics, one relay at a time that publishes, any number of nodes that read.
//!
//! The truth is the position. Kafka's offsets and groups are not used: each node assigns all partitions to itself, and
//! finds where to go on by the recorded time of the last event that it has, which grows with positions.

#[cfg(feature = "query")]
mod consumer;
mod control;
#[cfg(feature = "query")]
mod merge;
#[cfg(feature = "query")]
mod node;
mod people;
#[cfg(feature = "query")]
mod people_subscription;
#[cfg(feature = "command")]
mod producer;
mod reader;
mod received;
#[cfg(feature = "command")]
mod relay;
#[cfg(feature = "query")]
mod replay;
#[cfg(feature = "query")]
mod resume;
#[cfg(feature = "command")]
mod said;
#[cfg(feature = "command")]
mod sent;
mod settings;
mod topics;
mod wire;

use rdkafka::error::KafkaError;

pub use control::{LOG_HEAD, REPLAY_REQUESTED, ReplayRequested};
#[cfg(feature = "query")]
pub use node::KafkaBus;
pub use people::PersonMessage;
#[cfg(feature = "command")]
pub use relay::{Relay, RelayParts, RelayStatus};
#[cfg(feature = "command")]
pub use said::{Replaced, Said, compare, said, said_far_back};
pub use settings::{KafkaSettings, SettingsError};
pub use topics::{Topics, ensure};
pub use wire::{HEADERS, NODE, SOURCE, TRACE};

use super::BusError;

impl From<KafkaError> for BusError {
    fn from(error: KafkaError) -> Self {
        Self(Box::new(error))
    }
}

/// Whether a client goes on by itself after this: brokers that are away, which it looks for until they are back; or a group
/// that it may not look at, of which it needs nothing.
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
                | Code::GroupAuthorizationFailed
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
        )
    )
}
