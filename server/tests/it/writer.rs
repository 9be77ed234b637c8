//! The writer: group commit, idempotency, versions, faults of the store under it.

use std::sync::Arc;

use app::{
    domain::{
        Rejection, SessionId, TransferId,
        account::{self, Account, AccountCommand},
        session::SessionEvent,
    },
    wire::{Actor, Event, Position, Receipt, StreamId, StreamKind, Upcaster, Version, decode},
};
use server::write::{
    store::{EventStore, Head, StoreError},
    verify::verify,
    writer::{AccountFacts, Intent, MAX_EVENT_BYTES, Submission, SubmitError, Writer, WriterSettings},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::write_support::{
    Chain, Fault, Faulty, TempLog, TestClock, account, command, deposit, id, open, opened, submission, submission_to,
    user, withdraw,
};

/// A writer over a log of its own whose store can be made to fail.
struct Rig {
    log: TempLog,
    store: Arc<Faulty>,
    clock: Arc<TestClock>,
    writer: Writer,
    heads: watch::Receiver<Head>,
    task: JoinHandle<()>,
    _released: ReleasedInTheEnd,
}

/// Lets held appends go, so that a test that fails ends.
struct ReleasedInTheEnd(Arc<Faulty>);

impl Drop for ReleasedInTheEnd {
    fn drop(&mut self) {
        self.0.release(1000);
    }
}

impl Rig {
    async fn new() -> Self {
        Self::with(WriterSettings::default()).await
    }

    async fn with(settings: WriterSettings) -> Self {
        let log = TempLog::new();
        let store = Faulty::over(log.open().await);
        let clock = TestClock::at(1_000_000);
        let (writer, heads, task) = Writer::start(store.clone(), clock.clone(), settings);
        let _released = ReleasedInTheEnd(store.clone());
        Self { log, store, clock, writer, heads, task, _released }
    }

    /// With account 1 open and 100 in it: positions 1 and 2, commands 1 and 2.
    async fn with_account() -> Self {
        let rig = Self::new().await;
        rig.send(open(1, 1)).await.unwrap();
        rig.send(deposit(2, 1, 100)).await.unwrap();
        rig
    }

    async fn send(&self, submission: Submission) -> Result<Receipt, SubmitError> {
        self.writer.submit(submission).await
    }

    /// Sends it, and gives it time to get to where it has to wait.
    fn begin(&self, submission: Submission) -> JoinHandle<Result<Receipt, SubmitError>> {
        let writer = self.writer.clone();
        tokio::spawn(async move { writer.submit(submission).await })
    }

    async fn balance(&self, number: u64) -> i64 {
        replay(&*self.store, number).await.balance
    }

    async fn positions(&self) -> u64 {
        self.store.head().await.unwrap().position.0
    }

    async fn verifies(&self) {
        verify(&*self.store, &[], |_, _| {}).await.unwrap();
    }
}

async fn replay(store: &dyn EventStore, number: u64) -> Account {
    let events = store.read_stream(account(number).into(), Version(0), u32::MAX).await.unwrap();
    events.iter().fold(Account::default(), |state, event| {
        match decode(&event.event_type, event.schema, &event.payload).unwrap() {
            Event::Account(event) => account::evolve(state, &event),
            other => panic!("{other:?}"),
        }
    })
}

fn rejected(result: Result<Receipt, SubmitError>) -> Rejection {
    match result {
        Err(SubmitError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_is_stored_and_answered_with_its_place() {
    let mut rig = Rig::new().await;
    let receipt = rig.send(open(1, 1)).await.unwrap();
    assert_eq!((receipt.version, receipt.position, receipt.repeated), (Version(1), Position(1), false));
    assert_eq!(receipt.stream, account(1).into());
    let receipt = rig.send(deposit(2, 1, 100)).await.unwrap();
    assert_eq!((receipt.version, receipt.position), (Version(2), Position(2)));
    assert_eq!(receipt.events[0].event_type, "account.money_deposited");

    let stored = rig.store.read_log(Position(1), 1).await.unwrap().remove(0);
    assert_eq!(stored.event_id, receipt.events[0].event_id);
    assert_eq!(stored.recorded_at, 1_000_000);
    let metadata: app::wire::Metadata = serde_json::from_slice(&stored.metadata).unwrap();
    assert_eq!((metadata.command_id, metadata.actor), (command(2), Actor::User(user(1))));
    assert_eq!(*rig.heads.borrow_and_update(), rig.store.head().await.unwrap());
    rig.verifies().await;
}

#[tokio::test]
async fn w1_nobody_is_answered_before_the_commit() {
    let rig = Rig::new().await;
    rig.store.hold();
    let waiting = rig.begin(open(1, 1));
    rig.store.appends(1).await;
    assert!(!waiting.is_finished());
    assert_eq!(rig.positions().await, 0);
    rig.store.release(1);
    assert_eq!(waiting.await.unwrap().unwrap().position, Position(1));
    assert_eq!(rig.positions().await, 1);
}

#[tokio::test]
async fn w1_answered_commands_outlive_the_writer() {
    let rig = Rig::with_account().await;
    rig.writer.clone().stop().await;
    rig.task.await.unwrap();
    let again = rig.log.open().await;
    assert_eq!(replay(&*again, 1).await.balance, 100);
}

#[tokio::test]
async fn w2_an_expected_version_holds_or_is_refused_with_the_actual_one() {
    let rig = Rig::with_account().await;
    let expecting = |n, version| Submission { expected: Some(Version(version)), ..deposit(n, 1, 5) };
    assert_eq!(rig.send(expecting(3, 2)).await.unwrap().version, Version(3));
    let error = rig.send(expecting(4, 2)).await.unwrap_err();
    assert!(matches!(error, SubmitError::VersionMismatch { expected: Version(2), actual: Version(3) }), "{error:?}");
    // A repeated command is its first result, though the version has moved on since.
    let again = rig.send(expecting(3, 2)).await.unwrap();
    assert_eq!((again.version, again.repeated), (Version(3), true));
    assert_eq!(rig.balance(1).await, 105);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w2_w3_many_at_once_lose_nothing_leave_no_gap_and_conserve_money() {
    const ACCOUNTS: u64 = 5;
    // A cache too small for all accounts, and small batches.
    let rig = Rig::with(WriterSettings { cache: 2, batch: 16, ..WriterSettings::default() }).await;
    for number in 0..ACCOUNTS {
        rig.send(open(number, number)).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..40 {
        let writer = rig.writer.clone();
        tasks.spawn(async move {
            let (mut sum, mut positions) = (0, Vec::new());
            for n in 0..10 {
                let (number, of) = (1000 + task * 100 + n, (task + n) % ACCOUNTS);
                let amount = i64::try_from(n * 7 % 5 + 1).unwrap();
                let (submission, amount) = if n % 3 == 2 {
                    (withdraw(number, of, amount), -amount)
                } else {
                    (deposit(number, of, amount), amount)
                };
                match writer.submit(submission.clone()).await {
                    Ok(receipt) => {
                        sum += amount;
                        assert!(!receipt.repeated);
                        positions.push(receipt.position);
                        let again = writer.submit(submission).await.unwrap();
                        assert_eq!(again, Receipt { repeated: true, ..receipt });
                    }
                    Err(SubmitError::Rejected(Rejection::InsufficientFunds { .. })) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            (sum, positions)
        });
    }
    let results = tasks.join_all().await;
    let sum: i64 = results.iter().map(|(sum, _)| sum).sum();
    let mut positions: Vec<_> = results.into_iter().flat_map(|(_, positions)| positions).collect();
    positions.sort_unstable();
    let expected: Vec<_> = (ACCOUNTS + 1..=ACCOUNTS + positions.len() as u64).map(Position).collect();
    assert_eq!(positions, expected);
    let mut balances = 0;
    for number in 0..ACCOUNTS {
        balances += rig.balance(number).await;
    }
    assert_eq!(balances, sum);
    rig.verifies().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w3_two_writers_over_one_log_queue_instead_of_losing() {
    let rig = Rig::new().await;
    rig.send(open(1, 1)).await.unwrap();
    let (other, _heads, _task) =
        Writer::start(rig.log.open().await, TestClock::at(1_000_000), WriterSettings::default());
    let mut tasks = tokio::task::JoinSet::new();
    for (task, writer) in [rig.writer.clone(), other].into_iter().enumerate() {
        tasks.spawn(async move {
            for n in 0..30 {
                let submission = deposit(1000 * (task as u64 + 1) + n, 1, 1);
                while let Err(error) = writer.submit(submission.clone()).await {
                    assert!(matches!(error, SubmitError::Busy { .. }), "{error:?}");
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(rig.balance(1).await, 60);
    assert_eq!(rig.positions().await, 61);
    rig.verifies().await;
}

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

#[tokio::test]
async fn a_command_with_nothing_to_do_is_answered_with_where_the_stream_is() {
    let rig = Rig::with_account().await;
    let (transfer_id, currency) = (TransferId(id("transfer", 1)), "CZK".parse().unwrap());
    let hold = AccountCommand::HoldFunds { transfer_id, to: account(2), amount: 1, currency };
    rig.send(submission(3, 1, hold.clone())).await.unwrap();
    let receipt = rig.send(submission(4, 1, hold)).await.unwrap();
    assert_eq!((receipt.version, receipt.position, receipt.repeated), (Version(3), Position(3), false));
    assert_eq!(receipt.events, []);
    assert_eq!(rig.positions().await, 3);
}

#[tokio::test]
async fn a_refusal_that_rests_on_an_event_not_committed_yet_is_not_told_before_it_is() {
    for fault in [Some(Fault::Unavailable), None] {
        let rig = Rig::with_account().await;
        rig.store.script([fault]);
        rig.store.hold();
        let freeze = rig.begin(submission(3, 1, AccountCommand::FreezeAccount { reason: "test".into() }));
        rig.store.appends(3).await;
        let late = rig.begin(deposit(4, 1, 10));
        rig.store.lookups(1).await;
        // The next lookup begins after the first one's command was decided again.
        let later = rig.begin(deposit(5, 1, 10));
        rig.store.lookups(2).await;
        tokio::task::yield_now().await;
        assert!(!late.is_finished());
        rig.store.release(10);
        if fault.is_some() {
            assert!(matches!(freeze.await.unwrap(), Err(SubmitError::Unavailable(StoreError::Unavailable(_)))));
            assert!(late.await.unwrap().is_ok() && later.await.unwrap().is_ok());
        } else {
            assert!(freeze.await.unwrap().is_ok());
            assert_eq!(rejected(late.await.unwrap()), Rejection::AccountFrozen);
            assert_eq!(rejected(later.await.unwrap()), Rejection::AccountFrozen);
        }
    }
}

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
async fn an_event_is_never_recorded_before_the_one_in_front_of_it() {
    let rig = Rig::with_account().await;
    for (number, now) in [(3, 5_000_000), (4, 2_000_000), (5, 6_000_000)] {
        rig.clock.set(now);
        rig.send(deposit(number, 1, 1)).await.unwrap();
    }
    let times: Vec<_> =
        rig.store.read_log(Position(2), 10).await.unwrap().iter().map(|event| event.recorded_at).collect();
    assert_eq!(times, [5_000_000, 5_000_000, 6_000_000]);
    rig.verifies().await;
}

fn with_a_name(mut old: serde_json::Value) -> serde_json::Value {
    let name = old["title"].take();
    old["name"] = name;
    old
}

static UPCASTERS: [Upcaster; 1] = [Upcaster { event_type: "account.account_opened", from: 0, upcast: with_a_name }];

/// Account 1: opened in an older schema. Account 2: an event that nobody can read. Account 3: as today.
async fn old_and_unreadable() -> Rig {
    let rig = Rig::with(WriterSettings { upcasters: &UPCASTERS, ..WriterSettings::default() }).await;
    let mut chain = Chain::new();
    let old = format!(r#"{{"owner":"{}","title":"Old","currency":"CZK","overdraft_limit":7}}"#, user(1));
    let events = [
        chain.raw(command(1), 0, account(1).into(), "account.account_opened", 0, old.into()),
        chain.next(command(2), account(2), opened(1)),
        chain.raw(command(3), 0, account(2).into(), "account.from_the_future", 1, b"{}".to_vec()),
        chain.next(command(4), account(3), opened(1)),
    ];
    rig.store.append(Position(0), &events, &chain.head).await.unwrap();
    let (writer, heads, task) = Writer::start(
        rig.store.clone(),
        rig.clock.clone(),
        WriterSettings { upcasters: &UPCASTERS, ..WriterSettings::default() },
    );
    Rig { writer, heads, task, ..rig }
}

#[tokio::test]
async fn w6_older_events_are_upcast_where_they_are_read() {
    let rig = old_and_unreadable().await;
    assert_eq!(rig.send(withdraw(10, 1, 7)).await.unwrap().version, Version(2));
    let facts = rig.writer.account_facts(account(1)).await.unwrap();
    assert_eq!(facts, Some(AccountFacts { owner: user(1), currency: "CZK".parse().unwrap() }));
}

#[tokio::test]
async fn w6_an_event_that_cannot_be_read_stops_its_stream_and_no_other() {
    let rig = old_and_unreadable().await;
    rig.store.hold();
    let (stuck, fine) = (rig.begin(deposit(10, 2, 1)), rig.begin(deposit(11, 3, 1)));
    rig.store.release(10);
    match stuck.await.unwrap() {
        Err(SubmitError::Corrupt(StoreError::Corrupt { at, what })) => {
            assert!(at.starts_with("position 3 "), "{at}");
            assert!(what.contains("account.from_the_future"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fine.await.unwrap().unwrap().version, Version(2));
}

#[tokio::test]
async fn facts_of_an_account_are_known_once_it_is_open() {
    let rig = Rig::with_account().await;
    assert_eq!(rig.writer.account_facts(account(2)).await.unwrap(), None);
    // A transfer that was declined because the account did not exist stands before the opening.
    let declined = AccountCommand::HoldFunds {
        transfer_id: TransferId(id("transfer", 1)),
        to: account(1),
        amount: 1,
        currency: "CZK".parse().unwrap(),
    };
    rig.send(submission(3, 2, declined)).await.unwrap();
    assert_eq!(rig.writer.account_facts(account(2)).await.unwrap(), None);
    rig.send(open(4, 2)).await.unwrap();
    for _ in 0..2 {
        let facts = rig.writer.account_facts(account(2)).await.unwrap().unwrap();
        assert_eq!((facts.owner, facts.currency.code()), (user(1), "CZK"));
    }
}

#[tokio::test]
async fn a_fact_without_a_rule_is_recorded_in_its_own_stream() {
    let rig = Rig::new().await;
    let session = SessionId(id("session", 1));
    let ended = Event::Session(SessionEvent::SessionEnded { user_id: user(1), session_id: session });
    let receipt = rig.send(submission_to(1, session.into(), Intent::Record(ended.clone()))).await.unwrap();
    assert_eq!((receipt.version, receipt.events[0].event_type.as_str()), (Version(1), "session.session_ended"));
    let error = rig.send(submission_to(2, account(1).into(), Intent::Record(ended))).await.unwrap_err();
    assert!(matches!(error, SubmitError::Internal(_)), "{error:?}");
}

#[tokio::test]
async fn an_event_over_256_kib_is_refused_and_its_neighbours_are_not() {
    let rig = Rig::with_account().await;
    let skipped = |length| {
        Intent::Record(Event::Projection(app::wire::ProjectionEvent::EventSkipped {
            projection: "statement".into(),
            position: Position(1),
            event_id: app::domain::EventId(id("event", 1)),
            reason: "x".repeat(length),
        }))
    };
    let stream = StreamId::new(StreamKind::Projection, id("projection", 1));
    rig.store.hold();
    let too_large = rig.begin(submission_to(3, stream, skipped(MAX_EVENT_BYTES)));
    let large = rig.begin(submission_to(4, stream, skipped(MAX_EVENT_BYTES - 2000)));
    let neighbour = rig.begin(deposit(5, 1, 1));
    rig.store.release(10);
    assert!(matches!(too_large.await.unwrap(), Err(SubmitError::TooLarge { .. })));
    assert_eq!(large.await.unwrap().unwrap().version, Version(1));
    assert!(neighbour.await.unwrap().is_ok());
    rig.verifies().await;
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
