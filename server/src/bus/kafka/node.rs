//! A query node's side of the bus: it only reads, but for asking again for what is missing.

use std::{collections::HashSet, sync::Arc};

use app::wire::Hash;
use async_trait::async_trait;
use rdkafka::error::KafkaError;
use tokio::{
    sync::watch,
    time::{Duration, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    consumer::{SharedStatus, Subscription, lock},
    control::Control,
    passes,
    people_subscription::PeopleSubscription,
    reader::{Reader, partitions},
    replay::{Asking, Replays},
    resume::where_to_go_on,
    settings::KafkaSettings,
    topics::{Topics, blocking},
};
use crate::bus::{After, Bus, BusError, BusStatus, Events, LogHead, People, head::HeadKeys};

/// How long it waits before it tries again.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longer than the relay is ever silent while it can reach the brokers.
const SILENCE: Duration = Duration::from_secs(15);
/// Keys that are not the command side's: of so many it is said that heads come with them, of each once.
const STRANGERS: usize = 8;
/// So many heads in a row are no words that were held up.
const AGAIN: u32 = 5;
/// How long a subscription waits for a topic that is not there.
const TOPIC: Duration = Duration::from_secs(5);

/// The bus of a query node.
pub struct KafkaBus {
    settings: KafkaSettings,
    /// Who this node is to those who answer it.
    node: String,
    head: watch::Receiver<Option<LogHead>>,
    partitions: watch::Receiver<i32>,
    status: SharedStatus,
}

impl KafkaBus {
    /// Listens until `cancelled`. Brokers that are away are waited for. A log head counts if one of `keys` signed it.
    pub fn start(settings: KafkaSettings, keys: HeadKeys, cancelled: CancellationToken) -> Result<Arc<Self>, BusError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| BusError(error.to_string().into()))?;
        let node = &Hash(random).to_string()[..16];
        let (heads, head) = watch::channel(None);
        let (counts, count) = watch::channel(0);
        let bus = Arc::new(Self {
            node: node.to_owned(),
            settings: settings.clone(),
            head,
            partitions: count,
            status: SharedStatus::default(),
        });
        tokio::spawn({
            let (settings, cancelled) = (settings.clone(), cancelled.clone());
            async move { cancelled.run_until_cancelled(listen(settings, keys, heads)).await }
        });
        tokio::spawn(async move { cancelled.run_until_cancelled(look(settings, counts)).await });
        Ok(bus)
    }

    /// A subscription of `node`, to which replays are sent, that says in `status` what it meets.
    async fn subscribe(&self, after: After, node: &str, status: SharedStatus) -> Result<Box<dyn Events>, BusError> {
        let mut count = self.partitions.clone();
        let wanted = timeout(TOPIC, count.wait_for(|count| *count > 0)).await;
        let topic = Topics::new(&self.settings.prefix).events;
        let Ok(Ok(partitions)) = wanted.map(|count| count.map(|count| *count)) else {
            return Err(BusError(format!("{topic} is not there: no broker, or no command node yet").into()));
        };
        count.borrow_and_update();
        let reader = Reader::new(&self.settings)?;
        let (reader, places) = blocking(move || {
            let places = where_to_go_on(&reader, &topic, partitions, after.recorded_at)?;
            reader.read_from(&topic, &places)?;
            Ok((reader, places))
        })
        .await?;
        let replays = Replays::new(&self.settings, Asking::new(&self.settings, node)?);
        let head = self.head.clone();
        let subscription =
            Subscription::new(&self.settings, reader, &places, after.position, count, head, replays, status);
        Ok(Box::new(subscription))
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn events(&self, after: After) -> Result<Box<dyn Events>, BusError> {
        self.subscribe(after, &self.node, self.status.clone()).await
    }

    async fn events_beside(&self) -> Result<Box<dyn Events>, BusError> {
        self.subscribe(After::default(), &format!("{}-beside", self.node), SharedStatus::default()).await
    }

    async fn people(&self) -> Result<Box<dyn People>, BusError> {
        Ok(Box::new(PeopleSubscription::open(&self.settings).await?))
    }

    fn log_head(&self) -> watch::Receiver<Option<LogHead>> {
        self.head.clone()
    }

    fn status(&self) -> BusStatus {
        lock(&self.status).clone()
    }
}

