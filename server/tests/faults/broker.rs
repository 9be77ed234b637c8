//! Kafka: brokers that are lost, one or all, and topics that are deleted or changed. B2: no command notices.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::NewPartitions,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{
    bank::Bank,
    deployment::{BROKERS, Deployment},
};
use crate::services::{
    node::LONG,
    topic::{admin, client, options},
};

/// Commands that have to go on, whatever becomes of the brokers: how many were refused, not answered in time, and done.
struct Unaffected<'a>(&'a Bank, [u64; 3]);

impl<'a> Unaffected<'a> {
    fn from_here(bank: &'a Bank) -> Self {
        Self(bank, Self::counts(bank))
    }

    fn counts(bank: &Bank) -> [u64; 3] {
        let [refused, late] =
            [&bank.counts.unavailable, &bank.counts.unanswered].map(|count| count.load(Ordering::Relaxed));
        [refused, late, bank.done()]
    }

    /// How many clients lost patience, of how many commands: a machine on which brokers start is busy now and then, each of
    /// the 16 clients may have to wait for it once, and one command in five hundred.
    fn holds(self) -> String {
        let (now, before) = (Self::counts(self.0), self.1);
        let [refused, late, done] = [now[0] - before[0], now[1] - before[1], now[2] - before[2]];
        assert_eq!(refused, 0, "B2: a command was answered 503");
        assert!(
            late <= 16 + done / 500,
            "B2: {late} of {done} commands were not answered within the client's patience"
        );
        format!("{done} commands meanwhile, none refused, {late} late")
    }
}

pub async fn one_of_three_killed(all: &Deployment, bank: &Bank, times: u64) -> String {
    let unaffected = Unaffected::from_here(bank);
    for _ in 0..times {
        for broker in 1..=BROKERS {
            all.cluster.broker(broker, "kill");
            bank.does(30).await;
            // Two of three are enough.
            bank.is_seen_everywhere().await;
            all.cluster.broker(broker, "up");
        }
    }
    let commands = unaffected.holds();
    format!("{commands}; views go on with two of three")
}

pub async fn all_stopped(all: &Deployment, bank: &Bank, outage: Duration) -> String {
    let unaffected = Unaffected::from_here(bank);
    let since = Instant::now();
    every(all, "kill");
    while since.elapsed() < outage {
        bank.does(20).await;
    }
    every(all, "up");
    let back = Instant::now();
    bank.is_seen_everywhere().await;
    let commands = unaffected.holds();
    format!("{commands}; views caught up {} s after they were back", back.elapsed().as_secs())
}

/// At once: none of them comes up without another.
fn every(all: &Deployment, action: &str) {
    std::thread::scope(|scope| {
        for broker in 1..=BROKERS {
            scope.spawn(move || all.cluster.broker(broker, action));
        }
    });
}

/// All of them; who is forgotten meanwhile disappears from every query node all the same.
pub async fn topics_deleted(all: &Deployment, bank: &Bank, times: u64) -> String {
    let unaffected = Unaffected::from_here(bank);
    let mut longest = Duration::ZERO;
    for time in 0..times {
        let person = format!("{time}@example.org");
        all.add(&person);
        bank.does(50).await;
        bank.knows_everywhere(&person, true).await;
        let names = ["events", "control", "replay", "people"].map(|name| all.topic(name));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let gone = admin(&all.cluster.brokers).delete_topics(&names, &options()).await.unwrap();
        assert!(gone.iter().all(Result::is_ok), "{gone:?}");
        all.forget(&person);
        let since = Instant::now();
        bank.does(50).await;
        bank.is_seen_everywhere().await;
        bank.knows_everywhere(&person, false).await;
        longest = longest.max(since.elapsed());
    }
    unaffected.holds();
    let seconds = longest.as_secs() + 1;
    format!("made again by the relay; what they had comes by replay; who was forgotten is gone within {seconds} s")
}

pub async fn partitions_added(all: &Deployment, bank: &Bank, times: u64) -> String {
    let unaffected = Unaffected::from_here(bank);
    let topic = all.topic("events");
    let mut count = 0;
    for _ in 0..times {
        bank.does(20).await;
        let reader: BaseConsumer = client(&all.cluster.brokers).create().unwrap();
        let found = reader.fetch_metadata(Some(&topic), LONG).unwrap();
        count = found.topics()[0].partitions().len() + 2;
        let more = NewPartitions::new(&topic, count);
        let made = admin(&all.cluster.brokers).create_partitions([&more], &options()).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        bank.does(100).await;
        bank.is_seen_everywhere().await;
    }
    unaffected.holds();
    format!("{count} partitions at the end; nothing lost")
}
