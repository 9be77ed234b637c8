//! Transfers are carried to their end exactly once, whatever crashes in between.

use std::{sync::Arc, time::Duration};

use app::{
    domain::{
        AccountId, CommandId, EventId, TransferId,
        account::{AccountCommand, DeclineReason},
        transfer::{Step, Transfer, TransferCommand, TransferStatus, after_account_event, after_transfer_event},
    },
    wire::{Actor, Envelope, Event, Hash, Metadata, Position, StreamId},
};
use server::write::{
    handler::digest,
    process_manager::{NAME, ProcessManager, ProcessStatus, step_command_id},
    store::EventStore,
    writer::{Intent, Submission, SubmitError, WriterSettings},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    faulty::{Fault, Faulty},
    history::{COMPLETED, DECLINED_AT_DESTINATION, DECLINED_AT_SOURCE, LONG},
    write_side::{WriteSide, assert_conserved, rand, read, user},
};

struct Running {
    status: watch::Receiver<ProcessStatus>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(side: &WriteSide) -> Self {
        Self::start_with(side, Duration::from_secs(5))
    }

    fn start_with(side: &WriteSide, lease: Duration) -> Self {
        let manager = ProcessManager::new(side.store.clone(), side.writer.clone(), side.head.clone());
        let manager = manager.with_lease_of(lease);
        let (status, cancel) = (manager.status(), CancellationToken::new());
        let task = tokio::spawn(manager.run(cancel.clone()));
        Self { status, cancel, task }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }

    async fn reached(&mut self, position: Position) {
        let there = |status: &ProcessStatus| match status {
            ProcessStatus::Running(reached) => *reached >= position,
            ProcessStatus::StandingBy => false,
            ProcessStatus::Parked { position, error } => panic!("parked at {position}: {error}"),
        };
        self.status.wait_for(there).await.unwrap();
    }

    /// Waits until the transfer has ended; a process manager that parks fails the test.
    async fn ended(&self, side: &WriteSide, id: TransferId) -> Transfer {
        let (mut head, mut status) = (side.head.clone(), self.status.clone());
        loop {
            head.mark_unchanged();
            let state = side.transfer_state(id).await;
            match state.status {
                TransferStatus::Completed | TransferStatus::Failed => return state,
                TransferStatus::Absent | TransferStatus::Requested => {}
            }
            tokio::select! {
                changed = head.changed() => changed.unwrap(),
                parked = status.wait_for(|status| matches!(status, ProcessStatus::Parked { .. })) => panic!("{parked:?}"),
            }
        }
    }

    async fn parked(&mut self) -> (Position, String) {
        let status = self.status.wait_for(|status| matches!(status, ProcessStatus::Parked { .. })).await.unwrap();
        match &*status {
            ProcessStatus::Parked { position, error } => (*position, error.clone()),
            ProcessStatus::Running(_) | ProcessStatus::StandingBy => unreachable!(),
        }
    }
}

/// The types of the events that belong to a transfer, in order.
fn life(log: &[Envelope], id: TransferId) -> Vec<&str> {
    let of_it = |event: &&Envelope| {
        event.stream == id.into() || String::from_utf8_lossy(&event.payload).contains(&id.to_string())
    };
    log.iter().filter(of_it).map(|event| event.event_type.as_str()).collect()
}

/// Runs one transfer of 60 CZK to its end, and checks what it left.
async fn run(side: &WriteSide, from: AccountId, to: AccountId) -> (Transfer, Vec<Envelope>) {
    let id = side.request_transfer(from, to, 60).await;
    let running = Running::start(side);
    let transfer = running.ended(side, id).await;
    running.stop().await;
    let log = side.log().await;
    assert_conserved(&log);
    let expected: &[&str] = match transfer.status {
        TransferStatus::Completed => &COMPLETED,
        _ if life(&log, id).contains(&"account.hold_declined") => &DECLINED_AT_SOURCE,
        _ => &DECLINED_AT_DESTINATION,
    };
    assert_eq!(life(&log, id), expected);
    (transfer, log)
}

