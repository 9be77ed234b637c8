//! B1, B2: every committed event reaches the bus, in stream order, whatever crashes in between.

use std::sync::Arc;

use app::wire::{Envelope, Hash, Position, StreamId, Version};
use async_trait::async_trait;
use rdkafka::message::Message as _;
use server::bus::{BusError, LogHead, LogSource, PersonChange};
use tokio::sync::Semaphore;

use super::{
    cluster::Cluster,
    parts::{MemoryLease, Reading, all_messages, settings, start_relay, start_relay_on, topics, until},
};
use crate::{
    history::{History, Log, Place},
    services::topic::{assert_first_copies_in_stream_order, header},
};

#[tokio::test]
async fn b1_the_log_reaches_the_topic_in_stream_order_and_a_node_byte_by_byte() {
    let settings = settings(Cluster::shared());
    let history = History::random(41, 600);
    let log = Log::new(history.events[..200].to_vec());
    let lease = MemoryLease::new();
    let relay = start_relay(&settings, &log, &lease);
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events[..200]).await;
    log.set(history.events.clone());
    reading.has(&history.events).await;
    relay.published(history.head()).await;
    until("the checkpoint", || lease.at() == history.head()).await;
    let messages = all_messages(&settings, &topics(&settings).events);
    assert_eq!(messages.len(), history.events.len());
    assert_first_copies_in_stream_order(&messages, history.events.len());
    for message in &messages {
        assert_eq!(message.key().unwrap(), header(message, "ce_subject").as_bytes());
    }
    reading.stop().await;
    relay.stop().await;

    // What was published stays published once; the node goes on where it stood.
    let longer = History::random(41, 700);
    assert_eq!(longer.events[..600], history.events);
    log.set(longer.events.clone());
    let relay = start_relay(&settings, &log, &lease);
    let reading = Reading::start(&place, &settings).await;
    reading.has(&longer.events).await;
    assert_eq!(all_messages(&settings, &topics(&settings).events).len(), longer.events.len());
    // It looked for its place by time instead of reading everything.
    until("some partition is read", || !reading.status().partitions.is_empty()).await;
    reading.stop().await;
    relay.stop().await;
}

#[tokio::test]
async fn b1_a_relay_killed_between_publishing_and_its_checkpoint_loses_and_doubles_nothing() {
    let settings = settings(Cluster::shared());
    let history = History::random(42, 500);
    let log = Log::new(history.events[..300].to_vec());
    let lease = MemoryLease::new();
    let all = lease.saves.forget_permits(Semaphore::MAX_PERMITS);
    let place = Place::new();
    for killed in 1..=3_usize {
        let relay = start_relay(&settings, &log, &lease);
        relay.published(Position(300)).await;
        relay.kill();
        assert_eq!(lease.at(), Position(0));
        lease.lapse();
        assert_eq!(all_messages(&settings, &topics(&settings).events).len(), 300 * killed);
    }
    lease.saves.add_permits(all);
    log.set(history.events.clone());
    let relay = start_relay(&settings, &log, &lease);
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events).await;
    relay.published(history.head()).await;
    let messages = all_messages(&settings, &topics(&settings).events);
    assert_eq!(messages.len(), 3 * 300 + 500);
    assert_first_copies_in_stream_order(&messages, 500);
    reading.stop().await;
    relay.stop().await;
}

#[tokio::test]
async fn b1_a_relay_that_alone_comes_to_no_broker_gives_its_lease_to_another() {
    let settings = settings(Cluster::shared());
    let mut cut_off = settings.clone();
    cut_off.brokers = "127.0.0.1:1".to_owned();
    let history = History::random(44, 100);
    let (log, lease) = (Log::new(history.events.clone()), MemoryLease::new());
    let first = start_relay(&cut_off, &log, &lease);
    until("the lease is held", || first.status.borrow().holds).await;
    let second = start_relay(&settings, &log, &lease);
    second.published(history.head()).await;
    assert!(second.status.borrow().holds && !first.status.borrow().holds);
    first.stop().await;
    second.stop().await;
}

/// A log that is read only with a permit: whoever reads it can be stopped there, as a process that is not run.
struct Held {
    log: Arc<Log>,
    reads: Semaphore,
}

#[async_trait]
impl LogSource for Held {
    async fn read(&self, after: Position, _: u32) -> Result<Vec<Envelope>, BusError> {
        self.reads.acquire().await.unwrap().forget();
        // Read before it was held up, published after.
        self.log.read(after, 100).await
    }

    async fn head(&self) -> Result<LogHead, BusError> {
        self.log.head().await
    }

    async fn hash_of(&self, stream: StreamId, version: Version) -> Result<Option<Hash>, BusError> {
        self.log.hash_of(stream, version).await
    }

    async fn people(&self) -> Result<Vec<PersonChange>, BusError> {
        self.log.people().await
    }
}

#[tokio::test]
async fn b1_two_relays_of_which_one_wakes_up_past_its_lease_are_seen_by_no_node() {
    let settings = settings(Cluster::shared());
    let history = History::random(43, 900);
    let log = Log::new(history.events.clone());
    let (first, second) = (MemoryLease::new(), MemoryLease::new());
    let slow = Arc::new(Held { log: log.clone(), reads: Semaphore::new(2) });
    let place = Place::new();

    // The first publishes 200 events and is held up. Its lease passes to the second, which publishes everything: each believes
    // in a lease of its own, so that the first does not notice before its next save.
    let late = start_relay_on(&settings, slow.clone(), &log, first.clone());
    late.published(Position(200)).await;
    until("the checkpoint", || first.at() == Position(200)).await;
    second.set_at(first.at());
    let relay = start_relay(&settings, &log, &second);
    let reading = Reading::start(&place, &settings).await;
    relay.published(Position(900)).await;

    // It wakes up, and says what was said.
    slow.reads.add_permits(5);
    late.published(Position(700)).await;
    first.lapse();
    until("the first is not the relay any more", || !late.status.borrow().holds).await;
    until("the second's checkpoint", || second.at() == Position(900)).await;

    let messages = all_messages(&settings, &topics(&settings).events);
    assert_eq!(messages.len(), 900 + 500);
    assert_first_copies_in_stream_order(&messages, 900);
    reading.has(&history.events).await;
    let afterwards = Place::new();
    let new = Reading::start(&afterwards, &settings).await;
    new.has(&history.events).await;
    assert_eq!((reading.status().damaged, new.status().damaged), (0, 0));
    reading.stop().await;
    new.stop().await;
    relay.stop().await;
    late.kill();
}

#[tokio::test]
async fn b1_of_two_relays_on_one_lease_one_publishes_and_the_other_takes_over() {
    let settings = settings(Cluster::shared());
    let history = History::random(44, 400);
    let log = Log::new(history.events[..200].to_vec());
    let lease = MemoryLease::new();
    let first = start_relay(&settings, &log, &lease);
    first.published(Position(200)).await;
    let second = start_relay(&settings, &log, &lease);
    log.set(history.events[..300].to_vec());
    first.published(Position(300)).await;
    assert!(first.status.borrow().holds && !second.status.borrow().holds);
    first.kill();
    log.set(history.events.clone());
    second.published(Position(400)).await;
    until("the checkpoint", || lease.at() == Position(400)).await;
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events).await;
    reading.stop().await;
    second.stop().await;
}
