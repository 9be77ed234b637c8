//! A clock that is set back between events: the order of the log is not that of clocks.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use app::{
    domain::{AccountId, CommandId, Date, UserId, account::AccountCommand},
    wire::{Actor, Hash, Position},
};
use server::{
    config::DataDir,
    write::{
        store::{EventStore, SqliteStore},
        writer::{Clock, Intent, Submission, Writer, WriterSettings},
    },
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{choices::Choices, embedded::Embedded};
use crate::services::node::{said, sign_in};

/// 2026-11-22, microseconds since 1970.
const NOW: i64 = 1_795_391_990_000_000;
const DAY: u64 = 24 * 3600 * 1_000_000;

struct Unsteady(AtomicI64);

impl Clock for Unsteady {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Sixteen at a time, on a clock that jumps by up to a day in either direction; then served, verified and rebuilt.
pub async fn set_back(choices: &mut Choices, events: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(&folder.path().join("data")).unwrap();
    let store = Arc::new(SqliteStore::open(&data.write_db()).await.unwrap());
    let clock = Arc::new(Unsteady(AtomicI64::new(NOW)));
    let (writer, _, task) = Writer::start(store.clone(), clock.clone(), WriterSettings::default());
    let account = AccountId(choices.uuid());
    let send = |id: Uuid, command: AccountCommand| {
        let (writer, command_id) = (writer.clone(), CommandId(id));
        let submission = Submission {
            command_id,
            actor: Actor::Operator,
            correlation_id: command_id,
            causation_id: None,
            digest: Hash([7; 32]),
            stream: account.into(),
            expected: None,
            intent: Intent::Account(command),
            lease: None,
        };
        async move { writer.submit(submission).await.unwrap() }
    };
    let (owner, name) = (UserId(choices.uuid()), "Test".to_owned());
    let open = AccountCommand::OpenAccount { owner, name, currency: "CZK".parse().unwrap(), overdraft_limit: 0 };
    send(choices.uuid(), open).await;
    let (mut sending, mut set_back) = (JoinSet::new(), 0);
    for number in 1..events {
        if sending.len() == 16 {
            sending.join_next().await.unwrap().unwrap();
        }
        let now = NOW + i64::try_from(choices.below(2 * DAY)).unwrap() - i64::try_from(DAY).unwrap();
        set_back += u64::from(clock.0.swap(now, Ordering::SeqCst) > now);
        let (amount, day) = (i64::try_from(number).unwrap(), Date::of_micros(NOW - i64::try_from(3 * DAY).unwrap()));
        let deposit = AccountCommand::DepositMoney { amount, effective_on: day, today: day, description: None };
        sending.spawn(send(choices.uuid(), deposit));
    }
    sending.join_all().await;
    let log = store.read_log(Position(0), u32::MAX).await.unwrap();
    assert_eq!(log.len() as u64, events);
    assert!(log.iter().enumerate().all(|(index, event)| event.position.0 == index as u64 + 1));
    assert!(log.is_sorted_by_key(|event| event.version), "W2: versions follow positions");
    assert!(log.is_sorted_by_key(|event| event.recorded_at), "no event is recorded before the one in front of it");
    writer.stop().await;
    task.await.unwrap();
    Arc::into_inner(store).unwrap().close().await.unwrap();

    let mut ledger = Embedded::start(&folder.path().join("data")).await;
    let token = sign_in(&ledger.http, &ledger.node.base()).await;
    let path = format!("/api/v1/accounts/{account}/statement?limit=500&wait_for={events}&wait_ms=30000");
    let page: serde_json::Value = ledger.node.get(&ledger.http, &token, &path).await.json().await.unwrap();
    let shown: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|row| row["event_id"].as_str().unwrap()).collect();
    let newest: Vec<String> = log[1..].iter().rev().take(500).map(|event| event.event_id.to_string()).collect();
    assert_eq!(shown, newest, "the statement follows the log");
    ledger.node.terminate();
    said(&mut ledger.run(&["verify"]));
    let live = said(&mut ledger.run(&["dump"]));
    said(&mut ledger.run(&["rebuild"]));
    assert!(live == said(&mut ledger.run(&["dump"])), "R4");
    format!("{events} events over {set_back} steps back: positions, versions and times in order")
}