#[tokio::test]
async fn a_transfer_moves_the_money_and_every_step_names_its_cause() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let (transfer, log) = run(&side, from, to).await;
    assert_eq!(transfer.status, TransferStatus::Completed);
    let (source, destination) = (side.account_state(from).await, side.account_state(to).await);
    assert_eq!((source.balance, source.held, destination.balance, destination.expected), (40, 0, 60, 0));

    let chain: Vec<(EventId, Metadata)> =
        log[3..].iter().map(|event| (event.event_id, serde_json::from_slice(&event.metadata).unwrap())).collect();
    for pair in chain.windows(2) {
        assert_eq!(pair[1].1.causation_id, Some(pair[0].0));
        assert_eq!(pair[1].1.correlation_id, chain[0].1.command_id);
        assert_eq!(pair[1].1.actor, Actor::ProcessManager);
    }
}

#[tokio::test]
async fn each_reason_at_the_source_declines_the_transfer_and_moves_nothing() {
    let side = WriteSide::new().await;
    let to = side.open_account(user(2), "CZK", 0).await;
    let poor = side.open_account(user(1), "CZK", 59).await;
    let frozen = side.open_account(user(1), "CZK", 100).await;
    side.account(frozen, AccountCommand::FreezeAccount { reason: "x".into() }).await;
    let closed = side.open_account(user(1), "CZK", 0).await;
    side.account(closed, AccountCommand::CloseAccount).await;
    let euros = side.open_account(user(1), "EUR", 100).await;
    for (from, reason) in [
        (AccountId(Uuid::from_u128(4)), DeclineReason::AccountNotFound),
        (poor, DeclineReason::InsufficientFunds),
        (frozen, DeclineReason::AccountFrozen),
        (closed, DeclineReason::AccountClosed),
        (euros, DeclineReason::CurrencyMismatch),
    ] {
        let (transfer, _) = run(&side, from, to).await;
        assert_eq!((transfer.status, transfer.reason), (TransferStatus::Failed, Some(reason)));
    }
    assert_eq!(side.account_state(poor).await.balance, 59);
}

#[tokio::test]
async fn each_reason_at_the_destination_declines_the_transfer_and_frees_the_money() {
    let side = WriteSide::new().await;
    let from = side.open_account(user(1), "CZK", 100).await;
    let frozen = side.open_account(user(2), "CZK", 0).await;
    side.account(frozen, AccountCommand::FreezeAccount { reason: "x".into() }).await;
    let closed = side.open_account(user(2), "CZK", 0).await;
    side.account(closed, AccountCommand::CloseAccount).await;
    let full = side.open_account(user(2), "CZK", i64::MAX - 59).await;
    let euros = side.open_account(user(2), "EUR", 0).await;
    // Frozen, closed or full is the other side's business: the sender learns only that it cannot take the money.
    for (to, reason) in [
        (AccountId(Uuid::from_u128(4)), DeclineReason::AccountNotFound),
        (frozen, DeclineReason::Unavailable),
        (closed, DeclineReason::Unavailable),
        (full, DeclineReason::Unavailable),
        (euros, DeclineReason::CurrencyMismatch),
    ] {
        let (transfer, _) = run(&side, from, to).await;
        assert_eq!((transfer.status, transfer.reason), (TransferStatus::Failed, Some(reason)));
        let source = side.account_state(from).await;
        assert_eq!((source.balance, source.held), (100, 0));
    }
}

/// The same ledger, opened once more, with a store that can be held back and can fail.
async fn reopen_faulty(side: &WriteSide) -> (WriteSide, Arc<Faulty>) {
    let mut store = None;
    let over = |inner| -> Arc<dyn EventStore> { store.insert(Faulty::over(inner)).clone() };
    let side = side.reopen_with(over, WriterSettings::default()).await;
    (side, store.unwrap())
}

