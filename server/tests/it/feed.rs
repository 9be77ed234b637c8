//! The feed: a copy of the log that takes nothing twice, skips nothing, and believes no damaged event.

use std::sync::{Arc, Mutex};

use app::{
    domain::session::SessionEvent,
    ports::Role,
    wire::{Envelope, Position},
};
use async_trait::async_trait;
use server::{
    bus::{After, Bus, BusError, Events, LogHead, People, Person, PersonChange},
    read::{
        database::ReadDb,
        feed::{self, Feed, FeedError, OnSessionEvent},
        projections,
        sql::Sql,
    },
};
use tokio::{sync::watch, time::timeout};

use crate::history::{History, LONG, Log, Place, now, texts, user};

fn nobody() -> OnSessionEvent {
    Arc::new(|_, _| {})
}

async fn open(db: &ReadDb) -> Feed {
    Feed::open(db.clone(), nobody()).await.unwrap()
}

async fn all(db: &ReadDb) -> Vec<Envelope> {
    feed::read(&mut db.read().await.unwrap(), Position(0), 10_000).await.unwrap()
}

#[tokio::test]
async fn the_feed_is_the_log_byte_by_byte() {
    let (place, history) = (Place::new(), History::random(1, 300));
    let db = place.open().await;
    let feed = open(&db).await;
    for batch in history.events.chunks(70) {
        feed.take(batch.to_vec()).await.unwrap();
    }
    assert_eq!(all(&db).await, history.events);
    assert_eq!(*feed.position().borrow(), history.head());
    // Opened again it stands where it stood.
    assert_eq!(*open(&db).await.position().borrow(), history.head());
}

#[tokio::test]
async fn r1_what_the_feed_has_is_dropped() {
    let (place, history) = (Place::new(), History::random(2, 60));
    let db = place.open().await;
    let feed = open(&db).await;
    feed.take(history.events[..40].to_vec()).await.unwrap();
    feed.take(history.events[10..50].to_vec()).await.unwrap();
    feed.take(history.events[..20].to_vec()).await.unwrap();
    let mut twice = history.events[50..].to_vec();
    twice.insert(1, history.events[50].clone());
    feed.take(twice).await.unwrap();
    assert_eq!(all(&db).await, history.events);
}

#[tokio::test]
async fn r1_a_hole_waits_and_says_for_which_position() {
    let (place, history) = (Place::new(), History::random(3, 30));
    let db = place.open().await;
    let feed = open(&db).await;
    let mut holed = history.events.clone();
    holed.remove(12);
    let error = feed.take(holed).await.unwrap_err();
    assert!(matches!(error, FeedError::Hole { missing: Position(13), found: Position(14) }), "{error}");
    assert_eq!(*feed.position().borrow(), Position(12));
    feed.take(history.events[12..].to_vec()).await.unwrap();
    assert_eq!(all(&db).await, history.events);
}

#[tokio::test]
async fn r1_nothing_goes_in_behind_what_a_server_that_crashed_has_lost() {
    let (place, history) = (Place::new(), History::random(7, 60));
    let db = place.open().await;
    let feed = open(&db).await;
    feed.take(history.events[..40].to_vec()).await.unwrap();
    let mut tx = db.write().await.unwrap();
    Sql::new("DELETE FROM feed WHERE position > 30").execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let error = feed.take(history.events[40..].to_vec()).await.unwrap_err();
    assert!(matches!(error, FeedError::Moved { last: Position(40), found: Position(30) }), "{error}");
    assert_eq!(all(&db).await, history.events[..30]);
    // Opened anew it goes on from what is there.
    open(&db).await.take(history.events.clone()).await.unwrap();
    assert_eq!(all(&db).await, history.events);
}

#[tokio::test]
async fn a_read_database_that_has_less_than_it_had_is_lost() {
    let (place, history) = (Place::new(), History::random(8, 60));
    let log = Log::new(history.events[..40].to_vec());
    let node = place.start(&log).await;
    node.reaches(Position(40)).await;
    let mut tx = node.side.db.write().await.unwrap();
    Sql::new("DELETE FROM feed WHERE position > 30").execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    log.set(history.events.clone());
    let why = node.side.until_lost().await;
    assert_eq!(why, "it ended at position 40 and ends at 30");
}

#[tokio::test]
async fn a_damaged_event_is_not_taken_wherever_the_damage_is() {
    let history = History::random(4, 40);
    let damages: [fn(&mut Envelope); 8] = [
        |event| event.hash.0[3] ^= 1,
        |event| event.payload.push(b' '),
        |event| event.metadata.push(b' '),
        |event| event.recorded_at += 1,
        |event| event.version = event.version.next(),
        |event| event.event_type.push('s'),
        |event| event.schema += 1,
        |event| event.stream.id = crate::history::uuid(1, 99),
    ];
    for damage in damages {
        let place = Place::new();
        let db = place.open().await;
        let feed = open(&db).await;
        let mut damaged = history.events.clone();
        damage(&mut damaged[24]);
        let error = feed.take(damaged).await.unwrap_err();
        assert!(matches!(error, FeedError::Damaged { position: Position(25), .. }), "{error}");
        // Everything before is taken, and the undamaged event afterwards.
        assert_eq!(all(&db).await, history.events[..24]);
        feed.take(history.events[24..].to_vec()).await.unwrap();
        assert_eq!(all(&db).await, history.events);
    }
}

