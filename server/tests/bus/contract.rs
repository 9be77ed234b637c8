//! What every bus promises, in one process and over Kafka.

use std::sync::Arc;

use app::{ports::Role, wire::Position};
use server::bus::{After, Bus, Events, Person, PersonChange};
use tokio_util::sync::CancellationToken;

use super::{
    cluster::Cluster,
    parts::{LONG, MemoryLease, Running, bus, settings, start_relay},
};
use crate::history::{History, Log, user};

/// A bus over a log, and what keeps it going.
struct Under {
    log: Arc<Log>,
    bus: Arc<dyn Bus>,
    relay: Option<(Running, CancellationToken)>,
}

impl Under {
    fn in_process(log: Arc<Log>) -> Self {
        Self { bus: log.bus(), log, relay: None }
    }

    async fn kafka(log: Arc<Log>) -> Self {
        let settings = settings(Cluster::shared());
        let cancelled = CancellationToken::new();
        let relay = start_relay(&settings, &log, &MemoryLease::new());
        relay.published(log.heads().borrow().unwrap().position).await;
        Self { bus: bus(&settings, &cancelled), log, relay: Some((relay, cancelled)) }
    }

    async fn end(self) {
        if let Some((relay, cancelled)) = self.relay {
            cancelled.cancel();
            relay.stop().await;
        }
    }
}

async fn brings(events: &mut Box<dyn Events>, expected: &[app::wire::Envelope]) {
    let mut found = Vec::new();
    while found.len() < expected.len() {
        found.extend(tokio::time::timeout(LONG, events.next()).await.expect("more events").unwrap());
    }
    assert!(found == expected, "{} events are not those expected", found.len());
}

async fn contract(under: Under, history: History) {
    let Under { log, bus, .. } = &under;
    let after = |position: usize| match position {
        0 => After::default(),
        _ => {
            let event = &history.events[position - 1];
            After { position: event.position, recorded_at: event.recorded_at }
        }
    };
    // In order, from any position; again to whoever asks again.
    for from in [0, 1, 37, 199, 0] {
        brings(&mut bus.events(after(from)).await.unwrap(), &history.events[from..200]).await;
    }
    // From the end, only what is new; each subscription for itself, and one that was cancelled in between misses nothing.
    let mut first = bus.events(after(200)).await.unwrap();
    let mut second = bus.events(after(150)).await.unwrap();
    let waited = tokio::time::timeout(std::time::Duration::from_millis(50), first.next()).await;
    assert!(waited.is_err(), "nothing is new");
    log.set(history.events[..250].to_vec());
    brings(&mut first, &history.events[200..250]).await;
    brings(&mut second, &history.events[150..250]).await;

    // The newest log head.
    let mut head = bus.log_head();
    let there = head.wait_for(|head| head.is_some_and(|head| head.position == Position(250)));
    assert!(tokio::time::timeout(LONG, there).await.is_ok());
    log.set(history.events.clone());
    let there = head.wait_for(|head| head.is_some_and(|head| head.position == history.head()));
    assert!(tokio::time::timeout(LONG, there).await.is_ok());
    brings(&mut first, &history.events[250..]).await;

    // First all people, then each change.
    let person = |number: u64, name: &str| {
        PersonChange::Known(Person {
            id: user(number),
            name: name.to_owned(),
            email: format!("{number}@example.org"),
            roles: vec![Role::Customer, Role::Admin],
        })
    };
    log.set_people(vec![person(1, "Ada"), person(2, "Bob")]);
    let all = async {
        loop {
            let first = bus.people().await.unwrap().next().await.unwrap();
            if first == [person(1, "Ada"), person(2, "Bob")] {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(LONG, all).await.is_ok());
    let mut people = bus.people().await.unwrap();
    people.next().await.unwrap();
    log.set_people(vec![person(1, "Ada L."), person(2, "Bob")]);
    let changes = tokio::time::timeout(LONG, people.next()).await.unwrap().unwrap();
    assert!(changes.contains(&person(1, "Ada L.")), "{changes:?}");
    under.end().await;
}

#[tokio::test]
async fn in_process_keeps_the_contract_of_a_bus() {
    let history = History::random(91, 300);
    let log = Log::new(history.events[..200].to_vec());
    contract(Under::in_process(log), history).await;
}

#[tokio::test]
async fn kafka_keeps_the_contract_of_a_bus() {
    let history = History::random(91, 300);
    let log = Log::new(history.events[..200].to_vec());
    contract(Under::kafka(log).await, history).await;
}
