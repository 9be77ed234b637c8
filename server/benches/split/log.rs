//! A long log on PostgreSQL, and as messages of a topic.

use std::{sync::Arc, time::Duration};

use app::wire::{Envelope, Position};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use server::{
    bus::{
        head::HeadKeys,
        kafka::{KafkaSettings, Relay, RelayParts, Topics, ensure},
    },
    db_url::DbUrl,
    write::{
        database::WriteDb,
        keys::SigningKeys,
        log_source::{WriteLog, head_signer},
        relay_lease::RelayLease,
        store::Head,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{servers::Servers, support};

/// Events of one append.
const CHUNK: usize = 1_000;

/// A write database with so many events.
pub async fn fill(servers: &Servers, purpose: &str, count: usize) -> WriteDb {
    let db = DbUrl::Postgres(servers.database(purpose).await);
    WriteDb::migrate(&db, None).await.unwrap();
    let db = WriteDb::open(&db, None).await.unwrap();
    let (mut log, mut head) = (support::log::Log::new(), Head::EMPTY);
    for _ in 0..count / CHUNK {
        let events: Vec<Envelope> = (0..CHUNK).map(|_| log.next()).collect();
        let last = events.last().unwrap();
        let next = Head { position: last.position, hash: last.hash, recorded_at: last.recorded_at };
        db.store.append(head.position, &events, &next).await.unwrap();
        head = next;
    }
    db
}

pub fn keys() -> Arc<SigningKeys> {
    Arc::new(SigningKeys::from_seed([7; 32]))
}

/// Runs the relay until it has published all up to `end`; what came before the first message is not counted: topics are
/// there already.
pub async fn publish(db: &WriteDb, settings: &KafkaSettings, end: Position) -> Duration {
    ensure(settings).await.unwrap();
    let (_appended, heads) = watch::channel(None);
    let (_changed, people) = watch::channel(0);
    let relay = Relay::new(RelayParts {
        settings: settings.clone(),
        log: Arc::new(WriteLog::new(db.store.clone(), db.people.clone())),
        appended: heads,
        people,
        lease: Arc::new(RelayLease::new(db.store.clone(), &settings.prefix)),
        sign: head_signer(keys()),
        keys: HeadKeys::new([keys().verifying_key()]),
    });
    let (mut status, cancelled) = (relay.status(), CancellationToken::new());
    let started = std::time::Instant::now();
    let running = relay.start(cancelled.clone());
    status.wait_for(|status| status.published >= end).await.unwrap();
    let took = started.elapsed();
    cancelled.cancel();
    running.await.unwrap();
    took
}

/// A consumer at the start of all partitions of the topic of events.
pub fn consumer(settings: &KafkaSettings) -> BaseConsumer {
    let topic = Topics::new(&settings.prefix).events;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.brokers);
    config.set("group.id", "bench").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut places = TopicPartitionList::new();
    for partition in 0..settings.partitions {
        places.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&places).unwrap();
    consumer
}

/// Hands over `count` messages with their positions, as they come.
pub fn each(
    consumer: &BaseConsumer,
    count: usize,
    mut take: impl FnMut(Position, &rdkafka::message::BorrowedMessage<'_>),
) {
    use rdkafka::message::Headers as _;
    let mut seen = 0;
    while seen < count {
        let Some(message) = consumer.poll(Duration::from_secs(60)) else { panic!("no message within a minute") };
        let message = message.unwrap();
        let headers = message.headers().unwrap();
        let position = headers.iter().find(|header| header.key == "ce_position").unwrap().value.unwrap();
        take(Position(std::str::from_utf8(position).unwrap().parse().unwrap()), &message);
        seen += 1;
    }
}