#[tokio::test]
async fn a_damaged_event_on_the_bus_is_asked_for_again_and_said_in_the_status() {
    let (place, history) = (Place::new(), History::random(5, 40));
    let mut damaged = history.events.clone();
    damaged[24].payload[2] ^= 1;
    let log = Log::new(damaged);
    let node = place.start(&log).await;
    let said = async {
        loop {
            if let Some(waiting) = node.side.status().waiting {
                return waiting;
            }
            tokio::task::yield_now().await;
        }
    };
    let waiting = timeout(LONG, said).await.unwrap();
    assert_eq!(waiting.position, Position(25));
    node.reaches(Position(24)).await;
    assert!(!node.side.wait_for(&["accounts"], Position(25), std::time::Duration::ZERO).await);

    log.set(history.events.clone());
    node.reaches(history.head()).await;
    assert_eq!(node.side.status().waiting, None);
}

#[tokio::test]
async fn whoever_checks_tokens_is_told_of_ended_sessions_now_and_after_a_restart() {
    let place = Place::new();
    // What is long past has no token left: only the second and the third are told again.
    let mut history = History::default();
    history.recorded_at = now() - 20 * 3_600_000_000;
    history.end_session(1);
    history.open(1, user(1), "CZK", 0);
    history.recorded_at = now() - 5 * 3_600_000_000;
    history.end_session(2);
    history.end_session(3);
    let told: Arc<Mutex<Vec<SessionEvent>>> = Arc::default();
    let on_session: OnSessionEvent = {
        let told = told.clone();
        Arc::new(move |event, _| told.lock().unwrap().push(event.clone()))
    };
    let db = place.open().await;
    let feed = Feed::open(db.clone(), on_session.clone()).await.unwrap();
    feed.take(history.events.clone()).await.unwrap();
    let live = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(live.len(), 3);
    Feed::open(db, on_session).await.unwrap();
    assert_eq!(*told.lock().unwrap(), live[1..]);
}

#[tokio::test]
async fn people_are_known_changed_and_forgotten() {
    let (place, log) = (Place::new(), Log::new(vec![]));
    let person = |number, name: &str| {
        PersonChange::Known(Person {
            id: user(number),
            name: name.to_owned(),
            email: format!("{number}@example.org"),
            roles: vec![Role::Customer],
        })
    };
    log.set_people(vec![person(1, "Ada"), person(2, "Bob")]);
    let node = place.start(&log).await;
    let become_known = async |expected: &[&str]| {
        let known = async {
            loop {
                let mut tx = node.side.db.read().await.unwrap();
                let names: Vec<String> = texts(&mut tx, "SELECT name FROM people ORDER BY id").await;
                if names == expected {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, known).await.unwrap();
    };
    become_known(&["Ada", "Bob"]).await;
    log.set_people(vec![person(1, "Ada L."), PersonChange::Forgotten(user(2))]);
    become_known(&["Ada L."]).await;
    node.stop().await;
    if let Place::Folder(folder) = &place {
        // Not even the file has them any more.
        let bytes = std::fs::read(folder.path().join("read.db")).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("1@example.org") && !holds("2@example.org"));
    }

    // Forgotten while the node was away.
    log.set_people(vec![person(3, "Eve")]);
    let node = place.start(&log).await;
    let mut tx = node.side.db.read().await.unwrap();
    let known = async {
        loop {
            let names: Vec<String> = texts(&mut tx, "SELECT name FROM people").await;
            if names == ["Eve"] {
                return;
            }
            tx = node.side.db.read().await.unwrap();
        }
    };
    timeout(LONG, known).await.unwrap();
}

/// A bus with a bug.
struct Panics(Arc<dyn Bus>);

#[async_trait]
impl Bus for Panics {
    async fn events(&self, _: After) -> Result<Box<dyn Events>, BusError> {
        panic!("a bug")
    }

    async fn people(&self) -> Result<Box<dyn People>, BusError> {
        self.0.people().await
    }

    fn log_head(&self) -> watch::Receiver<Option<LogHead>> {
        self.0.log_head()
    }
}

#[tokio::test]
async fn a_part_of_the_read_side_that_panics_is_not_missed_in_silence() {
    let (place, log) = (Place::new(), Log::new(vec![]));
    let node = place.start_on(projections::all(), Arc::new(Panics(log.bus()))).await;
    let why = timeout(LONG, node.side.until_lost()).await.unwrap();
    assert!(why.contains("has panicked"), "{why}");
}
