//! The projections: what they show at each position, and that batches never show.

mod parking;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use app::{
    domain::{
        Currency,
        account::{Account, AccountEvent, DeclineReason, Direction, Status, evolve},
    },
    wire::{
        AccountView, EntryKind, Envelope, Event, EventView, Position, StatementRow, TransferState, TransferView,
        TrialBalanceLine, Version, decode,
    },
};
use proptest::prelude::*;
use server::read::{
    changes::{Changed, Changes},
    database::ReadDb,
    feed::Feed,
    projections::{self, Decoded, Tables},
    rebuild::install,
    sql::Sql,
};

use crate::history::{History, LONG, Log, NAMES, Place, account, dumped, texts, transfer_id, user};

pub fn decoded(events: &[Envelope]) -> Vec<Decoded> {
    let read = |event: &Envelope| decode(&event.event_type, event.schema, &event.payload).unwrap();
    events.iter().map(|envelope| Decoded { envelope: envelope.clone(), event: read(envelope) }).collect()
}

/// Applies `batches` to all projections without any runner; returns what each batch changed.
pub async fn apply(db: &ReadDb, batches: impl IntoIterator<Item = &[Decoded]>) -> Vec<Vec<Changed>> {
    let projections = projections::all();
    install(db, &projections).await.unwrap();
    let feed = Feed::open(db.clone(), Arc::new(|_, _| {})).await.unwrap();
    let mut told = vec![];
    for batch in batches {
        feed.take(batch.iter().map(|decoded| decoded.envelope.clone()).collect()).await.unwrap();
        let events: Vec<&Decoded> = batch.iter().collect();
        let mut rows = vec![];
        for projection in &projections {
            let (mut tx, mut changes) = (db.write().await.unwrap(), Changes::kept());
            projection.apply(&mut tx, Tables::Live, &events, &mut changes).await.unwrap();
            if let Some(last) = batch.last() {
                Sql::new("UPDATE checkpoints SET position = ? WHERE projection = ?")
                    .bind(last.envelope.position.as_i64())
                    .bind(projection.name())
                    .execute(&mut tx)
                    .await
                    .unwrap();
            }
            tx.commit().await.unwrap();
            rows.extend(changes.into_rows());
        }
        told.push(rows);
    }
    told
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_into_batches_leaves_the_same_rows(seed: u64, cuts in prop::collection::btree_set(0usize..250, 0..9)) {
        block_on(async {
            let events = decoded(&History::random(seed, 250).events);
            let (whole, cut) = (Place::new(), Place::new());
            let (whole, cut) = (whole.open().await, cut.open().await);
            apply(&whole, [&events[..]]).await;
            let mut edges: Vec<usize> = cuts.into_iter().collect();
            edges.extend([0, events.len()]);
            edges.sort_unstable();
            apply(&cut, edges.windows(2).map(|edge| &events[edge[0]..edge[1]])).await;
            assert_eq!(dumped(&whole).await, dumped(&cut).await);
        });
    }

    #[test]
    fn trial_balance_accounts_and_statement_are_right_at_every_position(seed: u64) {
        block_on(async {
            let place = Place::new();
            let events = decoded(&History::random(seed, 250).events);
            let told = apply(&place.open().await, events.chunks(1)).await;
            let (mut states, mut book) = (BTreeMap::new(), Book::default());
            let mut lines: BTreeMap<Currency, TrialBalanceLine> = BTreeMap::new();
            let mut balances = BTreeMap::new();
            for (decoded, rows) in events.iter().zip(told) {
                book.apply(decoded, &mut states);
                for row in rows {
                    match row {
                        Changed::TrialBalance(line) => { lines.insert(line.currency, line); }
                        Changed::Account(view) => shows(&view, &states[&view.id], decoded),
                        Changed::Statement { view: row, .. } if row.entry_position == decoded.envelope.position => {
                            let before = balances.insert(row.account_id, row.balance).unwrap_or(0);
                            assert_eq!(before + row.amount, row.balance);
                            assert_eq!(row.balance, states[&row.account_id].balance);
                        }
                        Changed::Statement { view: row, .. } => assert!(row.reversed_by.is_some()),
                        Changed::Day(_) | Changed::Transfer { .. } | Changed::Event { .. } => {}
                    }
                }
                for (currency, line) in &lines {
                    assert_eq!(
                        (line.balances, line.in_transit, line.deposits, line.withdrawals),
                        book.sides(*currency, &states)
                    );
                    assert_eq!(line.balances + line.in_transit, line.deposits - line.withdrawals);
                    assert!(line.in_transit >= 0);
                }
            }
        });
    }

    #[test]
    fn r4_a_deleted_read_database_comes_back_identical(seed: u64) {
        block_on(async {
            let history = History::random(seed, 250);
            let log = Log::new(history.events.clone());
            let (first, second) = (Place::new(), Place::new());
            let mut dumps = vec![];
            for place in [first, second] {
                let node = place.start(&log).await;
                node.reaches(history.head()).await;
                dumps.push(node.dump().await);
                node.stop().await;
            }
            assert!(dumps[0].lines().count() > 250);
            assert_eq!(dumps[0], dumps[1]);
        });
    }
}

