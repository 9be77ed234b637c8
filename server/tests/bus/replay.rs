//! B3: what the topic does not have comes from the log, by replay, to whoever needs it.

use std::time::Duration;

use app::wire::{Envelope, Position};
use rdkafka::{Message, Offset, TopicPartitionList};
use server::bus::kafka::KafkaSettings;

use super::{
    cluster::Cluster,
    parts::{MemoryLease, Reading, admin, all_messages, settings, start_relay, topics, until},
};
use crate::{
    history::{History, Log, Place},
    services::topic::options,
};

/// Takes from a topic what is before `offset` in these partitions; all of it at the end.
async fn forget(settings: &KafkaSettings, partitions: &[(i32, Offset)]) {
    let topic = topics(settings).events;
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(&topic, *partition, *offset).unwrap();
    }
    admin(settings).delete_records(&list, &options()).await.unwrap();
}

#[tokio::test]
async fn b3_a_new_node_on_a_topic_that_lost_its_beginning_gets_everything() {
    let settings = settings(Cluster::shared());
    let history = History::random(51, 800);
    let log = Log::new(history.events[..700].to_vec());
    let lease = MemoryLease::new();
    let relay = start_relay(&settings, &log, &lease);
    relay.published(Position(700)).await;
    // One partition lost all, another half, one nothing.
    forget(&settings, &[(0, Offset::End), (1, Offset::Offset(100))]).await;
    relay.stop().await;
    let places = [Place::new(), Place::new()];
    let reading = [Reading::start(&places[0], &settings).await, Reading::start(&places[1], &settings).await];
    // While nobody answers, the status says what was asked for.
    for reading in &reading {
        until("something is asked for", || reading.status().replay.is_some() && reading.status().waiting.is_some())
            .await;
    }
    let relay = start_relay(&settings, &log, &lease);
    for reading in &reading {
        reading.has(&history.events[..700]).await;
    }
    // And goes on with what comes.
    log.set(history.events.clone());
    for reading in reading {
        reading.has(&history.events).await;
        until("nothing is waited for", || reading.status().replay.is_none() && reading.status().waiting.is_none())
            .await;
        reading.stop().await;
    }
    relay.stop().await;
}

#[tokio::test]
async fn b3_with_full_buffers_and_paused_partitions_a_replay_comes_through() {
    let mut settings = settings(Cluster::shared());
    settings.ahead = 5;
    let history = History::random(52, 900);
    let log = Log::new(history.events.clone());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    relay.published(Position(900)).await;
    forget(&settings, &[(2, Offset::End)]).await;
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    let paused =
        |partition: i32| reading.status().partitions.iter().any(|found| found.partition == partition && found.paused);
    until("partitions 0 and 1 are paused", || paused(0) && paused(1)).await;
    reading.has(&history.events).await;
    reading.stop().await;
    relay.stop().await;
}

#[tokio::test]
async fn b3_a_topic_that_is_empty_though_the_log_is_not_is_noticed_by_the_log_head() {
    let settings = settings(Cluster::shared());
    let history = History::random(53, 300);
    let log = Log::new(history.events.clone());
    let lease = MemoryLease::new();
    // Published once, on a topic that is gone.
    lease.set_at(history.head());
    let relay = start_relay(&settings, &log, &lease);
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events).await;
    reading.stop().await;
    relay.stop().await;
}

#[tokio::test]
async fn b3_topics_deleted_and_made_again_while_nodes_run_lose_nothing() {
    let settings = settings(Cluster::shared());
    let history = History::random(54, 900);
    let log = Log::new(history.events[..400].to_vec());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    let places = [Place::new(), Place::new()];
    let reading = Reading::start(&places[0], &settings).await;
    reading.has(&history.events[..400]).await;

    let names = topics(&settings);
    let all = [&names.events, &names.control, &names.replay, &names.people].map(String::as_str);
    let gone = admin(&settings).delete_topics(&all, &options()).await.unwrap();
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    log.set(history.events[..800].to_vec());
    // The relay makes them again. Nobody helps.
    reading.has(&history.events[..800]).await;
    let new = Reading::start(&places[1], &settings).await;
    new.has(&history.events[..800]).await;
    log.set(history.events.clone());
    for reading in [reading, new] {
        reading.has(&history.events).await;
        reading.stop().await;
    }
    relay.stop().await;
}

