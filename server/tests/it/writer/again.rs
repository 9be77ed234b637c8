//! W4: the same command again, also at the same time, or another one under its id.

use app::{
    domain::Rejection,
    wire::{Actor, Position, Receipt},
};
use server::write::writer::{Submission, SubmitError, Writer, WriterSettings};

use super::{Rig, rejected};
use crate::write_support::{TestClock, deposit, open, user, withdraw};

#[tokio::test]
async fn w4_same_id_again_returns_the_first_result_also_from_another_writer() {
    let rig = Rig::with_account().await;
    let first = rig.send(withdraw(3, 1, 100)).await.unwrap();
    // By now the rule would refuse it.
    let again = rig.send(withdraw(3, 1, 100)).await.unwrap();
    assert_eq!(again, Receipt { repeated: true, ..first.clone() });
    let deposited = rig.send(deposit(4, 1, 30)).await.unwrap();

    let (restarted, _heads, _task) =
        Writer::start(rig.log.open().await, TestClock::at(1_000_000), WriterSettings::default());
    assert_eq!(restarted.submit(withdraw(3, 1, 100)).await.unwrap(), Receipt { repeated: true, ..first });
    assert_eq!(restarted.submit(deposit(4, 1, 30)).await.unwrap(), Receipt { repeated: true, ..deposited });
    assert_eq!(rig.balance(1).await, 30);
}

#[tokio::test]
async fn w4_both_halves_of_a_double_click_in_one_batch_are_one() {
    let rig = Rig::with_account().await;
    rig.store.hold();
    let in_flight = rig.begin(deposit(3, 1, 1));
    rig.store.appends(3).await;
    let same: Vec<_> = (0..3).map(|_| rig.begin(deposit(4, 1, 10))).collect();
    let neighbour = rig.begin(deposit(5, 1, 100));
    let twin_in_flight = rig.begin(deposit(3, 1, 1));
    rig.store.release(10);

    let mut answers = Vec::new();
    for half in same {
        answers.push(half.await.unwrap().unwrap());
    }
    assert_eq!(answers.iter().filter(|receipt| !receipt.repeated).count(), 1);
    assert!(answers.iter().all(|receipt| receipt.events == answers[0].events));
    assert!(!neighbour.await.unwrap().unwrap().repeated);
    let (first, twin) = (in_flight.await.unwrap().unwrap(), twin_in_flight.await.unwrap().unwrap());
    assert_eq!(twin, Receipt { repeated: true, ..first });
    assert_eq!(rig.balance(1).await, 211);
}

#[tokio::test]
async fn w4_a_duplicate_in_a_batch_never_fails_its_neighbours() {
    let rig = Rig::with_account().await;
    rig.store.hold();
    let in_flight = rig.begin(deposit(3, 1, 1));
    rig.store.appends(3).await;
    let before = rig.begin(deposit(4, 1, 10));
    let duplicate = rig.begin(deposit(2, 1, 100));
    let stolen = rig.begin(deposit(1, 1, 7));
    let refused = rig.begin(withdraw(6, 1, 1_000_000));
    let after = rig.begin(deposit(5, 1, 10));
    rig.store.release(10);

    assert!(!in_flight.await.unwrap().unwrap().repeated);
    assert!(!before.await.unwrap().unwrap().repeated);
    let duplicate = duplicate.await.unwrap().unwrap();
    assert_eq!((duplicate.position, duplicate.repeated), (Position(2), true));
    assert!(matches!(stolen.await.unwrap(), Err(SubmitError::IdReused)));
    assert!(matches!(rejected(refused.await.unwrap()), Rejection::InsufficientFunds { requested: 1_000_000, .. }));
    assert!(!after.await.unwrap().unwrap().repeated);
    assert_eq!(rig.balance(1).await, 121);
    assert_eq!(rig.positions().await, 5);
    rig.verifies().await;
}

#[tokio::test]
async fn w4_same_id_with_other_content_or_from_another_actor_reveals_nothing() {
    let rig = Rig::with_account().await;
    let other = |submission| Submission { actor: Actor::User(user(2)), ..submission };
    for reused in [deposit(2, 1, 101), deposit(2, 2, 100), other(deposit(2, 1, 100)), withdraw(2, 1, 1_000_000)] {
        let error = rig.send(reused).await.unwrap_err();
        assert!(matches!(error, SubmitError::IdReused), "{error:?}");
    }
    // While the first is still in flight, too.
    rig.store.hold();
    let first = rig.begin(deposit(3, 1, 1));
    rig.store.appends(3).await;
    let (content, actor) = (rig.begin(deposit(3, 1, 2)), rig.begin(other(deposit(3, 1, 1))));
    let same = rig.begin(deposit(3, 1, 1));
    rig.store.release(10);
    assert!(first.await.unwrap().is_ok());
    assert!(matches!(content.await.unwrap(), Err(SubmitError::IdReused)));
    assert!(matches!(actor.await.unwrap(), Err(SubmitError::IdReused)));
    assert!(same.await.unwrap().unwrap().repeated);
    assert_eq!(rig.balance(1).await, 101);
}

#[tokio::test]
async fn w4_a_refusal_is_not_remembered() {
    let rig = Rig::with_account().await;
    let refusal = rejected(rig.send(withdraw(3, 1, 150)).await);
    assert_eq!(refusal, Rejection::InsufficientFunds { requested: 150, available: 100 });
    rig.send(deposit(4, 1, 50)).await.unwrap();
    assert!(!rig.send(withdraw(3, 1, 150)).await.unwrap().repeated);
    // Changed under the same id, after a refusal.
    rejected(rig.send(withdraw(5, 1, 10)).await);
    rig.send(deposit(5, 1, 10)).await.unwrap();
    assert_eq!(rig.balance(1).await, 10);
}

#[tokio::test]
async fn w4_crowds_of_duplicates_are_answered_and_new_ones_among_them_are_done() {
    let rig = Rig::with(WriterSettings { batch: 8, ..WriterSettings::default() }).await;
    rig.send(open(1, 1)).await.unwrap();
    for round in 0..3 {
        let all: Vec<_> = (0..40 + 10 * round).map(|n| rig.begin(deposit(100 + n, 1, 1))).collect();
        for (n, one) in all.into_iter().enumerate() {
            let receipt = one.await.unwrap().unwrap();
            assert_eq!(receipt.repeated, round > 0 && n < 30 + 10 * usize::try_from(round).unwrap());
        }
    }
    assert_eq!(rig.balance(1).await, 60);
    rig.verifies().await;
}
