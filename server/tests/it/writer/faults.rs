//! Stores that fail, answers that are lost, queues that are full, writers that end.

use std::time::Duration;

use app::{domain::Rejection, wire::Position};
use server::write::{
    store::StoreError,
    writer::{SubmitError, Writer, WriterSettings},
};

use super::{Rig, rejected, replay};
use crate::{
    faulty::Fault,
    write_support::{TestClock, deposit, open, withdraw},
};

#[tokio::test]
async fn a_full_queue_answers_busy_at_once() {
    let rig = Rig::with(WriterSettings { queue: 2, ..WriterSettings::default() }).await;
    rig.store.hold();
    let first = rig.begin(open(1, 1));
    rig.store.appends(1).await;
    let second = rig.begin(deposit(2, 1, 1));
    // The second runs up to where it waits before this task goes on.
    tokio::task::yield_now().await;
    let error = rig.send(deposit(3, 1, 1)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Busy { retry_after } if !retry_after.is_zero()), "{error:?}");
    rig.store.release(10);
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert!(rig.send(deposit(3, 1, 1)).await.is_ok());
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_told_so_and_its_id_tells_what_became_of_it() {
    let rig = Rig::with(WriterSettings { patience: Duration::from_millis(20), ..WriterSettings::default() }).await;
    let too_long = |answer: &Result<_, SubmitError>| {
        matches!(answer, Err(SubmitError::Unavailable(StoreError::OutcomeUnknown(_))))
    };
    rig.store.hold();
    assert!(too_long(&rig.send(open(1, 1)).await));
    rig.store.release(10);
    let receipt = loop {
        let answer = rig.send(open(1, 1)).await;
        if !too_long(&answer) {
            break answer.unwrap();
        }
    };
    assert_eq!((receipt.position, receipt.repeated), (Position(1), true));
    rig.verifies().await;
}

#[tokio::test]
async fn a_store_that_goes_away_leaves_nobody_waiting() {
    let rig = Rig::with_account().await;
    rig.store.hold();
    rig.store.script([Some(Fault::HeadMovedThenAway)]);
    let first = rig.begin(deposit(3, 1, 1));
    rig.store.appends(3).await;
    // Behind the first, under the same id.
    let (second, other) = (rig.begin(deposit(3, 1, 1)), rig.begin(deposit(4, 1, 1)));
    tokio::task::yield_now().await;
    rig.store.release(10);
    for answer in [first, second, other] {
        let answer = answer.await.unwrap();
        assert!(matches!(answer, Err(SubmitError::Unavailable(StoreError::Unavailable(_)))), "{answer:?}");
    }
    rig.store.away(false);
    assert_eq!(rig.send(deposit(3, 1, 1)).await.unwrap().position, Position(3));
    rig.verifies().await;
}

#[tokio::test]
async fn when_another_node_wrote_meanwhile_everything_is_decided_again() {
    let rig = Rig::with_account().await;
    rig.store.script([Some(Fault::HeadMoved)]);
    assert_eq!(rig.send(deposit(3, 1, 1)).await.unwrap().position, Position(3));

    // Really: the money is spent by another node between decision and append.
    rig.store.hold();
    let mine = rig.begin(withdraw(4, 1, 101));
    rig.store.appends(5).await;
    let (other, _heads, _task) =
        Writer::start(rig.log.open().await, TestClock::at(1_000_000), WriterSettings::default());
    other.submit(withdraw(5, 1, 1)).await.unwrap();
    rig.store.release(10);
    assert_eq!(rejected(mine.await.unwrap()), Rejection::InsufficientFunds { requested: 101, available: 100 });
    rig.verifies().await;
}

#[tokio::test]
async fn w4_a_commit_whose_answer_was_lost_is_looked_up_before_it_is_answered() {
    let rig = Rig::with_account().await;
    rig.store.script([Some(Fault::UnknownStored), Some(Fault::UnknownLost)]);
    let stored = rig.send(deposit(3, 1, 10)).await.unwrap();
    assert_eq!((stored.position, stored.repeated), (Position(3), false));
    let done_again = rig.send(deposit(4, 1, 10)).await.unwrap();
    assert_eq!((done_again.position, done_again.repeated), (Position(4), false));
    assert_eq!(rig.balance(1).await, 120);
    assert_eq!(rig.positions().await, 4);
    rig.verifies().await;
}

