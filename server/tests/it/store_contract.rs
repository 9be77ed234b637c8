//! What every event store has to hold to; the same tests for each implementation.

use std::{sync::Arc, time::Duration};

use app::{
    domain::EventId,
    wire::{Envelope, Position, StreamId, StreamKind, Version},
};
use async_trait::async_trait;
use server::write::store::{EventStore, Head, StoreError, Under};
use sqlx::Executor as _;
use uuid::Uuid;

use crate::{
    postgres::TempPostgres,
    write_support::{Chain, TempLog, account, command, deposited, id, opened},
};

/// Where one log lives: opened as often as a test likes, each time as another process would.
#[async_trait]
trait Place: Send + Sync {
    async fn open(&self) -> Arc<dyn EventStore>;
    /// Runs a statement behind the store's back; the message if the database refuses it.
    async fn run(&self, sql: &'static str) -> Result<(), String>;
}

#[async_trait]
impl Place for TempLog {
    async fn open(&self) -> Arc<dyn EventStore> {
        TempLog::open(self).await
    }

    async fn run(&self, sql: &'static str) -> Result<(), String> {
        self.raw().await.execute(sql).await.map(drop).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Place for TempPostgres {
    async fn open(&self) -> Arc<dyn EventStore> {
        TempPostgres::open(self).await
    }

    async fn run(&self, sql: &'static str) -> Result<(), String> {
        self.raw().await.execute(sql).await.map(drop).map_err(|error| error.to_string())
    }
}

macro_rules! contract {
    ($place:expr; $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let place = $place;
            super::$name(&place).await;
        }
    )*};
}

macro_rules! contract_for {
    ($module:ident, $place:expr) => {
        mod $module {
            contract! { $place;
                an_empty_log_ends_at_zero
                what_is_appended_is_read_back
                reads_page_without_overlap_and_batches_can_be_large
                w1_what_was_appended_is_there_after_opening_again
                w1_the_database_itself_refuses_update_and_delete
                w2_a_version_of_a_stream_is_stored_once
                w3_an_append_behind_the_head_is_refused_whole
                w3_several_writers_leave_no_gap_and_no_reader_passes_an_event
                w4_an_event_id_is_stored_once_and_its_batch_is_refused_whole
                w4_the_events_of_commands_are_found_and_no_others
                a_checkpoint_is_what_was_saved_last
                a_lease_has_one_holder_and_the_fence_grows_with_each
                what_is_done_under_a_lease_that_was_taken_over_is_refused_whole
                what_follows_from_an_event_that_is_not_in_the_log_is_refused_whole
            }
        }
    };
}

contract_for!(sqlite, crate::write_support::TempLog::new());
contract_for!(postgres, crate::postgres::TempPostgres::new().await);

async fn append(store: &dyn EventStore, from: &Head, events: &[Envelope], to: &Chain) -> Result<(), StoreError> {
    store.append(from.position, events, &to.head).await
}

/// Three events on two accounts.
async fn with_three(store: &dyn EventStore) -> (Chain, Vec<Envelope>) {
    let mut chain = Chain::new();
    let events = vec![
        chain.next(command(1), account(1), opened(1)),
        chain.next(command(2), account(2), opened(2)),
        chain.next(command(3), account(1), deposited(500)),
    ];
    append(store, &Head::EMPTY, &events, &chain).await.unwrap();
    (chain, events)
}

async fn assert_holds(store: &dyn EventStore, events: &[Envelope], head: &Head) {
    assert_eq!(store.read_log(Position(0), 1000).await.unwrap(), events);
    assert_eq!(store.head().await.unwrap(), *head);
}

async fn an_empty_log_ends_at_zero(place: &dyn Place) {
    let store = place.open().await;
    assert_holds(&*store, &[], &Head::EMPTY).await;
    assert_eq!(store.read_stream(account(1).into(), Version(0), 10).await.unwrap(), []);
    assert_eq!(store.find_event(EventId(id("event", 1))).await.unwrap(), None);
    assert_eq!(store.find_commands(&[command(1)]).await.unwrap(), []);
}

async fn what_is_appended_is_read_back(place: &dyn Place) {
    let store = place.open().await;
    let (mut chain, mut events) = with_three(&*store).await;
    let before = chain.head;
    // Every kind of stream, and bytes that are no text.
    for (number, kind) in (10..).zip(StreamKind::ALL) {
        let stream = StreamId::new(kind, id("stream", number));
        events.push(chain.raw(command(number), 0, stream, "some.type", 7, vec![0, 255, 128]));
    }
    append(&*store, &before, &events[3..], &chain).await.unwrap();

    assert_holds(&*store, &events, &chain.head).await;
    for event in &events {
        assert_eq!(store.find_event(event.event_id).await.unwrap().as_ref(), Some(event));
    }
    let of_one = store.read_stream(account(1).into(), Version(0), 10).await.unwrap();
    assert_eq!(of_one, [events[0].clone(), events[2].clone()]);
    let same_id_other_kind = StreamId::new(StreamKind::Transfer, account(1).0);
    assert_eq!(store.read_stream(same_id_other_kind, Version(0), 10).await.unwrap(), []);
}

async fn reads_page_without_overlap_and_batches_can_be_large(place: &dyn Place) {
    let store = place.open().await;
    let mut chain = Chain::new();
    let events: Vec<_> = (0..2605).map(|n| chain.next(command(n), account(n % 3), deposited(1))).collect();
    append(&*store, &Head::EMPTY, &events, &chain).await.unwrap();

    let mut paged = Vec::new();
    while let Some(page) =
        Some(store.read_log(Position(paged.len() as u64), 999).await.unwrap()).filter(|p| !p.is_empty())
    {
        paged.extend(page);
    }
    assert_eq!(paged, events);
    let some = store.read_stream(account(1).into(), Version(800), 50).await.unwrap();
    assert_eq!(some.iter().map(|event| event.version.0).collect::<Vec<_>>(), (801..=850).collect::<Vec<_>>());
    let commands: Vec<_> = (0..5000).map(command).collect();
    assert_eq!(store.find_commands(&commands).await.unwrap(), events);
}

async fn w1_what_was_appended_is_there_after_opening_again(place: &dyn Place) {
    let (chain, events) = with_three(&*place.open().await).await;
    // The first store was dropped without being closed.
    assert_holds(&*place.open().await, &events, &chain.head).await;
}

async fn w1_the_database_itself_refuses_update_and_delete(place: &dyn Place) {
    let store = place.open().await;
    let (chain, events) = with_three(&*store).await;
    for sql in [
        "UPDATE events SET payload = payload",
        "UPDATE events SET recorded_at = 0 WHERE position = 2",
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 3",
        "UPDATE log_head SET position = position - 1",
        "UPDATE log_head SET position = position + 1",
        "DELETE FROM log_head",
    ] {
        assert!(place.run(sql).await.is_err(), "{sql}");
    }
    assert_holds(&*store, &events, &chain.head).await;
}

async fn w2_a_version_of_a_stream_is_stored_once(place: &dyn Place) {
    let store = place.open().await;
    let (mut chain, events) = with_three(&*store).await;
    let head = chain.head;
    let mut second = chain.next(command(9), account(1), deposited(1));
    second.version = Version(2);
    let error = append(&*store, &head, &[second], &chain).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_holds(&*store, &events, &head).await;
}

async fn w3_an_append_behind_the_head_is_refused_whole(place: &dyn Place) {
    let (store, other) = (place.open().await, place.open().await);
    let (mut chain, mut events) = with_three(&*store).await;
    let mut late = chain.clone();
    let head = chain.head;
    events.push(chain.next(command(4), account(2), deposited(1)));
    append(&*other, &head, &events[3..], &chain).await.unwrap();

    let too_late = [late.next(command(5), account(1), deposited(1))];
    let error = append(&*store, &head, &too_late, &late).await.unwrap_err();
    assert!(matches!(error, StoreError::HeadMoved), "{error:?}");
    let error = append(&*store, &Head { position: Position(9), ..head }, &too_late, &late).await.unwrap_err();
    assert!(matches!(error, StoreError::HeadMoved), "{error:?}");
    assert_holds(&*store, &events, &chain.head).await;
}

async fn w3_several_writers_leave_no_gap_and_no_reader_passes_an_event(place: &dyn Place) {
    const WRITERS: u64 = 4;
    const EACH: u64 = 15;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = place.open().await;
        writers.spawn(async move {
            for number in 0..EACH {
                loop {
                    let mut chain = Chain::of(&*store).await;
                    let head = chain.head;
                    let number = 100 * writer + 2 * number;
                    let batch = [
                        chain.next(command(number), account(writer), deposited(1)),
                        chain.next(command(number + 1), account(99), deposited(1)),
                    ];
                    match append(&*store, &head, &batch, &chain).await {
                        Ok(()) => break,
                        Err(StoreError::HeadMoved) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    let reader = place.open().await;
    let mut seen = Position(0);
    while seen.0 < WRITERS * EACH * 2 {
        let head = reader.head().await.unwrap();
        let events = reader.read_log(seen, 1000).await.unwrap();
        for event in &events {
            assert_eq!(event.position, seen.next());
            seen = event.position;
        }
        assert!(seen >= head.position, "{seen} is before {}, which was visible before", head.position);
        tokio::task::yield_now().await;
    }
    writers.join_all().await;
    assert_eq!(reader.head().await.unwrap().position, seen);
}

async fn w4_an_event_id_is_stored_once_and_its_batch_is_refused_whole(place: &dyn Place) {
    let store = place.open().await;
    let (mut chain, events) = with_three(&*store).await;
    let head = chain.head;
    let batch = [
        chain.next(command(7), account(2), deposited(1)),
        chain.next(command(3), account(1), deposited(500)),
        chain.next(command(8), account(2), deposited(1)),
    ];
    let error = append(&*store, &head, &batch, &chain).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyStored), "{error:?}");
    assert_holds(&*store, &events, &head).await;
}

async fn w4_the_events_of_commands_are_found_and_no_others(place: &dyn Place) {
    let store = place.open().await;
    let (mut chain, mut events) = with_three(&*store).await;
    let head = chain.head;
    for index in 0..3 {
        events.push(chain.raw(command(5), index, account(1).into(), "some.type", 1, b"{}".to_vec()));
    }
    append(&*store, &head, &events[3..], &chain).await.unwrap();
    let found = store.find_commands(&[command(5), command(77), command(1)]).await.unwrap();
    let expected: Vec<_> = [0, 3, 4, 5].map(|index: usize| events[index].clone()).into();
    assert_eq!(found, expected);
    assert_eq!(store.find_commands(&[]).await.unwrap(), []);
}

async fn a_checkpoint_is_what_was_saved_last(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.checkpoint("relay").await.unwrap(), Position(0));
    store.save_checkpoint("relay", Position(7)).await.unwrap();
    store.save_checkpoint("process manager", Position(3)).await.unwrap();
    store.save_checkpoint("relay", Position(8)).await.unwrap();
    let again = place.open().await;
    assert_eq!(again.checkpoint("relay").await.unwrap(), Position(8));
    assert_eq!(again.checkpoint("process manager").await.unwrap(), Position(3));
}

const LONG: Duration = Duration::from_secs(60);

async fn a_lease_has_one_holder_and_the_fence_grows_with_each(place: &dyn Place) {
    let (store, other) = (place.open().await, place.open().await);
    let first = store.acquire("relay", "a", LONG).await.unwrap().unwrap();
    assert_eq!(other.acquire("relay", "b", LONG).await.unwrap(), None);
    assert!(other.acquire("process manager", "b", LONG).await.unwrap().is_some());
    store.renew(&first, LONG).await.unwrap();
    // Whoever holds it may begin anew, and is fenced off from what it began before.
    let again = store.acquire("relay", "a", LONG).await.unwrap().unwrap();
    assert!(again.fence > first.fence);
    assert!(matches!(store.renew(&first, LONG).await, Err(StoreError::FencedOff)));
    // Let go of at once.
    store.renew(&again, Duration::ZERO).await.unwrap();
    let taken_over = other.acquire("relay", "b", LONG).await.unwrap().unwrap();
    assert!(taken_over.fence > again.fence);
    assert!(matches!(store.renew(&again, LONG).await, Err(StoreError::FencedOff)));
    assert_eq!(store.acquire("relay", "a", LONG).await.unwrap(), None);
}

async fn what_is_done_under_a_lease_that_was_taken_over_is_refused_whole(place: &dyn Place) {
    let (store, other) = (place.open().await, place.open().await);
    let (mut chain, mut events) = with_three(&*store).await;
    let lease = store.acquire("relay", "a", Duration::ZERO).await.unwrap().unwrap();
    // It has run out, but nobody has taken it over yet.
    let head = chain.head;
    events.push(chain.next(command(4), account(1), deposited(1)));
    let under = |lease| Under { lease, causes: &[] };
    store.append_under(under(&lease), head.position, &events[3..], &chain.head).await.unwrap();
    store.save_checkpoint_under(&lease, "relay", Position(4)).await.unwrap();

    let theirs = other.acquire("relay", "b", LONG).await.unwrap().unwrap();
    let (head, mut late) = (chain.head, chain.clone());
    let too_late = [late.next(command(5), account(1), deposited(1))];
    let error = store.append_under(under(&lease), head.position, &too_late, &late.head).await.unwrap_err();
    assert!(matches!(error, StoreError::FencedOff), "{error:?}");
    let error = store.save_checkpoint_under(&lease, "relay", Position(5)).await.unwrap_err();
    assert!(matches!(error, StoreError::FencedOff), "{error:?}");
    assert_holds(&*store, &events, &head).await;
    assert_eq!(other.checkpoint("relay").await.unwrap(), Position(4));
    events.extend(too_late);
    other.append_under(under(&theirs), head.position, &events[4..], &late.head).await.unwrap();
    assert_holds(&*store, &events, &late.head).await;
}

async fn what_follows_from_an_event_that_is_not_in_the_log_is_refused_whole(place: &dyn Place) {
    let store = place.open().await;
    let (mut chain, mut events) = with_three(&*store).await;
    let lease = store.acquire("transfers", "a", LONG).await.unwrap().unwrap();
    let before = chain.head;
    events.push(chain.next(command(4), account(1), deposited(1)));
    for causes in [&[EventId(Uuid::nil())][..], &[events[0].event_id, EventId(Uuid::nil())]] {
        let under = Under { lease: &lease, causes };
        let error = store.append_under(under, before.position, &events[3..], &chain.head).await.unwrap_err();
        assert!(matches!(error, StoreError::FencedOff), "{error:?}");
    }
    assert_holds(&*store, &events[..3], &before).await;
    let under = Under { lease: &lease, causes: &[events[0].event_id, events[2].event_id, events[0].event_id] };
    store.append_under(under, before.position, &events[3..], &chain.head).await.unwrap();
    assert_holds(&*store, &events, &chain.head).await;
}

const COPY: &str = "stream_kind, stream_id, version, event_type, schema, payload, metadata, recorded_at, hash";

#[tokio::test]
async fn w1_sqlite_refuses_insert_or_replace() {
    let log = TempLog::new();
    let store = log.open().await;
    let (chain, events) = with_three(&*store).await;
    for (place, id, version) in [
        // Over an existing position, event id, version; and a gap.
        ("2", "randomblob(16)", "77"),
        ("4", "event_id", "77"),
        ("4", "randomblob(16)", "version"),
        ("5", "randomblob(16)", "77"),
    ] {
        for verb in ["INSERT OR REPLACE", "REPLACE", "INSERT OR FAIL"] {
            let columns = COPY.replace("version", version);
            let sql = format!(
                "{verb} INTO events (position, event_id, {COPY}) SELECT {place}, {id}, {columns} FROM events WHERE position = 1"
            );
            let result = log.raw().await.execute(sqlx::AssertSqlSafe(sql.clone())).await;
            assert!(result.is_err(), "{sql}");
        }
    }
    for sql in [
        "INSERT OR REPLACE INTO log_head VALUES (1, 0, zeroblob(32), 0)",
        "INSERT INTO events SELECT * FROM events WHERE position = 1 ON CONFLICT DO UPDATE SET payload = x'00'",
    ] {
        assert!(Place::run(&log, sql).await.is_err(), "{sql}");
    }
    assert_holds(&*store, &events, &chain.head).await;
}

#[tokio::test]
async fn a_row_that_does_not_read_is_an_error_and_is_not_skipped() {
    let log = TempLog::new();
    let store = log.open().await;
    with_three(&*store).await;
    let mut raw = log.raw().await;
    raw.execute("DROP TRIGGER events_are_never_changed").await.unwrap();
    raw.execute("UPDATE events SET stream_kind = 99 WHERE position = 2").await.unwrap();
    let error = store.read_log(Position(0), 10).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { at, .. } if at == "position 2"), "{error:?}");
    assert_eq!(store.read_log(Position(2), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt_and_one_that_cannot_be_opened_is_unavailable() {
    let log = TempLog::new();
    std::fs::write(log.file(), "no database at all, but long enough to have a header of a hundred bytes.".repeat(3))
        .unwrap();
    let error = server::write::store::SqliteStore::open(&log.file()).await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");

    let folder = tempfile::tempdir().unwrap();
    let error = server::write::store::SqliteStore::open(&folder.path().join("no/such/folder.db")).await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