/// Runs a process manager on the same file until its store dies at the append behind `appends` more.
async fn run_until_it_dies(side: &WriteSide, appends: usize, death: Fault) {
    let (dying, store) = reopen_faulty(side).await;
    store.script(vec![None; appends].into_iter().chain([Some(death)]));
    let running = Running::start(&dying);
    store.fails().await;
    running.stop().await;
}

/// Kills the process at every one of `steps` steps, restarts it, and looks at the end.
async fn crash_everywhere(side: &WriteSide, from: AccountId, to: AccountId, expected: &[&str]) {
    let steps = expected.len() - 1;
    let before = (0..steps).map(|appends| (appends, Fault::Away, appends));
    let after = (0..steps).map(|appends| (appends, Fault::UnknownStoredThenAway, appends + 1));
    for (appends, death, stored) in before.chain(after) {
        // Requested through a writer that knows what the last round left.
        let fresh = side.reopen().await;
        let id = fresh.request_transfer(from, to, 60).await;
        run_until_it_dies(side, appends, death).await;
        assert_eq!(life(&side.log().await, id), expected[..=stored], "{death:?} {appends}");

        let restarted = side.reopen().await;
        let running = Running::start(&restarted);
        running.ended(&restarted, id).await;
        running.stop().await;
        let log = side.log().await;
        assert_eq!(life(&log, id), expected, "{death:?} {appends}");
        assert_conserved(&log);
    }
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_transfer_lets_it_complete_once() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 1000).await, side.open_account(user(2), "CZK", 0).await);
    crash_everywhere(&side, from, to, &COMPLETED).await;
    let (source, destination) = (side.account_state(from).await, side.account_state(to).await);
    assert_eq!((source.balance, source.held, destination.balance), (1000 - 10 * 60, 0, 10 * 60));
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_declined_transfer_lets_it_fail_once() {
    let side = WriteSide::new().await;
    let from = side.open_account(user(1), "CZK", 100).await;
    crash_everywhere(&side, from, AccountId(Uuid::from_u128(4)), &DECLINED_AT_DESTINATION).await;
    let source = side.account_state(from).await;
    assert_eq!((source.balance, source.held), (100, 0));
    crash_everywhere(&side, AccountId(Uuid::from_u128(4)), from, &DECLINED_AT_SOURCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_manager_that_was_paused_past_its_lease_wakes_up_late_and_changes_nothing() {
    const SHORT: Duration = Duration::from_millis(400);
    let side = WriteSide::on_postgres().await;
    let (from, to) = (side.open_account(user(1), "CZK", 1000).await, side.open_account(user(2), "CZK", 0).await);
    let (first, gate) = reopen_faulty(&side).await;
    let mut one = Running::start_with(&first, SHORT);
    one.reached(side.store.head().await.unwrap().position).await;
    let second = side.reopen().await;
    let mut two = Running::start_with(&second, SHORT);

    // In the middle of the append that takes the first step.
    gate.hold();
    let id = side.request_transfer(from, to, 60).await;
    gate.appends(1).await;
    gate.away(true);
    assert_eq!(two.ended(&second, id).await.status, TransferStatus::Completed);
    two.reached(side.store.head().await.unwrap().position).await;
    assert_eq!(life(&side.log().await, id), COMPLETED);
    let log = side.log().await;

    gate.away(false);
    gate.release(1000);
    one.status.wait_for(|status| *status == ProcessStatus::StandingBy).await.unwrap();
    assert_eq!(side.log().await, log);
    // It still does its duty once the other is gone.
    two.stop().await;
    let again = side.request_transfer(from, to, 60).await;
    assert_eq!(one.ended(&first, again).await.status, TransferStatus::Completed);
    one.stop().await;
    assert_eq!(side.account_state(to).await.balance, 120);
    assert_conserved(&side.log().await);
}

#[tokio::test]
async fn after_the_promise_nothing_can_refuse_any_more() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let id = side.request_transfer(from, to, 60).await;
    run_until_it_dies(&side, 2, Fault::Away).await;
    assert_eq!(life(&side.log().await, id), COMPLETED[..3]);

    let side = side.reopen().await;
    for account in [from, to] {
        side.account(account, AccountCommand::FreezeAccount { reason: "x".into() }).await;
    }
    let running = Running::start(&side);
    assert_eq!(running.ended(&side, id).await.status, TransferStatus::Completed);
    running.stop().await;
    assert_eq!(side.account_state(to).await.balance, 60);
    assert_conserved(&side.log().await);
}

/// All steps that were ever taken for a transfer, from its events.
fn steps_of(log: &[Envelope], id: TransferId) -> Vec<Step> {
    let step = |event: &Envelope| match read(event) {
        Event::Transfer(decoded) => after_transfer_event(TransferId(event.stream.id), &decoded).map(|step| (id, step)),
        Event::Account(decoded) => after_account_event(AccountId(event.stream.id), &decoded),
        Event::Session(_) | Event::Projection(_) => None,
    };
    log.iter().filter_map(step).filter(|(of, _)| *of == id).map(|(_, step)| step).collect()
}

/// Sends late copies of every step of every kind, under the step's own id and under another, and expects no event.
async fn assert_late_copies_change_nothing(side: &WriteSide, id: TransferId, mut steps: Vec<Step>) {
    let account_of = |steps: &[Step], name: &str| match steps.iter().find(|step| step.name() == name) {
        Some(Step::Account(account, _)) => Some(*account),
        Some(Step::Transfer(..)) | None => None,
    };
    // Steps that this transfer never took are as late.
    let (source, destination) = (account_of(&steps, "hold_funds"), account_of(&steps, "expect_transfer"));
    let reason = DeclineReason::Unavailable;
    if let Some(source) = source {
        steps.push(Step::Account(source, AccountCommand::CaptureHold { transfer_id: id }));
        steps.push(Step::Account(source, AccountCommand::ReleaseHold { transfer_id: id, reason }));
    }
    if let Some(destination) = destination {
        steps.push(Step::Account(destination, AccountCommand::CreditTransfer { transfer_id: id }));
    }
    steps.push(Step::Transfer(id, TransferCommand::CompleteTransfer));
    steps.push(Step::Transfer(id, TransferCommand::FailTransfer { reason }));

    let before = side.store.head().await.unwrap();
    for step in steps {
        let name = step.name();
        let (stream, intent) = match step {
            Step::Account(account, command) => (StreamId::from(account), Intent::Account(command)),
            Step::Transfer(transfer, command) => (transfer.into(), Intent::Transfer(command)),
        };
        for command_id in [step_command_id(id, name, 0), CommandId(Uuid::from_u128(rand()))] {
            let actor = Actor::ProcessManager;
            let submission = Submission {
                command_id,
                actor,
                correlation_id: command_id,
                causation_id: None,
                digest: digest(actor, &(id, name)).unwrap(),
                stream,
                expected: None,
                intent: intent.clone(),
                lease: None,
            };
            match side.writer.submit(submission).await {
                Ok(receipt) => assert!(receipt.repeated || receipt.events.is_empty(), "{name}"),
                Err(SubmitError::Rejected(_)) => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
    assert_eq!(side.store.head().await.unwrap(), before);
}

#[tokio::test]
async fn late_copies_of_any_step_change_nothing_after_the_end() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 1000).await, side.open_account(user(2), "CZK", 0).await);
    let nowhere = AccountId(Uuid::from_u128(4));
    for (from, to) in [(from, to), (nowhere, to), (from, nowhere)] {
        let id = side.request_transfer(from, to, 60).await;
        let running = Running::start(&side);
        running.ended(&side, id).await;
        running.stop().await;
        let steps = steps_of(&side.log().await, id);
        assert_late_copies_change_nothing(&side, id, steps).await;
    }
}

#[tokio::test]
async fn a_declined_step_stays_declined_though_the_reason_has_gone() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 10).await, side.open_account(user(2), "CZK", 0).await);
    let (transfer, log) = run(&side, from, to).await;
    assert_eq!(transfer.reason, Some(DeclineReason::InsufficientFunds));
    let id = TransferId(log.last().unwrap().stream.id);
    let rich = side.open_account(user(1), "CZK", 1000).await;
    assert_eq!(run(&side, rich, from).await.0.status, TransferStatus::Completed);
    assert_late_copies_change_nothing(&side, id, steps_of(&log, id)).await;
}

