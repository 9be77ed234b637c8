//! One node's subscription to the events: all partitions, merged by position, with what is missing asked for again (B3).
//!
//! Memory is bounded: a partition far ahead of the others is paused.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::wire::{Envelope, Parked, Position};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Message as _},
};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{
    merge::{AGAIN, Lane, Merge},
    passes,
    reader::Reader,
    received::{self, Read},
    replay::Replays,
    settings::KafkaSettings,
    topics::Topics,
};
use crate::bus::{BusError, BusStatus, Events, LogHead, OddMessage, PartitionStatus, ReplayAsked};

/// Most events that are handed over at once.
const CHUNK: usize = 10_000;

/// What comes within this is no hole: partitions are not read all at the same time.
const MOMENT: Duration = Duration::from_millis(50);

/// A position that was said to be there and has not come for so long, or so many things that had to be asked for again: then
/// nothing is kept of what the clients know. They may know a topic that was deleted, and take the new one for an older
/// state of it, of which they do not read all partitions.
const STUCK: Duration = Duration::from_secs(20);
const ASKED: u32 = 20;

/// What the node says of its bus.
pub type SharedStatus = Arc<Mutex<BusStatus>>;

/// A partition that is read.
#[derive(Debug, Clone, Copy)]
struct Partition {
    offset: i64,
    at_end: bool,
    paused: bool,
}

/// A subscription.
pub struct Subscription {
    reader: Reader,
    topic: String,
    merge: Merge,
    partitions: BTreeMap<Lane, Partition>,
    /// How many there are.
    count: watch::Receiver<i32>,
    head: watch::Receiver<Option<LogHead>>,
    replays: Replays,
    hole_age: Duration,
    /// The position that is missing, and since when that is known.
    missing: Option<(Position, Instant)>,
    /// How often something was asked for again.
    asked: u32,
    tick: Interval,
    status: SharedStatus,
}

/// What a message was, with nothing borrowed from the consumer any more.
enum Came {
    Message {
        partition: Lane,
        offset: i64,
        read: Read,
    },
    End(Lane),
    Again(Result<Read, KafkaError>),
    /// The brokers are away; the clients look for them.
    Nothing,
    MorePartitions,
    Tick,
}

