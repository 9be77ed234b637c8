//! The relay: publishes the log, which is the outbox. Never on the way of a command (B2).
//!
//! Of all command nodes one holds the lease and publishes; one that comes no further gives it up. It reads the log from its
//! checkpoint and moves that only behind acknowledgements and only while the lease's fence is its own. So whatever crashes
//! in between, the next one begins with something that was acknowledged, and each event reaches the bus, for the first time
//! in the order of its stream (B1). Two at once do no harm: what the slower one says has been said before.

mod heads;
mod people;
mod publish;
mod replays;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use app::wire::Position;
use rdkafka::error::KafkaError;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    producer::RelayProducer,
    said::{self, Replaced},
    settings::KafkaSettings,
    topics,
};
use crate::bus::{
    BusError, Fence, Lease, LogHead, LogSource,
    head::{HeadKeys, SignHead},
};

/// How long it waits before it tries again: at first, and at most.
const PATIENCE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// How long a part waits that begins again beside the events.
const AGAIN: Duration = Duration::from_millis(200);
/// How often it is looked whether all topics are there.
const LOOK: Duration = Duration::from_secs(5);
/// How often the checkpoint is moved.
const SAVE: Duration = Duration::from_millis(200);

/// What the write side gives to its relay.
pub struct RelayParts {
    pub settings: KafkaSettings,
    pub log: Arc<dyn LogSource>,
    /// Changes when this node has appended something, and every second.
    pub appended: watch::Receiver<Option<LogHead>>,
    /// Counts changes to people that this node made.
    pub people: watch::Receiver<u64>,
    pub lease: Arc<dyn Lease>,
    pub sign: SignHead,
    /// Whose heads on the topics are this ledger's.
    pub keys: HeadKeys,
}

/// What the relay of this node does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayStatus {
    /// It is the one that publishes.
    pub holds: bool,
    /// Up to where the brokers have all events, as far as this node knows.
    pub published: Position,
    /// The log is not the one on the topics: it will not go on.
    pub replaced: Option<Replaced>,
    /// Why it does not go on.
    pub error: Option<String>,
    /// In what the topics promise less than they are meant to.
    pub lacking: Vec<String>,
}

/// Why a go at publishing ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("an event was not delivered: {0}")]
    NotDelivered(String),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("the log brought position {found} after {after}")]
    Gap { after: Position, found: Position },
    /// The topics were deleted and made again, or the brokers are away: what the clients know is of no use.
    #[error("what is published does not come back")]
    Silence,
    #[error("a topic was deleted")]
    TopicGone,
    #[error("the lease was taken over")]
    LeaseLost,
    #[error(transparent)]
    Replaced(#[from] Replaced),
}

/// Why this node is not the relay any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    LeaseLost,
    /// It comes no further, as where it alone has no way to the brokers: another one may have more luck.
    GivenUp,
}

/// Every part of the work ends only by failing.
type Never = Result<Infallible, Ended>;

pub struct Relay {
    parts: RelayParts,
    status: watch::Sender<RelayStatus>,
}

/// One go: a producer, from the checkpoint on.
struct Go<'a> {
    parts: &'a RelayParts,
    producer: &'a RelayProducer,
    status: &'a watch::Sender<RelayStatus>,
}

