//! What stops a projection: an event that it cannot apply parks it (R2), until it tries again or goes on without one; a commit
//! whose answer was lost is gone on from (R1).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use app::wire::{Parked, Position};
use async_trait::async_trait;
use server::read::{
    changes::Changes,
    projections::{self, ApplyError, Decoded, Projection, Tables},
    rebuild::RebuildError,
    sql::{Sql, Tx},
};

use super::{apply, decoded, two_accounts};
use crate::history::{History, LONG, Log, NAMES, Node, Place, account, number, user};

/// Writes down positions, and cannot apply one of them while it is told not to.
struct Fussy {
    refused: Position,
    refuses: AtomicBool,
    by: Refusal,
}

#[derive(Clone, Copy, PartialEq)]
enum Refusal {
    Itself,
    TheDatabase,
    Panic,
}

#[async_trait]
impl Projection for Fussy {
    fn name(&self) -> &'static str {
        "fussy"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["fussy"]
    }

    fn ddl(&self) -> &'static str {
        "CREATE TABLE fussy (position INTEGER PRIMARY KEY, seen INTEGER NOT NULL CHECK (seen > 0));"
    }

    async fn apply(&self, tx: &mut Tx, tables: Tables, events: &[&Decoded], _: &mut Changes) -> Result<(), ApplyError> {
        for decoded in events {
            let position = decoded.envelope.position;
            let refused = position == self.refused && self.refuses.load(Ordering::SeqCst);
            match self.by {
                Refusal::Itself if refused => return Err(ApplyError::event(decoded, "too ugly")),
                Refusal::Panic if refused => panic!("a bug"),
                Refusal::Itself | Refusal::TheDatabase | Refusal::Panic => {}
            }
            tables
                .sql("INSERT INTO fussy{next} VALUES (?, ?)")
                .bind(position.as_i64())
                .bind(i64::from(!refused))
                .execute(tx)
                .await?;
        }
        Ok(())
    }
}

impl Fussy {
    fn at(position: u64, by: Refusal) -> Arc<Self> {
        Arc::new(Self { refused: Position(position), refuses: AtomicBool::new(true), by })
    }
}

async fn with_fussy(place: &Place, fussy: &Arc<Fussy>, log: &Arc<Log>) -> Node {
    let mut all = projections::all();
    all.push(fussy.clone());
    place.start_with(all, log).await
}