#[tokio::test]
async fn looking_at_the_whole_log_again_changes_nothing() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 1000).await, side.open_account(user(2), "CZK", 0).await);
    for _ in 0..5 {
        run(&side, from, to).await;
    }
    let head = side.store.head().await.unwrap();
    let mut running = Running::start(&side);
    running.reached(head.position).await;
    running.stop().await;
    assert_eq!(side.store.checkpoint(NAME).await.unwrap(), head.position, "saved when it stops");
    side.store.save_checkpoint(NAME, Position(0)).await.unwrap();
    let side = side.reopen().await;
    let mut running = Running::start(&side);
    running.reached(head.position).await;
    running.stop().await;
    assert_eq!(side.store.head().await.unwrap(), head);
}

#[tokio::test]
async fn the_checkpoint_stays_in_front_of_a_step_that_could_not_be_stored() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let id = side.request_transfer(from, to, 60).await;
    run_until_it_dies(&side, 3, Fault::Full).await;
    let log = side.log().await;
    assert_eq!(life(&log, id), COMPLETED[..4]);
    assert!(side.store.checkpoint(NAME).await.unwrap() < log.last().unwrap().position);
}

#[tokio::test]
async fn nobody_can_hold_up_a_transfer_by_taking_the_id_of_a_step() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let id = side.request_transfer(from, to, 60).await;
    for (step, attempt) in [("hold_funds", 0), ("hold_funds", 1), ("capture_hold", 0), ("complete_transfer", 0)] {
        let command_id = step_command_id(id, step, attempt);
        let today = app::domain::Date::of_micros(super::write_side::NOW);
        let deposit = AccountCommand::DepositMoney { amount: 1, effective_on: today, today, description: None };
        let submission = Submission {
            command_id,
            actor: Actor::User(user(2)),
            correlation_id: command_id,
            causation_id: None,
            digest: Hash([1; 32]),
            stream: to.into(),
            expected: None,
            intent: Intent::Account(deposit),
            lease: None,
        };
        side.writer.submit(submission).await.unwrap();
    }
    let running = Running::start(&side);
    assert_eq!(running.ended(&side, id).await.status, TransferStatus::Completed);
    running.stop().await;
    assert_eq!(life(&side.log().await, id), COMPLETED);
}

