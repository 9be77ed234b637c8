//! Several processes that append to one log on a real PostgreSQL: each with a store and a writer of its own.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use app::{
    domain::{
        Rejection,
        account::{self, Account},
    },
    wire::{Event, Position, Receipt, Version, decode},
};
use server::write::{
    store::{EventStore, Head, StoreError},
    verify::verify,
    writer::{SubmitError, SystemClock, Writer, WriterSettings},
};
use sqlx::Executor as _;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    faulty::{Fault, Faulty},
    history::LONG,
    postgres::TempPostgres,
    write_support::{Chain, account, command, deposit, deposited, open, withdraw},
};

const NODES: u64 = 4;

/// What one process has of the write side.
struct Node {
    store: Arc<dyn EventStore>,
    writer: Writer,
    heads: watch::Receiver<Head>,
    _task: JoinHandle<()>,
}

impl Node {
    async fn on(place: &TempPostgres) -> Self {
        Self::over(place.open().await)
    }

    fn over(store: Arc<dyn EventStore>) -> Self {
        let (writer, heads, _task) = Writer::start(
            store.clone(),
            Arc::new(SystemClock),
            WriterSettings { batch: 16, ..WriterSettings::default() },
        );
        Self { store, writer, heads, _task }
    }
}

async fn nodes(place: &TempPostgres) -> Vec<Arc<Node>> {
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(Arc::new(Node::on(place).await));
    }
    nodes
}

async fn state(store: &dyn EventStore, number: u64) -> Account {
    let events = store.read_stream(account(number).into(), Version(0), u32::MAX).await.unwrap();
    events.iter().fold(Account::default(), |state, event| {
        match decode(&event.event_type, event.schema, &event.payload).unwrap() {
            Event::Account(event) => account::evolve(state, &event),
            other => panic!("{other:?}"),
        }
    })
}

