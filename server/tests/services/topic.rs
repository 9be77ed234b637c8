//! What is on a topic, as anyone may read it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{Headers as _, Message as _, OwnedMessage},
};

/// Longer than anything here takes, brokers that start included.
pub const LONG: Duration = Duration::from_secs(90);

pub fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "test").set("enable.partition.eof", "true");
    config
}

pub fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    client(brokers).create().unwrap()
}

pub fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

/// Everything on a topic, partition by partition.
pub fn all_messages(brokers: &str, topic: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = client(brokers).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), LONG).unwrap();
    let mut messages = Vec::new();
    for partition in 0..metadata.topics()[0].partitions().len() {
        let partition = i32::try_from(partition).unwrap();
        let (begin, end) = consumer.fetch_watermarks(topic, partition, LONG).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let until = Instant::now() + LONG;
        let mut at_end = begin >= end;
        while !at_end {
            assert!(Instant::now() < until, "partition {partition} is not read to {end}");
            match consumer.poll(Duration::from_secs(1)) {
                Some(Ok(message)) => {
                    at_end = message.offset() + 1 >= end;
                    messages.push(message.detach());
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }
    messages
}

pub fn header(message: &OwnedMessage, name: &str) -> String {
    let headers = message.headers().unwrap();
    let found = headers.iter().find(|header| header.key == name).unwrap();
    String::from_utf8(found.value.unwrap().to_vec()).unwrap()
}

/// The first copy of each event on the topic is behind the first copies of those before it in its stream.
pub fn assert_first_copies_in_stream_order(messages: &[OwnedMessage], events: usize) {
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut first = 0;
    for message in messages {
        let version: u64 = header(message, "ce_version").parse().unwrap();
        let last = last.entry(header(message, "ce_subject")).or_default();
        assert!(version <= *last + 1, "version {version} came after {last}");
        if version == *last + 1 {
            *last = version;
            first += 1;
        }
    }
    assert_eq!(first, events);
}