#[tokio::test]
async fn many_transfers_at_once_conserve_money_and_all_end() {
    let side = WriteSide::new().await;
    let mut accounts = Vec::new();
    for number in 0..5 {
        accounts.push(side.open_account(user(number), "CZK", 200).await);
    }
    // A writer with hardly any room: the process manager is told to come back, and does.
    let settings = WriterSettings { queue: 8, ..WriterSettings::default() };
    let side = side.reopen_with(|store| store, settings).await;
    let running = Running::start(&side);
    let mut ids = Vec::new();
    for number in 0..60 {
        let (from, to) = (accounts[number % 5], accounts[(number * 3 + 1) % 5]);
        if from != to {
            let mut request = side.try_request_transfer(from, to, 10 + i64::try_from(number).unwrap() * 7 % 60).await;
            while let Err(SubmitError::Busy { .. }) = request {
                tokio::task::yield_now().await;
                request = side.try_request_transfer(from, to, 10).await;
            }
            ids.push(request.unwrap());
        }
    }
    for id in &ids {
        running.ended(&side, *id).await;
    }
    running.stop().await;
    let log = side.log().await;
    assert_conserved(&log);
    let mut total = 0;
    for account in accounts {
        let state = side.account_state(account).await;
        assert_eq!((state.held, state.expected), (0, 0));
        assert!(state.balance >= 0);
        total += state.balance;
    }
    assert_eq!(total, 1000);
}

