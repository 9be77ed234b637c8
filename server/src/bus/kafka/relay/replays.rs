//! Answers whoever asks for positions again (B3): from the log, to that node alone.

use std::convert::Infallible;

use app::wire::Position;
use rdkafka::error::KafkaError;

use super::{Ended, Go, Never, pause};
use crate::bus::kafka::{
    control::{Control, ReplayRequested},
    passes,
    reader::Reader,
    topics::Topics,
};

const CHUNK: u32 = 1000;
/// Positions that are sent for one request, at most. Nodes ask again for the rest.
const MOST: u64 = 50_000;

impl Go<'_> {
    /// A request that was made while nobody was the relay is made again by its node.
    pub(super) async fn replays(&self) -> Infallible {
        loop {
            let Err(error) = self.answer().await;
            pause(&error).await;
        }
    }

    async fn answer(&self) -> Never {
        let topic = Topics::new(&self.parts.settings.prefix).control;
        let reader = Reader::from_now(&self.parts.settings, &topic).await?;
        loop {
            let message = match reader.recv().await {
                Ok(message) => message,
                Err(KafkaError::PartitionEOF(_)) => continue,
                Err(error) if passes(&error) => continue,
                Err(error) => return Err(error.into()),
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
