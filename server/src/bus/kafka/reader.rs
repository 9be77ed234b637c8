//! A consumer that says itself which partitions it reads, and from where.

use std::ops::Deref;

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::{
    settings::KafkaSettings,
    topics::{ANSWER, blocking},
};

/// The end of a partition, which is asked for as an error, is none.
pub struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "the bus says");
        }
    }
}

impl ConsumerContext for Quiet {}

/// Ended beside the runtime: librdkafka's end waits for its threads.
pub struct Reader(Option<StreamConsumer<Quiet>>);

impl Reader {
    pub fn new(settings: &KafkaSettings) -> KafkaResult<Self> {
        settings.consumer().create_with_context(Quiet).map(|consumer| Self(Some(consumer)))
    }

    /// Reads the single partition of `topic` from what is said from now on.
    pub async fn from_now(settings: &KafkaSettings, topic: &str) -> KafkaResult<Self> {
        let (reader, topic) = (Self::new(settings)?, topic.to_owned());
        blocking(move || {
            let (_, end) = reader.fetch_watermarks(&topic, 0, ANSWER)?;
            reader.read_from(&topic, &[(0, Offset::Offset(end))])?;
            Ok(reader)
        })
        .await
    }

    /// Reads these partitions too.
    pub fn read_from(&self, topic: &str, partitions: &[(i32, Offset)]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in partitions {
            list.add_partition_offset(topic, *partition, *offset)?;
        }
        self.incremental_assign(&list)
    }
}

impl Deref for Reader {
    type Target = StreamConsumer<Quiet>;

    fn deref(&self) -> &StreamConsumer<Quiet> {
        self.0.as_ref().expect("only `drop` takes it")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(consumer) = self.0.take() {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || drop(consumer))),
                Err(_) => drop(consumer),
            }
        }
    }
}

/// How many partitions `topic` has; 0 while it is not there. Waits, as librdkafka does.
pub fn partitions(consumer: &StreamConsumer<Quiet>, topic: &str) -> KafkaResult<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(0) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(0),
        Some(code) => Err(KafkaError::MetadataFetch(code)),
    }
}
