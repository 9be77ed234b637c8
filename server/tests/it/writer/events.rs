//! What is in an event, and what is read of older ones (W6).

use app::{
    domain::{SessionId, TransferId, account::AccountCommand, session::SessionEvent},
    wire::{Event, Position, StreamId, StreamKind, Upcaster, Version},
};
use server::write::{
    store::{EventStore as _, StoreError},
    writer::{AccountFacts, Intent, MAX_EVENT_BYTES, SubmitError, Writer, WriterSettings},
};

use super::Rig;
use crate::write_support::{
    Chain, account, command, deposit, id, open, opened, submission, submission_to, user, withdraw,
};

static UPCASTERS: [Upcaster; 1] = [Upcaster { event_type: "account.account_opened", from: 0, upcast: with_a_name }];

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