/// The trial balance's other side, straight from the events.
#[derive(Default)]
struct Book(BTreeMap<Currency, (i64, i64, i64)>);

type States = BTreeMap<app::domain::AccountId, Account>;

impl Book {
    fn apply(&mut self, decoded: &Decoded, states: &mut States) {
        let Event::Account(event) = &decoded.event else { return };
        let id = app::domain::AccountId(decoded.envelope.stream.id);
        let state = evolve(states.remove(&id).unwrap_or_default(), event);
        // An account that was never opened can have declined a transfer.
        let mut nothing = (0, 0, 0);
        let sums = state.currency.map(|currency| self.0.entry(currency).or_default());
        let (in_transit, deposits, withdrawals) = sums.unwrap_or(&mut nothing);
        match *event {
            AccountEvent::MoneyDeposited { amount, .. } => *deposits += amount,
            AccountEvent::MoneyWithdrawn { amount, .. } => *withdrawals += amount,
            AccountEvent::EntryReversed { direction: Direction::In, amount, .. } => *deposits -= amount,
            AccountEvent::EntryReversed { direction: Direction::Out, amount, .. } => *withdrawals -= amount,
            AccountEvent::HoldCaptured { amount, .. } => *in_transit += amount,
            AccountEvent::TransferCredited { amount, .. } => *in_transit -= amount,
            _ => {}
        }
        states.insert(id, state);
    }

    fn sides(&self, currency: Currency, states: &States) -> (i128, i128, i128, i128) {
        let (in_transit, deposits, withdrawals) = self.0[&currency];
        let balances = crate::history::balances(states, currency);
        (balances.into(), in_transit.into(), deposits.into(), withdrawals.into())
    }
}

fn shows(view: &AccountView, state: &Account, decoded: &Decoded) {
    assert_eq!(
        (view.balance, view.held, view.expected, view.available, view.overdraft_limit, view.status),
        (state.balance, state.held, state.expected, state.available(), state.overdraft_limit, state.status)
    );
    assert_eq!((view.owner, view.currency), (state.owner.unwrap(), state.currency.unwrap()));
    assert_eq!((view.version, view.position), (decoded.envelope.version, decoded.envelope.position));
}

/// Runs a history and collects what the projections say of it.
async fn told(history: &History) -> Told {
    let place = Place::new();
    let rows = apply(&place.open().await, decoded(&history.events).chunks(1)).await;
    let mut told = Told::default();
    for row in rows.into_iter().flatten() {
        match row {
            Changed::Account(view) => told.accounts.push(view),
            Changed::Statement { view, owner } => {
                assert_eq!(owner, history.accounts[&view.account_id].owner);
                told.statement.push(view);
            }
            Changed::Transfer { view, from_owner, to_owner } => told.transfers.push((view, from_owner, to_owner)),
            Changed::Day(_) | Changed::TrialBalance(_) => {}
            Changed::Event { view, readers } => told.events.push((view, readers)),
        }
    }
    told
}

type Owner = Option<app::domain::UserId>;

#[derive(Default)]
struct Told {
    accounts: Vec<AccountView>,
    statement: Vec<StatementRow>,
    transfers: Vec<(TransferView, Owner, Owner)>,
    events: Vec<(EventView, Vec<app::domain::UserId>)>,
}

