//! The event contract: public names and payloads are pinned here literally, since other systems and old logs know them.

use app::{
    domain::{
        CommandId, SessionId, UserId,
        account::{AccountEvent as A, DeclineReason, Direction},
        session::{EndReason, SessionEvent as S},
        transfer::TransferEvent as T,
    },
    wire::{
        Actor, DecodeError, Event, Hash, Metadata, Position, ProjectionEvent, Upcaster, decode, decode_with, encode,
        read_event,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::given::{account_id, czk, day, event_id, owner, transfer_id};

const A1: &str = "00000000-0000-0000-0000-00000000a001";
const T1: &str = "00000000-0000-0000-0000-000000007001";
const E1: &str = "00000000-0000-0000-0000-00000000e001";
const U1: &str = "00000000-0000-0000-0000-000000000b0b";

fn contract() -> Vec<(Event, &'static str, String)> {
    let (transfer_id, account, event_id, user_id) = (transfer_id(1), account_id(1), event_id(1), owner());
    let session_id = SessionId(Uuid::from_u128(5));
    let reason = || "why".to_owned();
    let events: Vec<(Event, &str, String)> = vec![
        (
            Event::Account(A::AccountOpened {
                owner: owner(),
                name: "N".to_owned(),
                currency: czk(),
                overdraft_limit: 7,
            }),
            "account.account_opened",
            format!(r#"{{"owner":"{U1}","name":"N","currency":"CZK","overdraft_limit":7}}"#),
        ),
        (
            Event::Account(A::MoneyDeposited { amount: 5, effective_on: day(0), description: Some("pay".to_owned()) }),
            "account.money_deposited",
            r#"{"amount":5,"effective_on":"2026-11-20","description":"pay"}"#.to_owned(),
        ),
        (
            Event::Account(A::MoneyWithdrawn { amount: 5, effective_on: day(0), description: None }),
            "account.money_withdrawn",
            r#"{"amount":5,"effective_on":"2026-11-20"}"#.to_owned(),
        ),
        (
            Event::Account(A::EntryReversed {
                event_id,
                direction: Direction::Out,
                amount: 5,
                effective_on: day(0),
                reason: reason(),
            }),
            "account.entry_reversed",
            format!(r#"{{"event_id":"{E1}","direction":"out","amount":5,"effective_on":"2026-11-20","reason":"why"}}"#),
        ),
        (
            Event::Account(A::OverdraftLimitChanged { limit: 9 }),
            "account.overdraft_limit_changed",
            r#"{"limit":9}"#.to_owned(),
        ),
        (
            Event::Account(A::AccountFrozen { reason: reason() }),
            "account.account_frozen",
            r#"{"reason":"why"}"#.to_owned(),
        ),
        (Event::Account(A::AccountUnfrozen {}), "account.account_unfrozen", "{}".to_owned()),
        (Event::Account(A::AccountClosed {}), "account.account_closed", "{}".to_owned()),
        (
            Event::Account(A::FundsHeld { transfer_id, to: account, amount: 5, currency: czk() }),
            "account.funds_held",
            format!(r#"{{"transfer_id":"{T1}","to":"{A1}","amount":5,"currency":"CZK"}}"#),
        ),
        (
            Event::Account(A::HoldDeclined { transfer_id, reason: DeclineReason::InsufficientFunds }),
            "account.hold_declined",
            format!(r#"{{"transfer_id":"{T1}","reason":"insufficient_funds"}}"#),
        ),
        (
            Event::Account(A::TransferExpected { transfer_id, from: account, amount: 5 }),
            "account.transfer_expected",
            format!(r#"{{"transfer_id":"{T1}","from":"{A1}","amount":5}}"#),
        ),
        (
            Event::Account(A::TransferDeclined { transfer_id, from: account, reason: DeclineReason::AccountFrozen }),
            "account.transfer_declined",
            format!(r#"{{"transfer_id":"{T1}","from":"{A1}","reason":"account_frozen"}}"#),
        ),
        (
            Event::Account(A::HoldCaptured { transfer_id, to: account, amount: 5 }),
            "account.hold_captured",
            format!(r#"{{"transfer_id":"{T1}","to":"{A1}","amount":5}}"#),
        ),
        (
            Event::Account(A::TransferCredited { transfer_id, from: account, amount: 5 }),
            "account.transfer_credited",
            format!(r#"{{"transfer_id":"{T1}","from":"{A1}","amount":5}}"#),
        ),
        (
            Event::Account(A::HoldReleased { transfer_id, amount: 5, reason: DeclineReason::Unavailable }),
            "account.hold_released",
            format!(r#"{{"transfer_id":"{T1}","amount":5,"reason":"unavailable"}}"#),
        ),
        (
            Event::Transfer(T::TransferRequested {
                from: account,
                to: account_id(2),
                amount: 5,
                currency: czk(),
                description: None,
            }),
            "transfer.transfer_requested",
            format!(r#"{{"from":"{A1}","to":"00000000-0000-0000-0000-00000000a002","amount":5,"currency":"CZK"}}"#),
        ),
        (Event::Transfer(T::TransferCompleted {}), "transfer.transfer_completed", "{}".to_owned()),
        (
            Event::Transfer(T::TransferFailed { reason: DeclineReason::CurrencyMismatch }),
            "transfer.transfer_failed",
            r#"{"reason":"currency_mismatch"}"#.to_owned(),
        ),
        (
            Event::Session(S::SessionEnded { user_id, session_id }),
            "session.session_ended",
            format!(r#"{{"user_id":"{U1}","session_id":"00000000-0000-0000-0000-000000000005"}}"#),
        ),
        (
            Event::Session(S::UserSessionsEnded { user_id, reason: EndReason::PasswordChanged }),
            "session.user_sessions_ended",
            format!(r#"{{"user_id":"{U1}","reason":"password_changed"}}"#),
        ),
        (
            Event::Projection(ProjectionEvent::EventSkipped {
                projection: "accounts".to_owned(),
                position: Position(3),
                event_id,
                reason: reason(),
            }),
            "projection.event_skipped",
            format!(r#"{{"projection":"accounts","position":3,"event_id":"{E1}","reason":"why"}}"#),
        ),
    ];
    // Exhaustive, so that a new event cannot be forgotten above.
    for (event, ..) in &events {
        match event {
            Event::Account(
                A::AccountOpened { .. }
                | A::MoneyDeposited { .. }
                | A::MoneyWithdrawn { .. }
                | A::EntryReversed { .. }
                | A::OverdraftLimitChanged { .. }
                | A::AccountFrozen { .. }
                | A::AccountUnfrozen {}
                | A::AccountClosed {}
                | A::FundsHeld { .. }
                | A::HoldDeclined { .. }
                | A::TransferExpected { .. }
                | A::TransferDeclined { .. }
                | A::HoldCaptured { .. }
                | A::TransferCredited { .. }
                | A::HoldReleased { .. },
            )
            | Event::Transfer(T::TransferRequested { .. } | T::TransferCompleted {} | T::TransferFailed { .. })
            | Event::Session(S::SessionEnded { .. } | S::UserSessionsEnded { .. })
            | Event::Projection(ProjectionEvent::EventSkipped { .. }) => {}
        }
    }
    events
}

#[test]
fn names_and_payloads_are_what_they_always_were() {
    assert_eq!(contract().len(), 21);
    for (event, name, payload) in contract() {
        let (event_type, schema, bytes) = encode(&event);
        assert_eq!((event_type.as_str(), schema, str::from_utf8(&bytes).unwrap()), (name, 1, payload.as_str()));
        assert_eq!(decode(name, 1, payload.as_bytes()).unwrap(), event);
        assert_eq!(read_event(name, 1, &payload), Some(event), "pages read the same");
        let with_more =
            format!(r#"{{"not_ours":[1,{{"a":null}}]{}{}"#, if payload == "{}" { "" } else { "," }, &payload[1..]);
        assert_eq!(read_event(name, 1, &with_more), decode(name, 1, with_more.as_bytes()).ok());
    }
}

#[test]
fn end_reasons_are_what_they_always_were() {
    for (reason, text) in [
        (EndReason::PasswordChanged, "password_changed"),
        (EndReason::RolesChanged, "roles_changed"),
        (EndReason::UserDisabled, "user_disabled"),
    ] {
        assert_eq!(serde_json::to_value(reason).unwrap(), Value::from(text));
    }
}

#[test]
fn w6_an_unknown_event_is_an_error_that_says_which() {
    for (event_type, schema) in
        [("account.account_painted", 1), ("weather.rained", 1), ("nonsense", 1), ("", 1), ("account.account_closed", 2)]
    {
        match decode(event_type, schema, b"{}") {
            Err(DecodeError::UnknownType { event_type: named, schema: version }) => {
                assert_eq!((named.as_str(), version), (event_type, schema));
            }
            other => panic!("{event_type}: {other:?}"),
        }
        assert_eq!(read_event(event_type, schema, "{}"), None);
    }
}

#[test]
fn w6_an_unreadable_payload_is_an_error() {
    let payloads: [(&str, &[u8]); 7] = [
        ("account.money_deposited", b"{}"),
        ("account.money_deposited", b""),
        ("account.money_deposited", b"\xff"),
        ("account.money_deposited", br#"{"amount":1.5,"effective_on":"2026-11-20"}"#),
        ("account.money_deposited", br#"{"amount":1,"effective_on":"2026-11-20"} {}"#),
        ("account.money_deposited", br#"{"amount":1,"effective_on":"2026-11-20"},"account.account_closed":{}"#),
        ("account.hold_declined", br#"{"transfer_id":"00000000-0000-0000-0000-000000007001","reason":"bored"}"#),
    ];
    for (event_type, payload) in payloads {
        let result = decode(event_type, 1, payload);
        assert!(
            matches!(result, Err(DecodeError::Payload { .. })),
            "{event_type} {}: {result:?}",
            payload.escape_ascii()
        );
        assert_eq!(str::from_utf8(payload).ok().and_then(|payload| read_event(event_type, 1, payload)), None);
    }
}

#[test]
fn w6_older_schemas_are_upcast_step_by_step() {
    // Imagine schema 1 in whole crowns, 2 without a date, 3 of today.
    let upcasters = [
        Upcaster {
            event_type: "account.money_deposited",
            from: 1,
            upcast: |mut old| {
                old["amount"] = json!(old["crowns"].as_i64().unwrap_or(0) * 100);
                old
            },
        },
        Upcaster {
            event_type: "account.money_deposited",
            from: 2,
            upcast: |mut old| {
                old["effective_on"] = json!("2026-11-20");
                old
            },
        },
    ];
    let event = Event::Account(A::MoneyDeposited { amount: 500, effective_on: day(0), description: None });
    let read = |schema, payload: &str| decode_with(&upcasters, "account.money_deposited", schema, payload.as_bytes());
    assert_eq!(read(1, r#"{"crowns":5}"#).unwrap(), event);
    assert_eq!(read(2, r#"{"amount":500}"#).unwrap(), event);
    assert_eq!(read(3, r#"{"amount":500,"effective_on":"2026-11-20"}"#).unwrap(), event);
    assert!(matches!(read(4, "{}"), Err(DecodeError::UnknownType { schema: 4, .. })));
    assert!(matches!(read(1, "{"), Err(DecodeError::Payload { schema: 1, .. })));
    // Others are left alone.
    assert!(decode_with(&upcasters, "account.account_closed", 1, b"{}").is_ok());
}

proptest! {
    #[test]
    fn any_text_and_amount_survives(amount in any::<i64>(), description in any::<Option<String>>(), id in any::<u128>()) {
        let events = [
            Event::Account(A::MoneyDeposited { amount, effective_on: day(0), description: description.clone() }),
            Event::Account(A::AccountFrozen { reason: description.unwrap_or_default() }),
            Event::Session(S::UserSessionsEnded { user_id: UserId(Uuid::from_u128(id)), reason: EndReason::UserDisabled }),
        ];
        for event in events {
            let (event_type, schema, payload) = encode(&event);
            prop_assert_eq!(&decode(&event_type, schema, &payload).unwrap(), &event);
            prop_assert_eq!(read_event(&event_type, schema, str::from_utf8(&payload).unwrap()), Some(event));
        }
    }
}

/// What was stored before there were traces reads, and is written as it was: every hash stays what it is.
#[test]
fn metadata_are_written_as_ever_where_there_is_no_trace() {
    let before =
        format!(r#"{{"command_id":"{T1}","actor":"operator","correlation_id":"{A1}","digest":"{}"}}"#, "07".repeat(32));
    let metadata: Metadata = serde_json::from_str(&before).unwrap();
    let [command_id, correlation_id] = [T1, A1].map(|id| CommandId(Uuid::parse_str(id).unwrap()));
    let (actor, digest) = (Actor::Operator, Hash([7; 32]));
    let expected = Metadata { command_id, actor, correlation_id, causation_id: None, digest, traceparent: None };
    assert_eq!(metadata, expected);
    assert_eq!(serde_json::to_string(&metadata).unwrap(), before);
    let traced = Metadata { traceparent: Some("00-4b-f0-01".to_owned()), ..metadata };
    let text = serde_json::to_string(&traced).unwrap();
    assert!(text.ends_with(r#","traceparent":"00-4b-f0-01"}"#), "{text}");
    assert_eq!(serde_json::from_str::<Metadata>(&text).unwrap(), traced);
}
