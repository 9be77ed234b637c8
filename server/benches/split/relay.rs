//! The relay, from PostgreSQL to Kafka, against a bare idempotent producer of the same messages, which it has in memory.

use std::time::{Duration, Instant};

use app::wire::Position;
use rdkafka::{
    ClientConfig, Message as _,
    error::RDKafkaErrorCode,
    message::OwnedMessage,
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use server::bus::kafka::{KafkaSettings, Topics, ensure};

use crate::{
    log::{consumer, each, fill, publish},
    servers::Servers,
    support::{compare, rate},
};

const EVENTS: usize = 200_000;

pub async fn run(rounds: usize, servers: &Servers) {
    let db = fill(servers, "relay", EVENTS).await;
    let (mut ours, mut theirs) = (vec![], vec![]);
    let mut messages: Vec<OwnedMessage> = vec![];
    for round in 0..rounds {
        // Of a topic that is new nothing is published yet.
        let settings = servers.topics(&format!("relay{round}"));
        ours.push(rate(EVENTS, publish(&db, &settings, Position(EVENTS as u64)).await));
        if messages.is_empty() {
            let consumer = consumer(&settings);
            each(&consumer, EVENTS, |_, message| messages.push(message.detach()));
        }
        let settings = servers.topics(&format!("bare{round}"));
        ensure(&settings).await.unwrap();
        let started = Instant::now();
        produce(&settings, &messages);
        theirs.push(rate(EVENTS, started.elapsed()));
    }
    println!("\nrelay, {EVENTS} events from PostgreSQL to Kafka");
    compare("    relay", "events/s", &ours, "a bare producer of the same messages", &theirs);
    db.close().await.unwrap();
}

fn produce(settings: &KafkaSettings, messages: &[OwnedMessage]) {
    let topic = Topics::new(&settings.prefix).events;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.brokers);
    config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "0");
    config.set("partitioner", "murmur2_random").set("queue.buffering.max.kbytes", "65536");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
    for message in messages {
        let mut record = BaseRecord::to(&topic)
            .key(message.key().unwrap())
            .payload(message.payload().unwrap())
            .headers(message.headers().unwrap().clone());
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
            record = back;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    producer.flush(Duration::from_secs(120)).unwrap();
}
