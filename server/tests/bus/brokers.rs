//! B2: brokers that are away fail nothing and slow nothing; the relay catches up by itself.

use app::wire::Position;
use rdkafka::admin::{ConfigSource, ResourceSpecifier};

use super::{
    cluster::Cluster,
    parts::{MemoryLease, Reading, admin, all_messages, settings, start_relay, topics, until},
};
use crate::{
    history::{History, Log, Place},
    services::topic::options,
};

#[tokio::test]
async fn b2_brokers_that_are_away_are_waited_for_and_the_relay_catches_up_alone() {
    let cluster = Cluster::own(1);
    let settings = settings(&cluster);
    let history = History::random(71, 900);
    let log = Log::new(history.events[..300].to_vec());
    let lease = MemoryLease::new();
    let relay = start_relay(&settings, &log, &lease);
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events[..300]).await;
    for (action, end) in [("kill", 500), ("down", 700)] {
        cluster.broker(1, action);
        // The log goes on without them: nothing of the relay is on a command's way.
        log.set(history.events[..end].to_vec());
        assert!(relay.status.borrow().published < Position(end as u64));
        // An operator is told before long.
        let mut status = relay.status.clone();
        status.wait_for(|status| status.error.is_some()).await.unwrap();
        cluster.broker(1, "up");
        reading.has(&history.events[..end]).await;
        relay.published(Position(end as u64)).await;
        status.wait_for(|status| status.error.is_none()).await.unwrap();
    }
    // A broker that hangs.
    cluster.broker(1, "freeze");
    log.set(history.events.clone());
    cluster.broker(1, "thaw");
    reading.has(&history.events).await;
    until("the checkpoint", || lease.at() == history.head()).await;
    reading.stop().await;
    relay.stop().await;
}

#[tokio::test]
async fn b1_one_of_three_brokers_killed_loses_and_doubles_nothing() {
    let cluster = Cluster::own(3);
    let settings = settings(&cluster);
    let history = History::random(72, 3000);
    let log = Log::new(history.events[..500].to_vec());
    let lease = MemoryLease::new();
    let relay = start_relay(&settings, &log, &lease);
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events[..500]).await;
    assert_eq!(relay.status.borrow().lacking, Vec::<String>::new());
    let events = topics(&settings).events;
    let described = admin(&settings).describe_configs(&[ResourceSpecifier::Topic(&events)], &options()).await.unwrap();
    let in_sync = described[0].as_ref().unwrap().get("min.insync.replicas").unwrap();
    // The topic's own, not what its brokers do for all.
    assert_eq!((in_sync.value.as_deref(), &in_sync.source), (Some("2"), &ConfigSource::DynamicTopic));
    for broker in 1..=3_usize {
        cluster.broker(broker, "kill");
        log.set(history.events[..500 + 800 * broker].to_vec());
        // Two of three are enough.
        reading.has(&history.events[..500 + 800 * broker]).await;
        cluster.broker(broker, "up");
    }
    log.set(history.events.clone());
    reading.has(&history.events).await;
    until("the checkpoint", || lease.at() == history.head()).await;
    let messages = all_messages(&settings, &topics(&settings).events);
    assert!(messages.len() >= 3000);
    reading.stop().await;
    relay.stop().await;
}
