//! The topics themselves: made as they should be, warned of if they are not, changed while nodes run, read by strangers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use app::wire::{GENESIS, Position};
use rdkafka::{
    admin::{NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use server::{
    bus::{After, LogHead, kafka::ensure},
    write::{keys::SigningKeys, log_source::head_signer},
};
use tokio_util::sync::CancellationToken;

use super::{
    cluster::{Cluster, script},
    parts::{LONG, MemoryLease, Reading, admin, bus, client, settings, start_relay, topics, until},
};
use crate::{
    history::{History, Log, Place},
    services::topic::options,
};

#[tokio::test]
async fn topics_are_made_as_they_are_promised_and_lesser_ones_are_named() {
    let settings = settings(Cluster::shared());
    assert_eq!(ensure(&settings).await.unwrap(), Vec::<String>::new());
    assert_eq!(ensure(&settings).await.unwrap(), Vec::<String>::new());
    let names = topics(&settings);
    let value = async |topic: &str, key: &str| {
        let described =
            admin(&settings).describe_configs(&[ResourceSpecifier::Topic(topic)], &options()).await.unwrap();
        described[0].as_ref().unwrap().get(key).unwrap().value.clone().unwrap()
    };
    assert_eq!(value(&names.events, "retention.ms").await, "-1");
    assert_eq!(value(&names.people, "cleanup.policy").await, "compact");
    assert_eq!(value(&names.control, "retention.ms").await, "86400000");
    assert_eq!(value(&names.replay, "retention.ms").await, "3600000");

    let lesser = super::parts::settings(Cluster::shared());
    let names = topics(&lesser);
    let new = NewTopic::new(&names.events, 1, TopicReplication::Fixed(1)).set("retention.ms", "60000");
    admin(&lesser).create_topics([&new], &options()).await.unwrap();
    let lacking = ensure(&lesser).await.unwrap();
    assert!(lacking.contains(&format!("{} has retention.ms 60000, not -1", names.events)), "{lacking:?}");
}

#[tokio::test]
async fn a_partition_added_to_a_running_topic_loses_nothing() {
    let settings = settings(Cluster::shared());
    let history = History::random(61, 900);
    let log = Log::new(history.events[..300].to_vec());
    let lease = MemoryLease::new();
    let relay = start_relay(&settings, &log, &lease);
    let places = [Place::new(), Place::new()];
    let reading = Reading::start(&places[0], &settings).await;
    reading.has(&history.events[..300]).await;
    let names = topics(&settings);
    admin(&settings).create_partitions([&NewPartitions::new(&names.events, 5)], &options()).await.unwrap();
    log.set(history.events[..600].to_vec());
    reading.has(&history.events[..600]).await;
    until("five partitions are read", || reading.status().partitions.len() == 5).await;
    // A producer learns of them in its own time; one that is new knows them.
    relay.stop().await;
    let relay = start_relay(&settings, &log, &lease);
    log.set(history.events.clone());
    reading.has(&history.events).await;
    until("the new partitions are used", || {
        reading.status().partitions.iter().any(|partition| partition.partition >= 3 && partition.offset >= 0)
    })
    .await;
    let new = Reading::start(&places[1], &settings).await;
    new.has(&history.events).await;
    new.stop().await;
    reading.stop().await;
    relay.stop().await;
}

#[tokio::test]
async fn what_is_not_ours_is_counted_with_its_place_and_ignored() {
    let settings = settings(Cluster::shared());
    let history = History::random(62, 100);
    let log = Log::new(history.events[..50].to_vec());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    relay.published(Position(50)).await;
    let names = topics(&settings);
    let stranger: BaseProducer = client(&settings).create().unwrap();
    let bare = BaseRecord::to(&names.events).key("x").payload("hello").partition(1);
    stranger.send(bare).unwrap();
    let other = |source| OwnedHeaders::new().insert(Header { key: "ce_source", value: Some(source) });
    stranger.send(BaseRecord::to(&names.events).key("x").payload("{}").partition(1).headers(other("/shop"))).unwrap();
    // It says that it is ours, and is not whole.
    stranger
        .send(BaseRecord::to(&names.events).key("x").payload("{}").partition(1).headers(other("/daybook")))
        .unwrap();
    // Nor is this what the command side says.
    stranger.send(BaseRecord::<(), str>::to(&names.control).payload("{\"position\":1}")).unwrap();
    stranger.flush(Duration::from_secs(20)).unwrap();
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    log.set(history.events.clone());
    reading.has(&history.events).await;
    until("all are counted", || (reading.status().foreign, reading.status().damaged) == (2, 1)).await;
    let odd = reading.status().odd;
    assert!(odd.iter().all(|odd| odd.topic == names.events && odd.partition == 1 && odd.offset > 0), "{odd:?}");
    assert_eq!(odd[1].what, "its source is /shop");
    reading.stop().await;
    relay.stop().await;
}

#[tokio::test]
async fn a_log_head_that_a_stranger_signed_counts_for_nothing() {
    let settings = settings(Cluster::shared());
    let history = History::random(65, 100);
    let log = Log::new(history.events[..50].to_vec());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    relay.published(Position(50)).await;
    let cancelled = CancellationToken::new();
    let bus = bus(&settings, &cancelled);
    let mut head = bus.log_head();
    let mut heard = async |position: Position| {
        let heard = head.wait_for(|head| head.is_some_and(|head| head.position >= position));
        tokio::time::timeout(LONG, heard).await.unwrap().unwrap().unwrap().position
    };
    assert_eq!(heard(Position(50)).await, Position(50));
    let sign = head_signer(Arc::new(SigningKeys::from_seed([8; 32])));
    let value = serde_json::to_vec(&sign(LogHead { position: Position(5000), hash: GENESIS, at: i64::MAX })).unwrap();
    let header = |key, value| Header { key, value: Some(value) };
    let headers =
        OwnedHeaders::new().insert(header("ce_source", "/daybook")).insert(header("ce_type", "daybook.log_head"));
    let control = topics(&settings).control;
    let stranger: BaseProducer = client(&settings).create().unwrap();
    stranger.send(BaseRecord::<(), [u8]>::to(&control).payload(&value).headers(headers)).unwrap();
    stranger.flush(Duration::from_secs(20)).unwrap();
    // What the relay says comes behind it.
    log.set(history.events.clone());
    assert_eq!(heard(history.head()).await, history.head());
    cancelled.cancel();
    relay.stop().await;
}

#[tokio::test]
async fn a_node_that_takes_slowly_keeps_little_and_pauses_partitions() {
    let mut settings = settings(Cluster::shared());
    settings.ahead = 20;
    let history = History::random(63, 2000);
    let log = Log::new(history.events.clone());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    relay.published(Position(2000)).await;
    let cancelled = CancellationToken::new();
    let bus = bus(&settings, &cancelled);
    let mut events = bus.events(After::default()).await.unwrap();
    let mut taken = Vec::new();
    let mut paused = false;
    while taken.len() < 2000 {
        let some = events.next().await.unwrap();
        // Three partitions, each full, and what was on its way when they were.
        assert!(some.len() <= 1000);
        taken.extend(some);
        paused |= bus.status().partitions.iter().any(|partition| partition.paused);
        tokio::task::yield_now().await;
    }
    assert!(taken == history.events && paused);
    cancelled.cancel();
    relay.stop().await;
}

#[tokio::test]
async fn a_client_that_is_not_ours_reads_every_event_with_its_headers() {
    assert!(script().arg("witness").status().unwrap().success());
    let settings = settings(Cluster::shared());
    let history = History::random(64, 120);
    let log = Log::new(history.events.clone());
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    relay.published(history.head()).await;
    let topic = topics(&settings).events;
    let format = "%k\t%h\t%s\n";
    let read = std::process::Command::new("kcat")
        .args(["-C", "-q", "-e", "-b", &settings.brokers, "-t", &topic, "-o", "beginning", "-f", format])
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).unwrap();
    let found: BTreeSet<String> = text.lines().map(ToOwned::to_owned).collect();
    assert_eq!(found.len(), history.events.len());
    for event in &history.events {
        let start = format!("{}\tce_specversion=1.0,ce_id={},", event.stream, event.event_id);
        let end = format!("\t{}", str::from_utf8(&event.payload).unwrap());
        let line = found.iter().find(|line| line.starts_with(&start)).expect(&start);
        assert!(line.ends_with(&end), "{line}");
        assert!(line.contains(&format!(",ce_hash={},", event.hash)) && line.contains("content-type=application/json"));
    }
    relay.stop().await;
}
