//! The writer: group commit, versions, order; and in modules of their own what else it promises.

mod again;
mod events;
mod faults;

use std::sync::Arc;

use app::{
    domain::{
        Rejection, TransferId,
        account::{self, Account, AccountCommand},
    },
    wire::{Actor, Event, Position, Receipt, Version, decode},
};
use server::write::{
    store::{EventStore, Head, StoreError},
    verify::verify,
    writer::{Submission, SubmitError, Writer, WriterSettings},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    faulty::{Fault, Faulty},
    write_support::{TempLog, TestClock, account, command, deposit, id, open, submission, user, withdraw},
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