fn two_accounts() -> History {
    let mut history = History::default();
    assert!(history.open(1, user(1), "CZK", 0));
    assert!(history.open(2, user(2), "CZK", 0));
    assert!(history.deposit(1, 1_000));
    history
}

#[tokio::test]
async fn a_transfer_moves_through_its_states_and_the_destination_sees_it_from_its_promise_on() {
    let mut history = two_accounts();
    assert!(history.request(1, 1, 2, 400));
    history.settle();
    let told = told(&history).await;
    let states: Vec<_> = told.transfers.iter().map(|(view, _, to)| (view.state, to.is_some())).collect();
    assert_eq!(
        states,
        [
            (TransferState::Requested, false),
            (TransferState::Held, false),
            (TransferState::Promised, true),
            (TransferState::InTransit, true),
            (TransferState::Completed, true)
        ]
    );
    let (last, from_owner, to_owner) = told.transfers.last().unwrap();
    assert_eq!((*from_owner, *to_owner), (Some(user(1)), Some(user(2))));
    assert_eq!((last.version, last.position), (Version(2), history.head()));

    let legs: Vec<_> = told.statement[1..].iter().map(|row| (row.kind, row.amount, row.balance)).collect();
    assert_eq!(legs, [(EntryKind::TransferOut, -400, 600), (EntryKind::TransferIn, 400, 400)]);
    for row in &told.statement[1..] {
        assert_eq!(row.description.as_deref(), Some("Rent 1"));
        assert_eq!(row.transfer_id, Some(transfer_id(1)));
    }
    assert_eq!(told.statement[1].counterparty, Some(account(2)));

    // The request is told again as soon as the destination's owner may see it.
    let request: Vec<_> = told.events.iter().filter(|(view, _)| view.event_type.ends_with("_requested")).collect();
    assert_eq!(request.len(), 2);
    assert_eq!((&request[0].1, &request[1].1), (&vec![user(1)], &vec![user(1), user(2)]));
    assert_eq!(request[0].0, request[1].0);
}

#[tokio::test]
async fn a_declined_transfer_shows_what_the_source_is_told_and_never_the_destinations_reason() {
    let mut history = two_accounts();
    let freeze = app::domain::account::AccountCommand::FreezeAccount { reason: "Stolen card".to_owned() };
    assert!(history.account(account(2), freeze, None));
    assert!(history.request(1, 1, 2, 400));
    history.settle();
    let told = told(&history).await;
    let (last, _, to_owner) = told.transfers.last().unwrap();
    assert_eq!((last.state, last.reason), (TransferState::Declined, Some(DeclineReason::Unavailable)));
    assert_eq!(*to_owner, None);
    assert!(told.transfers.iter().all(|(view, ..)| view.reason != Some(DeclineReason::AccountFrozen)));
    assert!(told.statement.len() == 1, "nothing moved");
    for (view, readers) in &told.events {
        let of_transfer = view.stream == transfer_id(1).into();
        assert!(!(of_transfer && readers.contains(&user(2))));
    }
}

#[tokio::test]
async fn a_reversal_and_the_entry_it_undoes_point_at_each_other() {
    for apart in [false, true] {
        let mut history = two_accounts();
        let (id, event_id, entry) = history.entries[0];
        let (entry, effective_on) = (Some(Some(entry)), history.today());
        let reason = "Typo".to_owned();
        let command = app::domain::account::AccountCommand::ReverseEntry { event_id, entry, effective_on, reason };
        assert!(history.account(id, command, None));
        let (events, place) = (decoded(&history.events), Place::new());
        let rows = apply(&place.open().await, events.chunks(if apart { 1 } else { 4 })).await;
        let mut shown = BTreeMap::new();
        for row in rows.into_iter().flatten() {
            if let Changed::Statement { view: row, .. } = row {
                shown.insert(row.version, row);
            }
        }
        let (deposit, reversal) = (&shown[&Version(2)], &shown[&Version(3)]);
        assert_eq!(deposit.reversed_by, Some(reversal.event_id));
        assert_eq!(reversal.reverses, Some(deposit.event_id));
        assert_eq!((reversal.kind, reversal.amount, reversal.balance), (EntryKind::Reversal, -1_000, 0));
        assert_eq!((deposit.entry_position, deposit.position), (Position(3), Position(4)));
        assert_eq!((deposit.balance, reversal.description.as_deref()), (1_000, Some("Typo")));
    }
}