/// Follows the log until it is told that all is written, and panics at the first gap. What it read.
fn reader(store: Arc<dyn EventStore>, finished: Arc<AtomicBool>) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut seen = Position(0);
        loop {
            let last_look = finished.load(Ordering::SeqCst);
            let head = store.head().await.unwrap().position;
            for event in store.read_log(seen, 1000).await.unwrap() {
                assert_eq!(event.position, seen.next());
                seen = event.position;
            }
            assert!(seen >= head, "{seen} is before {head}, which was visible before");
            if last_look && seen == store.head().await.unwrap().position {
                return seen.0;
            }
            tokio::task::yield_now().await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w2_w3_w4_hold_with_four_writers_on_the_same_and_on_different_accounts() {
    const CLIENTS: u64 = 8;
    const EACH: u64 = 25;
    let place = TempPostgres::new().await;
    let nodes = nodes(&place).await;
    nodes[0].writer.submit(open(1, 0)).await.unwrap();
    for node in 0..NODES {
        nodes[0].writer.submit(open(10 + node, 1 + node)).await.unwrap();
    }
    let finished = Arc::new(AtomicBool::new(false));
    let reader = reader(place.open().await, finished.clone());

    let mut clients = JoinSet::new();
    for (n, node) in (0..).zip(&nodes) {
        for client in 0..CLIENTS {
            let node = node.clone();
            clients.spawn(async move {
                let mut receipts = Vec::new();
                for i in 0..EACH {
                    // Every other one to the account that all write to.
                    let to = if i % 2 == 0 { 0 } else { 1 + n };
                    let number = 1000 + ((n * CLIENTS) + client) * EACH + i;
                    receipts.push(node.writer.submit(deposit(number, to, 1)).await.unwrap());
                }
                receipts
            });
        }
    }
    let receipts: Vec<Receipt> = clients.join_all().await.into_iter().flatten().collect();
    finished.store(true, Ordering::SeqCst);
    let total = NODES * CLIENTS * EACH;
    assert_eq!(reader.await.unwrap(), 1 + NODES + total);
    assert_eq!(receipts.len() as u64, total);
    assert!(receipts.iter().all(|receipt| !receipt.repeated && receipt.events.len() == 1));
    // Each acknowledged command is there once, where its receipt says.
    let log = nodes[0].store.read_log(Position(0), u32::MAX).await.unwrap();
    let by_id: HashMap<_, _> = log.iter().map(|event| (event.event_id, event)).collect();
    for receipt in &receipts {
        let stored = by_id[&receipt.events[0].event_id];
        assert_eq!((stored.position, stored.version), (receipt.position, receipt.version));
    }
    let shared = NODES * CLIENTS * EACH.div_ceil(2);
    assert_eq!(state(&*nodes[0].store, 0).await.balance, shared as i64);
    verify(&*nodes[0].store, &[], |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w4_a_command_sent_to_every_writer_at_once_is_stored_once() {
    let place = TempPostgres::new().await;
    let nodes = nodes(&place).await;
    nodes[0].writer.submit(open(1, 0)).await.unwrap();
    nodes[0].writer.submit(deposit(2, 0, 1_000)).await.unwrap();
    let mut sent = JoinSet::new();
    for number in 100..160 {
        for node in &nodes {
            let node = node.clone();
            // The account holds enough for half of them: a refusal, too, must not hide that it was stored elsewhere.
            sent.spawn(async move { (number, node.writer.submit(withdraw(number, 0, 33)).await) });
        }
    }
    let mut positions: HashMap<u64, Vec<Position>> = HashMap::new();
    let mut refused: HashMap<u64, u32> = HashMap::new();
    for (number, answer) in sent.join_all().await {
        match answer {
            Ok(receipt) => positions.entry(number).or_default().push(receipt.position),
            Err(SubmitError::Rejected(Rejection::InsufficientFunds { .. })) => *refused.entry(number).or_default() += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(positions.len(), 30);
    for (number, positions) in positions {
        assert!(positions.iter().all(|position| *position == positions[0]), "{number}: {positions:?}");
        // Refused before it was stored it may have been, but whoever asks now is told.
        for node in &nodes {
            let again = node.writer.submit(withdraw(number, 0, 33)).await.unwrap();
            assert!(again.repeated && again.position == positions[0]);
        }
    }
    // Another command under an id that another node knows.
    let stored = nodes[0].store.read_log(Position(2), 1).await.unwrap();
    let taken =
        (100..160).find(|number| app::domain::EventId::derive(command(*number), 0) == stored[0].event_id).unwrap();
    for node in &nodes {
        let error = node.writer.submit(deposit(taken, 0, 5)).await.unwrap_err();
        assert!(matches!(error, SubmitError::IdReused), "{error:?}");
    }
    assert_eq!(state(&*nodes[0].store, 0).await.balance, 10);
    verify(&*nodes[0].store, &[], |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_writes_nothing_learns_of_what_others_append_and_decides_on_it() {
    let place = TempPostgres::new().await;
    let (one, mut other) = (Node::on(&place).await, Node::on(&place).await);
    one.writer.submit(open(1, 0)).await.unwrap();
    one.writer.submit(deposit(2, 0, 10)).await.unwrap();
    // In its cache.
    let error = other.writer.submit(withdraw(3, 0, 11)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Rejected(Rejection::InsufficientFunds { .. })), "{error}");
    let receipt = one.writer.submit(deposit(4, 0, 1)).await.unwrap();
    let head = other.heads.wait_for(|head| head.position >= receipt.position).await.unwrap().position;
    assert_eq!(head, receipt.position);
    assert_eq!(other.writer.submit(withdraw(5, 0, 11)).await.unwrap().position, head.next());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_being_read_is_read_once_whatever_others_append_to_other_streams() {
    let place = TempPostgres::new().await;
    let one = Node::on(&place).await;
    one.writer.submit(open(1, 0)).await.unwrap();
    one.writer.submit(open(2, 1)).await.unwrap();
    // What another appends meanwhile, how often the stream is read, and its version then.
    for (number, to, reads, version) in [(10, 1, 1, 2), (20, 0, 2, 4)] {
        let store = Faulty::over(place.open().await);
        let mut other = Node::over(store.clone());
        other.writer.submit(open(number, number)).await.unwrap();
        store.hold_reads_of(account(0).into());
        let mine = tokio::spawn({
            let writer = other.writer.clone();
            async move { writer.submit(deposit(number + 1, 0, 1)).await }
        });
        store.slow_reads(1).await;
        let theirs = one.writer.submit(deposit(number + 2, to, 1)).await.unwrap().position;
        other.heads.wait_for(|head| head.position >= theirs).await.unwrap();
        store.release_reads(reads);
        let receipt = tokio::time::timeout(LONG, mine).await.expect("an answer").unwrap().unwrap();
        assert_eq!(receipt.version, Version(version));
    }
    verify(&*one.store, &[], |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_stream_that_was_decided_in_vain_is_read_from_where_it_was_remembered() {
    const MANY: u64 = 600;
    let place = TempPostgres::new().await;
    let store = Faulty::over(place.open().await);
    let (one, other) = (Node::on(&place).await, Node::over(store.clone()));
    other.writer.submit(open(1, 0)).await.unwrap();
    // Always some of them in flight, one behind the other.
    let mut deposits = JoinSet::new();
    for client in 0..4 {
        let writer = other.writer.clone();
        deposits.spawn(async move {
            for n in 0..MANY / 4 {
                writer.submit(deposit(1000 + MANY * client + n, 0, 1)).await.unwrap();
            }
        });
    }
    deposits.join_all().await;
    store.read_after();
    for number in [10, 20] {
        // Others are faster, with an event of the same stream.
        one.writer.submit(deposit(number, 0, 1)).await.unwrap();
        store.script([Some(Fault::HeadMoved)]);
        let mine = other.writer.submit(deposit(number + 1, 0, 1)).await.unwrap();
        assert_eq!(mine.version, Version(1 + MANY + number / 5));
        let read = store.read_after();
        assert!(read > Some(Version(MANY / 3)), "read from {read:?}");
    }
    // Nothing was counted twice.
    let refused = other.writer.submit(withdraw(30, 0, MANY as i64 + 5)).await;
    assert!(matches!(refused, Err(SubmitError::Rejected(_))), "{refused:?}");
    other.writer.submit(withdraw(31, 0, MANY as i64 + 4)).await.unwrap();
    verify(&*one.store, &[], |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_in_its_turn_does_not_wait_for_a_stream_that_takes_long_to_read() {
    let place = TempPostgres::new().await;
    let store = Faulty::over(place.open().await);
    let (one, other) = (Node::on(&place).await, Node::over(store.clone()));
    one.writer.submit(open(1, 0)).await.unwrap();
    one.writer.submit(open(2, 1)).await.unwrap();
    other.writer.submit(open(3, 2)).await.unwrap();
    store.hold_reads_of(account(0).into());
    let slow = tokio::spawn({
        let writer = other.writer.clone();
        async move { writer.submit(deposit(4, 0, 1)).await }
    });
    store.slow_reads(1).await;
    // Others were faster twice: this writer takes its turn.
    store.script([Some(Fault::HeadMoved), Some(Fault::HeadMoved)]);
    let quick = tokio::time::timeout(LONG, other.writer.submit(deposit(5, 2, 1)));
    assert_eq!(quick.await.expect("an answer").unwrap().position, Position(4));
    one.writer.submit(deposit(6, 1, 1)).await.unwrap();
    store.release_reads(10);
    assert_eq!(slow.await.unwrap().unwrap().position, Position(6));
    verify(&*one.store, &[], |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_one_holds_the_log_others_wait_and_do_not_miss() {
    let place = TempPostgres::new().await;
    let (one, other) = (place.open().await, place.open().await);
    assert_eq!(one.hold().await.unwrap(), Head::EMPTY);
    let mut chain = Chain::new();
    let first = [chain.next(command(1), account(1), deposited(1))];
    let after_first = chain.head;
    let late = tokio::spawn({
        let (other, first, head) = (other.clone(), first.clone(), chain.head);
        async move { other.append(Position(0), &first, &head).await }
    });
    let mut raw = place.raw().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%log_head%'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut raw).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!late.is_finished());
    one.append(Position(0), &first, &after_first).await.unwrap();
    assert!(matches!(late.await.unwrap(), Err(StoreError::HeadMoved)));
    // Given back without an append.
    assert_eq!(one.hold().await.unwrap(), after_first);
    one.release().await.unwrap();
    let second = [chain.next(command(2), account(1), deposited(1))];
    other.append(after_first.position, &second, &chain.head).await.unwrap();
    assert_eq!(one.read_log(Position(0), 10).await.unwrap(), [first, second].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w1_a_server_that_ends_all_connections_costs_nothing_that_was_acknowledged() {
    let place = TempPostgres::new().await;
    let node = Arc::new(Node::on(&place).await);
    node.writer.submit(open(1, 0)).await.unwrap();
    // After each commit that is heard of, all connections there are.
    let cutter = tokio::spawn({
        let (mut raw, mut heads) = (place.raw().await, node.heads.clone());
        async move {
            while heads.changed().await.is_ok() {
                raw.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                )
                .await
                .unwrap();
            }
        }
    });
    let mut clients = JoinSet::new();
    for client in 0..4 {
        let node = node.clone();
        clients.spawn(async move {
            for i in 0..20 {
                // As a client does: the same id until there is an answer.
                while let Err(error) = node.writer.submit(deposit(1000 + client * 20 + i, 0, 1)).await {
                    assert!(matches!(error, SubmitError::Unavailable(_) | SubmitError::Busy { .. }), "{error:?}");
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    clients.join_all().await;
    assert!(!cutter.is_finished());
    cutter.abort();
    let store = place.open().await;
    assert_eq!(state(&*store, 0).await.balance, 80);
    assert_eq!(store.head().await.unwrap().position, Position(81));
    verify(&*store, &[], |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_goes_on_when_its_server_has_failed_over_to_a_copy_whose_log_is_shorter() {
    let place = TempPostgres::new().await;
    let node = Node::on(&place).await;
    node.writer.submit(open(1, 0)).await.unwrap();
    node.writer.submit(deposit(2, 0, 1)).await.unwrap();
    let copied = node.store.head().await.unwrap();
    let position = copied.position;
    node.writer.submit(deposit(3, 0, 1)).await.unwrap();
    let mut heard = node.store.heard().unwrap();
    heard.wait_for(|heard| *heard > position).await.unwrap();

    place.fail_over_to(copied).await;
    let receipt = tokio::time::timeout(LONG, node.writer.submit(deposit(4, 0, 1))).await.expect("an answer").unwrap();
    assert_eq!(receipt.position, position.next());
    verify(&*node.store, &[], |_, _| {}).await.unwrap();
}

/// W1: nothing is decided on what is in the log no more, though the log is as long as it was, and longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_in_a_failover_is_forgotten_though_others_have_gone_on_since() {
    let place = TempPostgres::new().await;
    let (node, other) = (Node::on(&place).await, Node::on(&place).await);
    node.writer.submit(open(1, 0)).await.unwrap();
    let copied = node.store.head().await.unwrap();
    node.writer.submit(deposit(2, 0, 100)).await.unwrap();
    place.fail_over_to(copied).await;
    for number in 3..=4 {
        other.writer.submit(deposit(number, 0, 1)).await.unwrap();
    }
    let mut heads = node.heads.clone();
    heads.wait_for(|head| head.position == Position(3)).await.unwrap();
    let refused = node.writer.submit(withdraw(5, 0, 50)).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Rejected(Rejection::InsufficientFunds { .. })), "{refused}");
    node.writer.submit(withdraw(6, 0, 2)).await.unwrap();
    verify(&*node.store, &[], |_, _| {}).await.unwrap();
}