impl Relay {
    pub fn new(parts: RelayParts) -> Self {
        Self { parts, status: watch::Sender::default() }
    }

    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.subscribe()
    }

    /// [`Self::run`] as a task.
    pub fn start(self, cancelled: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(self.run(cancelled))
    }

    /// Publishes whenever it holds the lease, until it is cancelled; then others can have the lease at once.
    pub async fn run(self, cancelled: CancellationToken) {
        let lease = &self.parts.lease;
        while !cancelled.is_cancelled() {
            let mut wait = lease.lasts() / 3;
            match lease.acquire().await {
                Ok(Some(fence)) => {
                    let over = cancelled.run_until_cancelled(self.hold(fence)).await;
                    self.status.send_modify(|status| status.holds = false);
                    if over == Some(Over::LeaseLost) {
                        tracing::warn!("the relay's lease was taken over");
                    } else if let Err(error) = lease.release(fence).await {
                        tracing::warn!(%error, "the relay's lease was not given back: it lapses by itself");
                    }
                    if over == Some(Over::GivenUp) {
                        tracing::warn!("this node comes no further as the relay: another one may try");
                        // The others look as often as this one does.
                        wait *= 2;
                    }
                }
                // Another node's business.
                Ok(None) => self.status.send_modify(|status| status.error = None),
                Err(error) => self.complain(&error),
            }
            cancelled.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
    }

    /// Publishes until the lease is lost, or given up.
    async fn hold(&self, fence: Fence) -> Over {
        tracing::info!(fence = fence.0, "this node is the relay");
        self.status.send_modify(|status| status.holds = true);
        tokio::select! {
            () = self.keep(fence) => Over::LeaseLost,
            over = self.publish(fence) => over,
        }
    }

    /// Renews the lease; returns when it is or may be someone else's.
    async fn keep(&self, fence: Fence) {
        let lease = &self.parts.lease;
        let mut renewed = Instant::now();
        while renewed.elapsed() < lease.lasts() {
            tokio::time::sleep(lease.lasts() / 3).await;
            let asked = Instant::now();
            match tokio::time::timeout(lease.lasts() / 3, lease.renew(fence)).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => self.complain(&error),
                Err(late) => self.complain(&late),
            }
        }
    }

    /// Goes at it again after each failure, from the checkpoint, until the lease is lost or it has come no further for as
    /// long as two leases last.
    async fn publish(&self, fence: Fence) -> Over {
        let (mut patience, mut failing) = (PATIENCE[0], None);
        loop {
            let before = self.status.borrow().published;
            match self.go(fence).await {
                Ok(never) => match never {},
                Err(Ended::LeaseLost) => return Over::LeaseLost,
                Err(error) => self.complain(&error),
            }
            let moved = self.status.borrow().published > before;
            failing = failing.filter(|_| !moved).or_else(|| Some(Instant::now()));
            if failing.is_some_and(|since: Instant| since.elapsed() >= self.parts.lease.lasts() * 2) {
                return Over::GivenUp;
            }
            patience = if moved { PATIENCE[0] } else { PATIENCE[1].min(patience * 2) };
            tokio::time::sleep(patience).await;
        }
    }

    async fn go(&self, fence: Fence) -> Never {
        let parts = &self.parts;
        let lacking = topics::ensure(&parts.settings).await?;
        for what in &lacking {
            tracing::warn!("{what}");
        }
        let said = said::said(&parts.settings, &parts.keys).await?;
        let replaced = said::compare(&said, &*parts.log, &parts.settings).await?;
        self.status.send_modify(|status| status.replaced.clone_from(&replaced));
        if let Some(replaced) = replaced {
            return Err(replaced.into());
        }
        let after = parts.lease.checkpoint().await?;
        let producer = RelayProducer::new(&parts.settings, after)?;
        self.status.send_modify(|status| {
            status.published = after;
            status.lacking = lacking;
            status.error = None;
        });
        let go = Go { parts, producer: &producer, status: &self.status };
        let ended = tokio::select! {
            ended = go.events(after) => ended,
            ended = go.checkpoint(fence, after) => ended,
            ended = go.heads() => ended,
            ended = go.progress() => ended,
            ended = go.replays() => ended,
            ended = go.topics() => ended,
            // Does not hold up the events.
            never = go.people() => match never {},
            reason = producer.failed() => Err(Ended::NotDelivered(reason)),
        };
        if !matches!(ended, Err(Ended::LeaseLost)) {
            // The less is sent twice.
            let acknowledged = *producer.acknowledged().borrow();
            if acknowledged > after && !parts.lease.save_checkpoint(fence, acknowledged).await? {
                return Err(Ended::LeaseLost);
            }
        }
        ended
    }

    fn complain(&self, error: &dyn std::error::Error) {
        tracing::warn!(error = %error, "the relay does not go on");
        self.status.send_modify(|status| status.error = Some(error.to_string()));
    }
}

impl Go<'_> {
    /// Ends when a topic is not there any more; the next go makes it again. Nothing else may tell: not each of them is
    /// written to or read all the time.
    async fn topics(&self) -> Never {
        let look = topics::Look::new(&self.parts.settings)?;
        loop {
            tokio::time::sleep(LOOK).await;
            match look.all_there().await {
                Ok(true) => {}
                Ok(false) => return Err(Ended::TopicGone),
                // Brokers that are away have deleted nothing.
                Err(error) => tracing::debug!(%error, "the topics are not to be seen"),
            }
        }
    }
}

/// Before a part begins again that has failed.
async fn pause(error: &Ended) {
    tracing::warn!(%error, "a part of the relay begins again");
    tokio::time::sleep(AGAIN).await;
}
