//! What a query node asks for again, and how it gets it: `ReplayRequested` on control, the events on the replay topic.

use std::time::{Duration, Instant};

use app::wire::Position;
use rdkafka::{
    error::KafkaError,
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord},
};

use super::{
    control::{Control, ReplayRequested},
    passes,
    reader::Reader,
    received::{self, Read},
    settings::KafkaSettings,
    topics::Topics,
    wire,
};
use crate::bus::BusError;

/// Positions that are asked for at once. What is not here yet bounds what has to be kept.
const WINDOW: u64 = 20_000;
/// How long the brokers may take to take in a request; it is made again anyway.
const SEND: Duration = Duration::from_secs(3);

/// The node's way to ask.
#[derive(Clone)]
pub struct Asking {
    producer: FutureProducer,
    topic: String,
    node: String,
}

impl Asking {
    pub fn new(settings: &KafkaSettings, node: &str) -> Result<Self, BusError> {
        let mut config = settings.client();
        config.set("message.timeout.ms", SEND.as_millis().to_string()).set("acks", "all");
        let topic = Topics::new(&settings.prefix).control;
        Ok(Self { producer: config.create()?, topic, node: node.to_owned() })
    }

    fn ask(&self, from: Position, to: Position) {
        let asked = Control::ReplayRequested(ReplayRequested { node: self.node.clone(), from, to });
        let Some((headers, value)) = asked.to_message(now()) else { return };
        let asking = self.clone();
        tokio::spawn(async move { asking.send(headers, value).await });
    }

    async fn send(self, headers: OwnedHeaders, value: Vec<u8>) {
        let record: FutureRecord<'_, (), [u8]> =
            FutureRecord::to(&self.topic).payload(value.as_slice()).headers(headers);
        if let Err((error, _)) = self.producer.send(record, SEND).await {
            tracing::warn!(%error, "a replay could not be asked for; it is tried again");
        }
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// One subscription's replays.
pub struct Replays {
    settings: KafkaSettings,
    topic: String,
    asking: Asking,
    /// The replay topic; read only once something was asked for.
    reader: Option<Reader>,
    asked: Option<(Position, Position, Instant)>,
}

impl Replays {
    pub fn new(settings: &KafkaSettings, asking: Asking) -> Self {
        let topic = Topics::new(&settings.prefix).replay;
        Self { settings: settings.clone(), topic, asking, reader: None, asked: None }
    }

    /// What comes next of replays that are ours. Cancel-safe.
    pub async fn next(&self) -> Result<Read, KafkaError> {
        let Some(reader) = &self.reader else { return std::future::pending().await };
        loop {
            match reader.recv().await {
                Ok(message) if wire::header(&message, wire::NODE).as_deref() == Some(&*self.asking.node) => {
                    return Ok(received::read(&message));
                }
                Ok(_) | Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) if passes(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What was asked for and is not all here, when `next` is the next position.
    pub fn open(&self, next: Position) -> Option<(Position, Position)> {
        self.asked.filter(|(_, to, _)| next <= *to).map(|(from, to, _)| (from, to))
    }

    /// Whether a replay came to its end here: what else is missing is asked for at once.
    pub fn just_ended(&self, next: Position) -> bool {
        self.asked.is_some_and(|(_, to, _)| next > to)
    }

    /// Nothing is missing.
    pub fn close(&mut self) {
        self.asked = None;
    }

    /// Asks for `from` up to `to`, or as much of it as is asked for at once; again only when nothing came for a while. Whether it
    /// did.
    pub async fn ask(&mut self, from: Position, to: Position) -> Result<bool, BusError> {
        let to = Position(to.0.min(from.0 + WINDOW - 1));
        if let Some((_, until, at)) = self.asked
            && from <= until
            && at.elapsed() < self.settings.hole_age
        {
            return Ok(false);
        }
        // Before the question, so that the answer cannot be missed.
        if self.reader.is_none() {
            self.reader = Some(Reader::from_now(&self.settings, &self.topic).await?);
        }
        tracing::warn!(from = from.0, to = to.0, "the bus does not have these positions: asked for again");
        self.asked = Some((from, to, Instant::now()));
        self.asking.ask(from, to);
        Ok(true)
    }

    /// Something of what was asked for came: the rest is on its way.
    pub fn came(&mut self) {
        if let Some((_, _, at)) = &mut self.asked {
            *at = Instant::now();
        }
    }

    /// Reads the topic anew when it is next needed.
    pub fn reopen(&mut self) {
        self.reader = None;
    }
}
