//! Who people are, on the bus: the latest word wins, whoever is forgotten is gone from every node and stays so.

use app::ports::Role;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use server::bus::{Person, PersonChange, kafka::KafkaSettings};

use super::{
    cluster::Cluster,
    parts::{LONG, MemoryLease, Reading, admin, client, settings, start_relay, topics},
    services::topic::options,
};
use crate::history::{Log, Place, texts, user};

fn known(number: u64, name: &str) -> PersonChange {
    PersonChange::Known(Person {
        id: user(number),
        name: name.to_owned(),
        email: format!("{number}@example.org"),
        roles: vec![Role::Customer],
    })
}

async fn knows(reading: &Reading, expected: &[&str]) {
    let known = async {
        loop {
            let mut tx = reading.node.side.db.read().await.unwrap();
            let names: Vec<String> = texts(&mut tx, "SELECT name FROM people ORDER BY id").await;
            if names == expected {
                return;
            }
            drop(tx);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, known).await.is_ok(), "{expected:?}");
}

/// What a relay says that was held up.
fn late_word(settings: &KafkaSettings, number: u64, value: &str) {
    let producer: BaseProducer = client(settings).create().unwrap();
    let (topic, key) = (topics(settings).people, user(number).to_string());
    producer.send(BaseRecord::to(&topic).key(&key).payload(value)).unwrap();
    producer.flush(LONG).unwrap();
}

#[tokio::test]
async fn whoever_is_forgotten_disappears_from_every_node_and_a_late_word_does_not_bring_them_back() {
    let settings = settings(Cluster::shared());
    let log = Log::new(vec![]);
    log.set_people(vec![known(1, "Ada"), known(2, "Bob"), known(3, "Eve")]);
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    let places = [Place::new(), Place::new()];
    let first = Reading::start(&places[0], &settings).await;
    let second = Reading::start(&places[1], &settings).await;
    knows(&first, &["Ada", "Bob", "Eve"]).await;
    log.set_people(vec![known(1, "Ada L."), PersonChange::Forgotten(user(2)), known(3, "Eve")]);
    knows(&first, &["Ada L.", "Eve"]).await;
    knows(&second, &["Ada L.", "Eve"]).await;

    // While a node is away someone else is forgotten, whom the write side does not even mention any more.
    second.stop().await;
    log.set_people(vec![known(1, "Ada L."), PersonChange::Forgotten(user(2))]);
    knows(&first, &["Ada L."]).await;
    let second = Reading::start(&places[1], &settings).await;
    knows(&second, &["Ada L."]).await;

    late_word(&settings, 2, r#"{"name":"Bob","email":"2@example.org","roles":["customer"]}"#);
    late_word(&settings, 1, r#"{"name":"Ada","email":"1@example.org","roles":["customer"]}"#);
    late_word(&settings, 4, "not ours");
    for reading in [&first, &second] {
        // Whatever it showed in between.
        knows(reading, &["Ada L."]).await;
    }
    let third_place = Place::new();
    let third = Reading::start(&third_place, &settings).await;
    knows(&third, &["Ada L."]).await;
    for reading in [first, second, third] {
        reading.stop().await;
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_topic_of_people_that_is_deleted_alone_is_made_again() {
    let settings = settings(Cluster::shared());
    let log = Log::new(vec![]);
    log.set_people(vec![known(1, "Ada")]);
    let relay = start_relay(&settings, &log, &MemoryLease::new());
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    knows(&reading, &["Ada"]).await;
    let gone = admin(&settings).delete_topics(&[&topics(&settings).people], &options()).await.unwrap();
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    log.set_people(vec![known(1, "Ada"), known(2, "Bob")]);
    knows(&reading, &["Ada", "Bob"]).await;
    reading.stop().await;
    relay.stop().await;
}