/// Hears what the command side says of its log.
async fn listen(settings: KafkaSettings, keys: HeadKeys, heads: watch::Sender<Option<LogHead>>) {
    let topic = Topics::new(&settings.prefix).control;
    loop {
        if let Err(error) = listen_once(&settings, &topic, &keys, &heads).await {
            tracing::debug!(%error, "no news of the log");
        }
        tokio::time::sleep(PATIENCE).await;
    }
}

/// Tells heads that were held up from those of a log that is an older one by now.
#[derive(Default)]
struct Known {
    /// Heads in a row that were further back.
    back: u32,
}

impl Known {
    /// Whether `said` is to be believed after `known`. A relay that was held up says what it knew then; but what is said
    /// again and again is so: the log is an older one by now. Clocks do not count: one relay's may be behind another's.
    fn takes(&mut self, known: Option<LogHead>, said: LogHead) -> bool {
        let further = known.is_none_or(|known| known.position <= said.position);
        self.back = if further { 0 } else { self.back + 1 };
        further || self.back >= AGAIN
    }
}

async fn listen_once(
    settings: &KafkaSettings,
    topic: &str,
    keys: &HeadKeys,
    heads: &watch::Sender<Option<LogHead>>,
) -> Result<(), KafkaError> {
    let reader = Reader::from_now(settings, topic).await?;
    let (mut strangers, mut known) = (HashSet::new(), Known::default());
    loop {
        let message = match timeout(SILENCE, reader.recv()).await {
            Ok(Ok(message)) => message,
            Ok(Err(KafkaError::PartitionEOF(_))) => continue,
            Ok(Err(error)) if passes(&error) => continue,
            Ok(Err(error)) => return Err(error),
            // Something is said each second. A client that knew a topic before it was deleted may never hear the new one.
            Err(_) => return Ok(()),
        };
        let Control::LogHead(said) = Control::read(&message) else { continue };
        if !keys.signed(&said) {
            if strangers.len() < STRANGERS && strangers.insert(said.key_id.clone()) {
                tracing::warn!(key = said.key_id, "log heads that the command side did not sign");
            }
            continue;
        }
        heads.send_if_modified(|head| {
            let taken = known.takes(*head, said.head);
            if taken {
                *head = Some(said.head);
            }
            taken
        });
    }
}

/// Looks for partitions that were added.
async fn look(settings: KafkaSettings, counts: watch::Sender<i32>) {
    let topic = Topics::new(&settings.prefix).events;
    let mut reader = None;
    loop {
        let (known, wanted, for_reader) = (reader.take(), topic.clone(), settings.clone());
        let found = blocking(move || {
            let reader = match known {
                Some(reader) => reader,
                None => Reader::new(&for_reader)?,
            };
            let count = partitions(&reader, &wanted)?;
            Ok((reader, count))
        });
        match found.await {
            Ok((known, count)) => {
                reader = Some(known);
                counts.send_if_modified(|before| std::mem::replace(before, count) != count);
            }
            Err(error) => tracing::debug!(%error, "the brokers do not answer"),
        }
        let there = *counts.borrow() > 0;
        tokio::time::sleep(if there { settings.look_for_partitions } else { Duration::from_millis(200) }).await;
    }
}

#[cfg(test)]
mod tests {
    use app::wire::{GENESIS, Position};

    use super::*;

    #[test]
    fn a_head_is_newer_by_its_position_whatever_the_clock_of_the_relay_says() {
        let head = |position, at| LogHead { position: Position(position), hash: GENESIS, at };
        let takes = |known, said| Known::default().takes(known, said);
        assert!(takes(None, head(0, 5)));
        assert!(takes(Some(head(7, 100)), head(8, 20)), "a clock was set back");
        assert!(takes(Some(head(7, 100)), head(7, 20)));
        assert!(!takes(Some(head(7, 100)), head(6, 200)), "said late");
    }

    #[test]
    fn what_is_said_again_and_again_is_so_though_it_is_further_back() {
        let head = |position| LogHead { position: Position(position), hash: GENESIS, at: 0 };
        let (mut known, mut late) = (Known::default(), Known::default());
        let mut taken = (90..100).map(|at| known.takes(Some(head(100)), head(at)));
        assert_eq!(taken.position(|taken| taken), Some(4));
        // Not where another relay says more in between.
        assert!(
            (0..20).all(|at| late.takes(Some(head(100)), head(100 + at)) && !late.takes(Some(head(100)), head(99)))
        );
    }
}
