//! Answers whoever asks for positions again (B3): from the log, to that node alone.

use std::time::Duration;

use app::wire::Position;
use rdkafka::error::KafkaError;
use tokio::time::timeout;

use super::{Ended, Go, Never, pause};
use crate::bus::kafka::{
    control::{Control, ReplayRequested},
    passes,
    reader::Reader,
    topics::Topics,
};

const CHUNK: u32 = 1000;
/// Where the log ends is said each second, on the topic that is read here.
const SILENCE: Duration = Duration::from_secs(15);
/// Positions that are sent for one request, at most. Nodes ask again for the rest.
const MOST: u64 = 50_000;

impl Go<'_> {
    /// A request that was made while nobody was the relay is made again by its node. Ends where not even what this relay
    /// says itself is heard.
    pub(super) async fn replays(&self) -> Never {
        loop {
            match self.answer().await {
                Err(Ended::Silence) => return Err(Ended::Silence),
                Err(error) => pause(&error).await,
                Ok(never) => match never {},
            }
        }
    }

    async fn answer(&self) -> Never {
        let topic = Topics::new(&self.parts.settings.prefix).control;
        let reader = Reader::from_now(&self.parts.settings, &topic).await?;
        loop {
            let message = match timeout(SILENCE, reader.recv()).await {
                Ok(Ok(message)) => message,
                Ok(Err(KafkaError::PartitionEOF(_))) => continue,
                Ok(Err(error)) if passes(&error) => continue,
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(Ended::Silence),
            };
            if let Control::ReplayRequested(asked) = Control::read(&message) {
                self.replay(asked).await?;
            }
        }
    }

    async fn replay(&self, asked: ReplayRequested) -> Result<(), Ended> {
        let ReplayRequested { node, from, to } = asked;
        tracing::info!(node, from = from.0, to = to.0, "sending events again");
        let mut after = Position(from.0.saturating_sub(1));
        let last = to.min(Position(after.0.saturating_add(MOST)));
        while after < last {
            let events = self.parts.log.read(after, CHUNK).await?;
            let Some(end) = events.last().map(|event| event.position) else { return Ok(()) };
            for event in events.iter().filter(|event| event.position <= last) {
                self.producer.again(event, &node).await?;
            }
            after = end;
        }
        Ok(())
    }
}