impl Subscription {
    /// Reads on with `reader`, which was given `places`.
    pub fn new(
        settings: &KafkaSettings,
        reader: Reader,
        places: &[(Lane, Offset)],
        after: Position,
        count: watch::Receiver<i32>,
        head: watch::Receiver<Option<LogHead>>,
        replays: Replays,
        status: SharedStatus,
    ) -> Self {
        let fresh = Partition { offset: -1, at_end: false, paused: false };
        let mut tick = interval((settings.hole_age / 10).clamp(MOMENT, 2 * MOMENT));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            reader,
            topic: Topics::new(&settings.prefix).events,
            merge: Merge::new(after, settings.ahead),
            partitions: places.iter().map(|(partition, _)| (*partition, fresh)).collect(),
            count,
            head,
            replays,
            hole_age: settings.hole_age,
            missing: None,
            asked: 0,
            tick,
            status,
        }
    }

    /// What comes next from anywhere. Cancel-safe.
    async fn wait(&mut self) -> Result<Came, BusError> {
        tokio::select! {
            message = self.reader.recv() => owned(message),
            again = self.replays.next() => Ok(Came::Again(again)),
            changed = self.count.changed() => match changed {
                Ok(()) => Ok(Came::MorePartitions),
                Err(ended) => Err(BusError(Box::new(ended))),
            },
            _ = self.tick.tick() => Ok(Came::Tick),
        }
    }

    async fn accept(&mut self, came: Came) -> Result<(), BusError> {
        match came {
            Came::Message { partition, offset, read } => self.message(partition, offset, read)?,
            Came::End(partition) => {
                if let Some(partition) = self.partitions.get_mut(&partition) {
                    partition.at_end = true;
                }
            }
            Came::Again(Ok(read)) => {
                self.replays.came();
                match read {
                    Read::Event(event) => self.merge.offer(AGAIN, *event),
                    Read::Damaged(what) | Read::Foreign(what) => tracing::warn!(what, "a replay brought no event"),
                }
            }
            Came::Again(Err(error)) => {
                tracing::warn!(%error, "the replay topic does not read");
                self.replays.reopen();
            }
            Came::Nothing => {}
            Came::MorePartitions => self.add_partitions()?,
            Came::Tick => self.look_for_holes().await?,
        }
        Ok(())
    }

    fn message(&mut self, lane: Lane, offset: i64, read: Read) -> Result<(), BusError> {
        let odd = |what: String| OddMessage { topic: self.topic.clone(), partition: lane, offset, what };
        match read {
            Read::Event(event) => self.merge.offer(lane, *event),
            Read::Damaged(what) => {
                tracing::warn!(partition = lane, offset, what, "a damaged copy of an event");
                lock(&self.status).note_odd(odd(what), true);
            }
            Read::Foreign(what) => {
                tracing::debug!(partition = lane, offset, what, "a message that is not ours");
                lock(&self.status).note_odd(odd(what), false);
            }
        }
        let Some(partition) = self.partitions.get_mut(&lane) else { return Ok(()) };
        partition.offset = offset;
        partition.at_end = false;
        if !partition.paused && self.merge.is_full(lane) {
            partition.paused = true;
            self.reader.pause(&list(&self.topic, lane))?;
            self.say_partitions();
        }
        Ok(())
    }

    /// Reads on where there is room again.
    fn resume(&mut self) -> Result<(), BusError> {
        let mut resumed = false;
        for (lane, partition) in &mut self.partitions {
            if partition.paused && self.merge.has_room(*lane) {
                self.reader.resume(&list(&self.topic, *lane))?;
                partition.paused = false;
                resumed = true;
            }
        }
        if resumed {
            self.say_partitions();
        }
        Ok(())
    }

    fn say_partitions(&self) {
        lock(&self.status).partitions = self.partitions.iter().map(said).collect();
    }

    /// A partition that was added is read from its beginning: whatever it has came after the subscription began.
    fn add_partitions(&mut self) -> Result<(), BusError> {
        let known = i32::try_from(self.partitions.len()).unwrap_or(i32::MAX);
        let count = *self.count.borrow_and_update();
        if count < known {
            return Err(BusError(format!("the topic had {known} partitions and has {count}").into()));
        }
        for added in known..count {
            tracing::info!(partition = added, "the topic has one partition more");
            self.reader.read_from(&self.topic, &[(added, Offset::Beginning)])?;
            self.partitions.insert(added, Partition { offset: -1, at_end: false, paused: false });
        }
        Ok(())
    }

    /// Asks for what has not come though nothing more will bring it.
    async fn look_for_holes(&mut self) -> Result<(), BusError> {
        let next = self.merge.next();
        let head = self.head.borrow().map(|head| head.position);
        let hole = self.merge.hole(head);
        let known = self.missing.filter(|(missing, _)| *missing == next);
        self.missing = hole.map(|_| known.unwrap_or((next, Instant::now())));
        if self.missing.is_some_and(|(_, since)| since.elapsed() >= STUCK) {
            return Err(BusError(format!("position {next} has not come for {} s", STUCK.as_secs()).into()));
        }
        if let Some((from, to)) = hole {
            let patience = if self.replays.just_ended(next) { MOMENT } else { self.hole_age };
            if self.merge.waits() >= patience && self.read_past() && self.replays.ask(from, to).await? {
                self.asked += 1;
                if self.asked > ASKED {
                    return Err(BusError(format!("{ASKED} times something had to be asked for again").into()));
                }
            }
        } else {
            self.replays.close();
        }
        let replay = self.replays.open(next).map(|(from, to)| ReplayAsked { from, to });
        let waiting = hole.filter(|_| replay.is_some() || self.merge.waits() >= self.hole_age).map(|_| Parked {
            position: next,
            error: match replay {
                Some(asked) => {
                    format!("the topic does not have it: {} to {} were asked for again", asked.from, asked.to)
                }
                None => "it has not come yet".to_owned(),
            },
        });
        let mut status = lock(&self.status);
        status.replay = replay;
        status.waiting = waiting;
        status.partitions = self.partitions.iter().map(said).collect();
        Ok(())
    }

    /// Whether no partition can still bring the next position: each was read to its end or past that position.
    fn read_past(&self) -> bool {
        self.partitions.iter().all(|(lane, partition)| partition.at_end || self.merge.is_beyond(*lane))
    }
}

#[async_trait]
impl Events for Subscription {
    async fn next(&mut self) -> Result<Vec<Envelope>, BusError> {
        loop {
            let ready = self.merge.take(CHUNK);
            if !ready.is_empty() {
                lock(&self.status).waiting = None;
                self.resume()?;
                return Ok(ready);
            }
            let came = self.wait().await?;
            self.accept(came).await?;
            // What is here already goes out together.
            for _ in 0..CHUNK {
                let message = self.reader.recv().now_or_never().map(owned).transpose()?;
                let again = self.replays.next().now_or_never().map(Came::Again);
                if message.is_none() && again.is_none() {
                    break;
                }
                for came in [message, again].into_iter().flatten() {
                    self.accept(came).await?;
                }
            }
        }
    }

    fn give_back(&mut self, rest: Vec<Envelope>) -> bool {
        if let Some(damaged) = rest.first() {
            lock(&self.status).damaged += 1;
            tracing::warn!(position = damaged.position.0, "a damaged copy of an event: another is fetched");
        }
        self.merge.give_back(rest);
        true
    }
}

fn owned(message: Result<BorrowedMessage<'_>, KafkaError>) -> Result<Came, BusError> {
    match message {
        Ok(message) => Ok(Came::Message {
            partition: message.partition(),
            offset: message.offset(),
            read: received::read(&message),
        }),
        Err(KafkaError::PartitionEOF(partition)) => Ok(Came::End(partition)),
        // It goes on from the beginning by itself; what is lost is a hole.
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OffsetOutOfRange) => Ok(Came::Nothing),
        Err(error) if passes(&error) => {
            tracing::warn!(%error, "the brokers do not answer");
            Ok(Came::Nothing)
        }
        Err(error) => Err(error.into()),
    }
}

fn said((lane, partition): (&Lane, &Partition)) -> PartitionStatus {
    PartitionStatus { partition: *lane, offset: partition.offset, at_end: partition.at_end, paused: partition.paused }
}

fn list(topic: &str, partition: Lane) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    list
}

pub fn lock(status: &SharedStatus) -> std::sync::MutexGuard<'_, BusStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}
