//! The relay's producer: idempotent, acknowledged by all replicas, without a time-out; and which events were acknowledged.
//!
//! Events of one stream stay in order, since they have one partition and the producer is idempotent. After the first
//! failure nothing that this producer sends counts any more: whoever has it makes another and goes on from the checkpoint.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::wire::{Envelope, Position};
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
    producer::{BaseRecord, DeliveryResult, NoCustomPartitioner, ProducerContext, ThreadedProducer},
};
use tokio::sync::watch;

use super::{
    sent,
    settings::{KafkaSettings, usually},
    topics::Topics,
};
use crate::trace::{self, Kind, Span};

/// Events that are sent and not acknowledged, at most.
const IN_FLIGHT: u64 = 50_000;
/// How long it waits for room in librdkafka's own queue.
const ROOM: Duration = Duration::from_millis(5);
/// Marks a message that is no event of the log.
const NOT_COUNTED: usize = 0;

/// Which events the brokers have.
struct Acknowledged {
    /// From the first event that is not acknowledged on.
    after: Mutex<(Position, VecDeque<bool>)>,
    up_to: watch::Sender<Position>,
    failed: watch::Sender<Option<String>>,
}

struct Context(Arc<Acknowledged>);

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.0.failed.send_replace(Some(reason.to_owned()));
        } else {
            tracing::debug!(%error, reason, "the relay's producer");
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    /// The event's position.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        match result {
            Ok(_) if position == NOT_COUNTED => {}
            Ok(_) => self.0.note(Position(position as u64)),
            Err((error, _)) => {
                self.0.failed.send_if_modified(|failed| {
                    let first = failed.is_none();
                    failed.get_or_insert_with(|| error.to_string());
                    first
                });
            }
        }
    }
}

impl Acknowledged {
    fn note(&self, position: Position) {
        let mut after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, done) = &mut *after;
        let Some(at) = position.0.checked_sub(last.0 + 1).and_then(|at| usize::try_from(at).ok()) else { return };
        if done.len() <= at {
            done.resize(at + 1, false);
        }
        done[at] = true;
        let before = *last;
        while done.front() == Some(&true) {
            done.pop_front();
            *last = last.next();
        }
        if *last != before {
            self.up_to.send_replace(*last);
        }
    }
}

/// A producer for one go of the relay.
pub struct RelayProducer {
    producer: Option<ThreadedProducer<Context>>,
    acknowledged: Arc<Acknowledged>,
    topics: Topics,
}

impl RelayProducer {
    /// Goes on after the checkpoint `after`.
    pub fn new(settings: &KafkaSettings, after: Position) -> Result<Self, KafkaError> {
        let acknowledged = Arc::new(Acknowledged {
            after: Mutex::new((after, VecDeque::new())),
            up_to: watch::Sender::new(after),
            failed: watch::Sender::new(None),
        });
        let mut config = settings.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A batch that was refused for good ends the producer, before a later event of its streams is sent.
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            // Java's own: other producers that key by stream find the same partition.
            .set("partitioner", "murmur2_random");
        // Nobody waits for company: batches form while others are on their way.
        if config.get("queue.buffering.max.ms").is_none() {
            // The same under another name.
            usually(&mut config, "linger.ms", "0");
        }
        usually(&mut config, "queue.buffering.max.kbytes", "65536");
        let producer = Some(config.create_with_context(Context(acknowledged.clone()))?);
        Ok(Self { producer, acknowledged, topics: Topics::new(&settings.prefix) })
    }

    /// Up to where all events are acknowledged.
    pub fn acknowledged(&self) -> watch::Receiver<Position> {
        self.acknowledged.up_to.subscribe()
    }

    /// Returns with the reason once anything was not delivered.
    pub async fn failed(&self) -> String {
        let mut failed = self.acknowledged.failed.subscribe();
        let reason = failed.wait_for(Option::is_some).await.map(|reason| reason.clone());
        match reason {
            Ok(reason) => reason.unwrap_or_default(),
            // It is this producer that holds the sending end.
            Err(_) => std::future::pending().await,
        }
    }