#[tokio::test]
async fn b3_topics_made_again_are_read_by_clients_that_knew_later_leaders_of_them() {
    let cluster = Cluster::own(3);
    let settings = settings(&cluster);
    let history = History::random(56, 900);
    let log = Log::new(history.events[..400].to_vec());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events[..400]).await;
    // Each partition has had several leaders; a new topic begins with its first.
    for broker in 1..=3 {
        cluster.broker(broker, "kill");
        log.set(history.events[..400 + 50 * broker].to_vec());
        reading.has(&history.events[..400 + 50 * broker]).await;
        cluster.broker(broker, "up");
    }
    let names = topics(&settings);
    let gone =
        admin(&settings).delete_topics(&[&names.events, &names.control, &names.replay], &options()).await.unwrap();
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    // Whatever is not read there comes by replay; it has to be read there again before long.
    let mut end = 600;
    log.set(history.events[..end].to_vec());
    reading.has(&history.events[..end]).await;
    while !reads_to_the_end(&settings, &reading).await {
        end += 1;
        assert!(end <= history.events.len(), "{:?}", reading.status());
        log.set(history.events[..end].to_vec());
        reading.has(&history.events[..end]).await;
    }
    reading.stop().await;
    relay.stop().await;
}

/// Whether each partition is read to its last message, and none beyond it, as one of a topic that was deleted may be; it is
/// said a moment later.
async fn reads_to_the_end(settings: &KafkaSettings, reading: &Reading) -> bool {
    let messages = all_messages(settings, &topics(settings).events);
    let is_at_end = || {
        reading.status().partitions.iter().all(|read| {
            let here = messages.iter().filter(|message| message.partition() == read.partition);
            here.map(Message::offset).max().is_none_or(|last| read.offset == last)
        })
    };
    let said = async {
        while !is_at_end() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), said).await.is_ok()
}

fn damaged(events: &[Envelope], at: &[usize], damage: fn(&mut Envelope)) -> Vec<Envelope> {
    let mut events = events.to_vec();
    for at in at {
        damage(&mut events[*at]);
    }
    events
}

#[tokio::test]
async fn b3_damaged_copies_are_holes_and_come_whole_by_replay() {
    let history = History::random(55, 400);
    let damages: [fn(&mut Envelope); 3] = [
        |event| event.payload.truncate(event.payload.len() / 2),
        |event| event.hash.0[5] ^= 1,
        |event| event.metadata[0] = 0xff,
    ];
    for damage in damages {
        let settings = settings(Cluster::shared());
        // The relay of a broken machine published them.
        let log = Log::new(damaged(&history.events, &[0, 120, 121, 399], damage));
        let lease = MemoryLease::new();
        let relay = start_relay(&settings, &log, &lease);
        relay.published(history.head()).await;
        log.set(history.events.clone());
        let place = Place::new();
        let reading = Reading::start(&place, &settings).await;
        reading.has(&history.events).await;
        assert_eq!(reading.status().damaged, 4);
        until("nothing is waited for", || reading.node.side.status().waiting.is_none()).await;
        reading.stop().await;
        relay.stop().await;
    }
}

#[tokio::test]
async fn b3_nobody_else_sees_a_replay() {
    let settings = settings(Cluster::shared());
    let history = History::random(56, 300);
    let log = Log::new(history.events.clone());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    let places = [Place::new(), Place::new()];
    let settled = Reading::start(&places[0], &settings).await;
    settled.has(&history.events).await;
    let at_end = || settled.status().partitions.iter().all(|partition| partition.at_end && partition.offset >= 0);
    until("all partitions are read", at_end).await;
    let before = settled.status();
    forget(&settings, &[(0, Offset::End), (1, Offset::End), (2, Offset::End)]).await;
    let new = Reading::start(&places[1], &settings).await;
    new.has(&history.events).await;
    let after = settled.status();
    assert_eq!((after.replay, after.damaged, after.foreign), (before.replay, before.damaged, before.foreign));
    assert_eq!(
        after.partitions.iter().map(|partition| partition.offset).max(),
        before.partitions.iter().map(|partition| partition.offset).max()
    );
    settled.stop().await;
    new.stop().await;
    relay.stop().await;
}