async fn parked(node: &Node, name: &str) -> Parked {
    let found = async {
        loop {
            let status = node.side.status();
            if let Some(parked) = status.projections.into_iter().find(|one| one.name == name).unwrap().parked {
                return parked;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, found).await.unwrap()
}

async fn fussy_rows(node: &Node) -> Vec<i64> {
    let mut tx = node.side.db.read().await.unwrap();
    let rows = Sql::new("SELECT position FROM fussy ORDER BY position").fetch_all(&mut tx).await.unwrap();
    rows.iter().map(|row| row.only().unwrap()).collect()
}

#[tokio::test]
async fn r2_a_bad_event_parks_one_projection_visibly_and_the_others_go_on() {
    for (by, what) in [(Refusal::Itself, "too ugly"), (Refusal::TheDatabase, "check"), (Refusal::Panic, "panics")] {
        let (place, history) = (Place::new(), History::random(9, 90));
        let (log, fussy) = (Log::new(history.events.clone()), Fussy::at(40, by));
        let node = with_fussy(&place, &fussy, &log).await;
        node.reaches(history.head()).await;
        let found = parked(&node, "fussy").await;
        assert_eq!(found.position, Position(40));
        assert!(found.error.to_lowercase().contains(what), "{}", found.error);
        // What comes before it is applied.
        assert_eq!(fussy_rows(&node).await, (1..40).collect::<Vec<_>>());
        assert_eq!(*node.side.position("fussy").unwrap().borrow(), Position(39));

        // A retry that fails parks again; one that works goes on to the end.
        assert!(node.side.retry("fussy"));
        assert_eq!(parked(&node, "fussy").await.position, Position(40));
        fussy.refuses.store(false, Ordering::SeqCst);
        assert!(node.side.retry("fussy"));
        assert!(node.side.wait_for(&["fussy"], history.head(), LONG).await);
        assert_eq!(fussy_rows(&node).await, (1..=90).collect::<Vec<_>>());
        let status = node.side.status();
        assert!(status.projections.iter().all(|one| one.parked.is_none()));

        // A rebuild names it, too.
        fussy.refuses.store(true, Ordering::SeqCst);
        let stopped = node.side.rebuild("fussy").await.unwrap();
        assert!(matches!(stopped, Err(RebuildError::Stopped { position: Position(40), .. })), "{stopped:?}");
    }
}

#[tokio::test]
async fn r2_a_skip_in_the_log_lets_the_parked_projection_go_on_and_every_rebuild_honours_it() {
    let (place, mut history) = (Place::new(), History::random(10, 90));
    let (log, fussy) = (Log::new(history.events.clone()), Fussy::at(40, Refusal::Itself));
    let node = with_fussy(&place, &fussy, &log).await;
    parked(&node, "fussy").await;
    history.skip("fussy", Position(40));
    log.set(history.events.clone());
    assert!(node.side.wait_for(&["fussy"], history.head(), LONG).await);
    let expected: Vec<_> = (1..=91).filter(|position| *position != 40).collect();
    assert_eq!(fussy_rows(&node).await, expected);

    node.side.rebuild("fussy").await.unwrap().unwrap();
    assert_eq!(fussy_rows(&node).await, expected);
    node.reaches(history.head()).await;
    let dump = node.dump().await;
    node.stop().await;

    // A new node, which hears of the skip long before it needs it.
    let fresh = Place::new();
    let node = with_fussy(&fresh, &fussy, &log).await;
    assert!(node.side.wait_for(&["fussy"], history.head(), LONG).await);
    assert_eq!(fussy_rows(&node).await, expected);
    node.reaches(history.head()).await;
    assert_eq!(node.dump().await, dump);
}

#[tokio::test]
async fn r2_r4_an_event_that_was_applied_before_it_was_skipped_is_taken_out_again() {
    let (place, mut history) = (Place::new(), History::random(11, 90));
    let (log, fussy) = (Log::new(history.events.clone()), Fussy::at(0, Refusal::Itself));
    let node = with_fussy(&place, &fussy, &log).await;
    assert!(node.side.wait_for(&["fussy"], history.head(), LONG).await);
    assert_eq!(fussy_rows(&node).await, (1..=90).collect::<Vec<_>>());
    let mut resets = node.side.resets();
    history.skip("fussy", Position(40));
    log.set(history.events.clone());
    assert!(node.side.wait_for(&["fussy"], history.head(), LONG).await);
    let expected: Vec<_> = (1..=91).filter(|position| *position != 40).collect();
    assert_eq!(fussy_rows(&node).await, expected);
    // Whoever looks on is told to read again, once.
    assert_eq!(resets.try_recv().unwrap().projection, "fussy");
    node.stop().await;
    assert!(resets.try_recv().is_err());

    // It stays so.
    let node = with_fussy(&place, &fussy, &log).await;
    let mut resets = node.side.resets();
    assert!(history.deposit(1, 500) || history.open(1, user(1), "CZK", 0));
    log.set(history.events.clone());
    assert!(node.side.wait_for(&["fussy"], history.head(), LONG).await);
    assert_eq!(fussy_rows(&node).await, [expected, vec![92]].concat());
    node.stop().await;
    assert!(resets.try_recv().is_err());
}

#[tokio::test]
async fn w6_an_event_that_cannot_be_read_parks_its_readers_until_it_is_skipped() {
    let (place, mut history) = (Place::new(), two_accounts());
    let actor = app::wire::Actor::Operator;
    history.append_bytes(account(1).into(), "account.account_enchanted".to_owned(), 1, b"{}".to_vec(), actor, None);
    let bad = history.head();
    assert!(history.deposit(1, 500));
    let log = Log::new(history.events.clone());
    let node = place.start(&log).await;
    for name in NAMES {
        let found = parked(&node, name).await;
        assert_eq!(found.position, bad);
        assert!(found.error.contains("account_enchanted"), "{}", found.error);
    }
    for name in NAMES {
        history.skip(name, bad);
    }
    log.set(history.events.clone());
    node.reaches(history.head()).await;
    let mut tx = node.side.db.read().await.unwrap();
    let balance: i64 = number(&mut tx, "SELECT balance FROM accounts WHERE version = 4").await;
    assert_eq!(balance, 1_500);
}

#[tokio::test]
async fn r1_what_was_stored_though_the_answer_was_lost_is_gone_on_from() {
    let (place, history) = (Place::new(), History::random(6, 60));
    let log = Log::new(history.events[..20].to_vec());
    let node = place.start(&log).await;
    node.reaches(Position(20)).await;
    let mut resets = node.side.resets();
    // As if this node had stored it and then lost the connection.
    apply(&node.side.db, [&decoded(&history.events[20..40])[..]]).await;
    log.set(history.events.clone());
    node.reaches(history.head()).await;
    assert_eq!(resets.try_recv().unwrap().position, Position(40), "whoever follows reads it again");

    let fresh = Place::new();
    let rebuilt = fresh.start(&log).await;
    rebuilt.reaches(history.head()).await;
    assert_eq!(node.dump().await, rebuilt.dump().await);
}