#[tokio::test]
async fn w6_an_event_that_does_not_read_parks_it_and_what_came_before_is_done() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let id = side.request_transfer(from, to, 60).await;
    side.forge(AccountId(Uuid::from_u128(77)), "account.interest_paid", "{}").await;
    let bad = side.store.head().await.unwrap().position;
    let side = side.reopen().await;
    let mut running = Running::start(&side);
    let (position, error) = running.parked().await;
    assert_eq!(position, bad);
    assert!(error.contains("account.interest_paid"), "{error}");
    assert_eq!(life(&side.log().await, id), COMPLETED[..2], "the step before was taken");
    running.task.await.unwrap();
    assert!(side.store.checkpoint(NAME).await.unwrap() < bad);
}

#[tokio::test]
async fn a_step_that_is_refused_parks_it_in_front_of_its_event() {
    let side = WriteSide::new().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let id = TransferId(Uuid::from_u128(5));
    // Captured, though the destination never promised: no rule would have led here.
    let payload = format!(r#"{{"transfer_id":"{id}","to":"{to}","amount":60}}"#);
    side.forge(from, "account.hold_captured", &payload).await;
    let bad = side.store.head().await.unwrap().position;
    let side = side.reopen().await;
    let mut running = Running::start(&side);
    let (position, error) = running.parked().await;
    assert_eq!(position, bad);
    assert!(error.contains("credit_transfer") && error.contains(&id.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_carried_on_after_a_failover_to_a_copy_whose_log_is_shorter() {
    let side = WriteSide::on_postgres().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let mut running = Running::start(&side);
    let copied = side.store.head().await.unwrap();
    let lost = side.request_transfer(from, to, 60).await;
    running.ended(&side, lost).await;
    running.reached(side.store.head().await.unwrap().position).await;

    side.fail_over_to(copied).await;
    let id = side.request_transfer(from, to, 70).await;
    let transfer = tokio::time::timeout(LONG, running.ended(&side, id)).await.expect("it ends");
    assert_eq!(transfer.status, TransferStatus::Completed);
    running.reached(side.store.head().await.unwrap().position).await;
    running.stop().await;
    let log = side.log().await;
    assert_conserved(&log);
    assert_eq!(side.account_state(to).await.balance, 70);
    // Nor does a checkpoint of the longer log keep a new one from looking at what is there.
    let end = side.store.head().await.unwrap().position;
    assert_eq!(side.store.checkpoint(NAME).await.unwrap(), end);
    side.store.save_checkpoint(NAME, Position(end.0 + 50)).await.unwrap();
    run(&side, from, to).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_lost_in_a_failover_takes_no_step() {
    let side = WriteSide::on_postgres().await;
    let (from, to) = (side.open_account(user(1), "CZK", 100).await, side.open_account(user(2), "CZK", 0).await);
    let copied = side.store.head().await.unwrap();
    let lost = side.request_transfer(from, to, 60).await;
    let (side, store) = reopen_faulty(&side).await;
    store.hold();
    let running = Running::start(&side);
    // Its first step is on its way to the store.
    store.appends(1).await;
    side.fail_over_to(copied).await;
    store.release(1_000);
    let id = side.request_transfer(from, to, 70).await;
    let transfer = tokio::time::timeout(LONG, running.ended(&side, id)).await.expect("it ends");
    assert_eq!(transfer.status, TransferStatus::Completed);
    running.stop().await;
    let log = side.log().await;
    assert!(life(&log, lost).is_empty());
    assert_conserved(&log);
    assert_eq!((side.account_state(from).await.available(), side.account_state(to).await.balance), (30, 70));
}