    /// Sends an event of the log; waits while too many are on their way.
    pub async fn event(&self, event: &Envelope) -> Result<(), KafkaError> {
        let has_room = |up_to: &Position| event.position.0.saturating_sub(up_to.0) <= IN_FLIGHT;
        if !has_room(&self.acknowledged.up_to.borrow()) {
            let mut acknowledged = self.acknowledged.up_to.subscribe();
            acknowledged.wait_for(has_room).await.map_err(|_| KafkaError::Canceled)?;
        }
        let position = usize::try_from(event.position.0).map_err(|_| KafkaError::Canceled)?;
        self.send(&self.topics.events, event, None, position).await
    }

    /// Sends an event again, for `node` only.
    pub async fn again(&self, event: &Envelope, node: &str) -> Result<(), KafkaError> {
        self.send(&self.topics.replay, event, Some(node), NOT_COUNTED).await
    }

    async fn send(&self, topic: &str, event: &Envelope, node: Option<&str>, opaque: usize) -> Result<(), KafkaError> {
        let stream = event.stream.to_string();
        let follows = trace::of_metadata(&event.metadata);
        // A part of a trace only if the command was: what is published is not looked at one by one otherwise.
        let mut step = follows.map(|follows| Span::begin("publish", Kind::Producer, Some(follows)));
        if let Some(step) = &mut step {
            step.set("messaging.system", "kafka");
            step.set("messaging.destination.name", topic.to_owned());
            step.set("daybook.position", event.position.as_i64());
        }
        let published = step.as_ref().and_then(Span::traceparent);
        let traceparent = published.as_deref().or(follows);
        let mut record = BaseRecord::with_opaque_to(topic, opaque)
            .key(stream.as_bytes())
            .payload(event.payload.as_slice())
            .headers(sent::headers(event, node, traceparent));
        // What is sent again is kept for an hour from now, however old the event is.
        if node.is_none() {
            record = record.timestamp(event.recorded_at / 1000);
        }
        self.put(record).await
    }

    /// Says something on the control topic.
    pub async fn control(&self, headers: OwnedHeaders, value: &[u8]) -> Result<(), KafkaError> {
        let record = BaseRecord::with_opaque_to(&self.topics.control, NOT_COUNTED).headers(headers);
        self.put::<[u8]>(record.payload(value)).await
    }

    /// The latest word on whom `key` names; `None`: to be forgotten.
    pub async fn person(&self, key: &str, value: Option<&[u8]>) -> Result<(), KafkaError> {
        let record = BaseRecord::with_opaque_to(&self.topics.people, NOT_COUNTED).key(key.as_bytes());
        match value {
            Some(value) => self.put(record.payload(value)).await,
            None => self.put::<[u8]>(record).await,
        }
    }

    async fn put<P: rdkafka::message::ToBytes + ?Sized>(
        &self,
        mut record: BaseRecord<'_, [u8], P, usize>,
    ) -> Result<(), KafkaError> {
        let producer = self.producer.as_ref().ok_or(KafkaError::Canceled)?;
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => record = refused,
                Err((error, _)) => return Err(error),
            }
            tokio::time::sleep(ROOM).await;
        }
    }
}

impl Drop for RelayProducer {
    fn drop(&mut self) {
        // librdkafka's end takes up to half a second, which no task is to wait for.
        if let Some(producer) = self.producer.take() {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || drop(producer))),
                Err(_) => drop(producer),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_the_checkpoint_never_passes_what_is_not_acknowledged() {
        let acknowledged = Acknowledged {
            after: Mutex::new((Position(10), VecDeque::new())),
            up_to: watch::Sender::new(Position(10)),
            failed: watch::Sender::new(None),
        };
        let up_to = || acknowledged.up_to.borrow().0;
        acknowledged.note(Position(13));
        acknowledged.note(Position(12));
        assert_eq!(up_to(), 10);
        acknowledged.note(Position(11));
        assert_eq!(up_to(), 13);
        acknowledged.note(Position(11));
        acknowledged.note(Position(3));
        acknowledged.note(Position(14));
        assert_eq!(up_to(), 14);
    }
}