#[tokio::test]
async fn commits_that_never_happen_are_answered_as_unavailable_and_everything_works_afterwards() {
    let rig = Rig::with_account().await;
    // As of a full disk: each commit fails, and none of them has happened.
    rig.store.script(vec![Some(Fault::UnknownLost); 300]);
    for _ in 0..150 {
        let error = rig.send(deposit(3, 1, 10)).await.unwrap_err();
        assert!(matches!(error, SubmitError::Unavailable(StoreError::Unavailable(_))), "{error:?}");
    }
    let receipt = rig.send(deposit(3, 1, 10)).await.unwrap();
    assert_eq!((receipt.position, receipt.repeated), (Position(3), false));
    rig.verifies().await;
}

#[tokio::test]
async fn a_writer_that_panics_is_known_to_have_ended() {
    let rig = Rig::with_account().await;
    rig.store.script([Some(Fault::Panic)]);
    let error = rig.send(deposit(3, 1, 10)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unavailable(StoreError::OutcomeUnknown(_))), "{error:?}");
    rig.writer.ended().await;
}

#[tokio::test]
async fn w4_what_rested_on_a_commit_whose_answer_was_lost_is_decided_again() {
    for fault in [Fault::UnknownStored, Fault::UnknownLost] {
        let rig = Rig::with_account().await;
        rig.store.script([Some(fault)]);
        rig.store.hold();
        let first = rig.begin(deposit(3, 1, 10));
        rig.store.appends(3).await;
        let second = rig.begin(withdraw(4, 1, 110));
        let twin = rig.begin(deposit(3, 1, 10));
        rig.store.release(10);
        assert!(!first.await.unwrap().unwrap().repeated);
        assert!(twin.await.unwrap().unwrap().repeated);
        // Decided before or after the first one was stored: both are right, nothing is lost.
        match second.await.unwrap() {
            Ok(_) => assert_eq!(rig.balance(1).await, 0),
            other => {
                rejected(other);
                assert_eq!(rig.balance(1).await, 110);
            }
        }
        rig.verifies().await;
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_said_so_and_everything_works_when_it_is_back() {
    let rig = Rig::with_account().await;
    rig.store.away(true);
    let error = rig.send(deposit(3, 1, 10)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unavailable(StoreError::Unavailable(_))), "{error:?}");
    // Now the cache is gone and cannot be filled.
    let error = rig.send(deposit(4, 1, 10)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unavailable(StoreError::Unavailable(_))), "{error:?}");
    rig.store.away(false);
    assert_eq!(rig.send(deposit(3, 1, 10)).await.unwrap().position, Position(3));
    assert_eq!(rig.balance(1).await, 110);
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_that_cannot_be_looked_up_is_answered_as_unknown() {
    let rig = Rig::with_account().await;
    rig.store.script([Some(Fault::UnknownStoredThenAway)]);
    let error = rig.send(deposit(3, 1, 10)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unavailable(StoreError::OutcomeUnknown(_))), "{error:?}");
    rig.store.away(false);
    let receipt = rig.send(deposit(3, 1, 10)).await.unwrap();
    assert_eq!((receipt.position, receipt.repeated), (Position(3), true));
    assert_eq!(rig.balance(1).await, 110);
}

#[tokio::test]
async fn a_writer_that_is_stopped_answers_what_it_has_and_takes_no_more() {
    let rig = Rig::with_account().await;
    rig.store.hold();
    let in_flight = rig.begin(deposit(3, 1, 1));
    rig.store.appends(3).await;
    let waiting: Vec<_> = (4..20).map(|n| rig.begin(deposit(n, 1, 1))).collect();
    tokio::task::yield_now().await;
    let stopping = tokio::spawn(rig.writer.clone().stop());
    tokio::task::yield_now().await;
    assert!(matches!(rig.send(deposit(50, 1, 1)).await, Err(SubmitError::Busy { .. })));
    rig.store.release(100);
    stopping.await.unwrap();
    rig.task.await.unwrap();
    assert!(in_flight.await.unwrap().is_ok());
    for one in waiting {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(replay(&*rig.store, 1).await.balance, 117);
}