#[tokio::test]
async fn sums_over_accounts_go_beyond_64_bits_without_parking_anything() {
    let mut history = History::default();
    for number in 1..4 {
        assert!(history.open(number, user(number), "CZK", 0));
        assert!(history.deposit(number, i64::MAX));
    }
    let (place, log) = (Place::new(), Log::new(history.events.clone()));
    let node = place.start(&log).await;
    node.reaches(history.head()).await;
    let mut tx = node.side.db.read().await.unwrap();
    let balances = texts(&mut tx, "SELECT balances FROM trial_balance").await.concat();
    assert_eq!(balances, (i128::from(i64::MAX) * 3).to_string());
}

#[tokio::test]
async fn the_timeline_finds_events_by_plain_words_and_never_by_who_did_it() {
    let mut history = two_accounts();
    assert!(history.deposit(1, 123_450));
    let place = Place::new();
    let db = place.open().await;
    apply(&db, [&decoded(&history.events)[..]]).await;
    let mut tx = db.read().await.unwrap();
    let search = texts(&mut tx, "SELECT search FROM timeline WHERE position = 4").await.concat();
    let stream = app::wire::StreamId::from(account(1));
    assert!(search.starts_with("money deposited 1234.50 czk salary 2026-11-22"), "{search}");
    assert!(search.ends_with(&stream.to_string()) && !search.contains("operator"), "{search}");
}

#[tokio::test]
async fn r5_a_reader_waits_for_its_own_write_and_is_told_when_it_does_not_come() {
    let (place, history) = (Place::new(), History::random(7, 100));
    let log = Log::new(history.events[..60].to_vec());
    let node = place.start(&log).await;
    node.reaches(Position(60)).await;
    assert!(!node.side.wait_for(&NAMES, Position(61), Duration::from_millis(20)).await);
    assert!(!node.side.wait_for(&["no_such_projection"], Position(1), LONG).await);
    let waiting = {
        let side = node.side.clone();
        tokio::spawn(async move { side.wait_for(&NAMES, Position(100), LONG).await })
    };
    log.set(history.events.clone());
    assert!(waiting.await.unwrap());
    let status = node.side.status();
    assert_eq!((status.head, status.feed, status.unknown_since), (Some(Position(100)), Position(100), None));
    assert!(status.projections.iter().all(|shown| (shown.checkpoint, shown.lag) == (Position(100), Some(0))));
}

#[tokio::test]
async fn changes_are_told_after_the_commit() {
    let (place, history) = (Place::new(), History::random(8, 50));
    let log = Log::new(vec![]);
    let node = place.start(&log).await;
    let mut changes = node.side.changes();
    log.set(history.events.clone());
    let mut accounts = None;
    while accounts.is_none() {
        let committed = tokio::time::timeout(LONG, changes.recv()).await.unwrap().unwrap();
        let mut tx = node.side.db.read().await.unwrap();
        let checkpoint = Sql::new("SELECT position FROM checkpoints WHERE projection = ?").bind(committed.projection);
        let checkpoint: i64 = checkpoint.fetch_one(&mut tx).await.unwrap().only().unwrap();
        assert!(Position::from_i64(checkpoint) >= committed.position);
        if committed.projection == "accounts" && committed.position == history.head() {
            accounts = Some(committed);
        }
    }
    assert!(accounts.unwrap().rows.iter().all(|row| matches!(row, Changed::Account(_))));
}

#[test]
fn a_history_holds_events_of_every_kind() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let history = History::random(seed, 250);
        kinds.extend(history.events.iter().map(|event| event.event_type.clone()));
        let ended = history.transfers.values().filter(|transfer| transfer.reason.is_some()).count();
        assert!(ended > 0 && history.accounts.values().any(|account| account.status != Status::Absent));
    }
    let expected = 15 + 3 + 1;
    assert_eq!(kinds.len(), expected, "{kinds:?}");
}
