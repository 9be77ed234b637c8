//! An older log beside topics that are ahead of it: noticed, refused, and put right from the topics (W1, W5).

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use app::wire::{Envelope, Hash, Position, StreamId, Version, log_hash};
use rdkafka::{
    message::{Header, Headers as _, Message as _, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use reqwest::Client;
use serde_json::{Value, json};
use server::{
    bus::{
        LogHead,
        kafka::{KafkaSettings, LOG_HEAD, Replaced, Said, compare, said, said_far_back},
    },
    db_url::DbUrl,
    read::OtherLog,
    write::{
        database::WriteDb,
        recover::{RecoverError, recover},
        store::Head,
        verify::verify,
    },
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    cluster::Cluster,
    parts::{
        MemoryLease, Reading, admin, all_messages, bus, client, head_keys, settings, signer, start_relay, topics, until,
    },
    services::{
        node::{LONG, Node, daybook, said as printed},
        topic::{header, options},
    },
};
use crate::{
    history::{History, Log, Place, account},
    postgres,
};

/// Topics that hold `events`.
async fn published(settings: &KafkaSettings, events: &[Envelope]) {
    let log = Log::new(events.to_vec());
    let relay = start_relay(settings, &log, &MemoryLease::new());
    let end = events.last().unwrap().position;
    relay.published(end).await;
    let at = async || said(settings, &head_keys()).await.unwrap().head().map(|head| head.position);
    while at().await != Some(end) {}
    relay.stop().await;
}

fn head(events: &[Envelope]) -> Head {
    events.iter().fold(Head::EMPTY, |head, event| Head {
        position: event.position,
        hash: log_hash(&head.hash, &event.hash),
        recorded_at: event.recorded_at,
    })
}

async fn ledger(folder: &TempDir, events: &[Envelope]) -> WriteDb {
    let db = WriteDb::open(&DbUrl::Sqlite(folder.path().join("write.sqlite")), None).await.unwrap();
    db.store.append(Position(0), events, &head(events)).await.unwrap();
    db
}

#[tokio::test]
async fn b1_a_log_that_is_older_than_its_topics_or_another_one_is_not_published() {
    let settings = settings(Cluster::shared());
    let history = History::random(71, 150);
    published(&settings, &history.events).await;
    let there = all_messages(&settings, &topics(&settings).events).len();

    let older = Log::new(history.events[..90].to_vec());
    let relay = start_relay(&settings, &older, &MemoryLease::new());
    until("it is refused", || relay.status.borrow().replaced.is_some()).await;
    let ahead = Replaced::Ahead { prefix: settings.prefix.clone(), said: history.head(), log: Position(90) };
    assert_eq!(relay.status.borrow().replaced, Some(ahead.clone()));
    // Once the log is whole again it goes on by itself.
    let longer = History::random(71, 170);
    older.set(longer.events.clone());
    relay.published(longer.head()).await;
    assert_eq!(relay.status.borrow().replaced, None);
    relay.stop().await;
    assert_eq!(all_messages(&settings, &topics(&settings).events).len(), there + longer.events.len());

    let another = Log::new(History::random(72, 400).events);
    let relay = start_relay(&settings, &another, &MemoryLease::new());
    until("it is refused", || relay.status.borrow().replaced.is_some()).await;
    assert!(matches!(relay.status.borrow().replaced, Some(Replaced::Another { .. })));
    relay.stop().await;

    // The heads are gone after a day: the events tell it, too.
    let mut seen = said(&settings, &head_keys()).await.unwrap();
    assert_eq!(seen.head().map(|head| head.position), Some(longer.head()));
    seen.heads.clear();
    let older = Log::new(longer.events[..169].to_vec());
    let found = compare(&seen, &*older, &settings).await.unwrap();
    assert!(matches!(found, Some(Replaced::Ahead { said, log, .. }) if (said, log) == (longer.head(), Position(169))));
    // So does one alone, since the log has the one before it in its stream. Not if it was altered.
    let last = longer.events.iter().rfind(|event| event.version > Version(1)).unwrap();
    let older = Log::new(longer.events[..last.position.0 as usize - 1].to_vec());
    let mut seen = Said { open: vec![last.clone()], ..Said::default() };
    let found = compare(&seen, &*older, &settings).await.unwrap();
    assert!(matches!(found, Some(Replaced::Ahead { said, .. }) if said == last.position));
    seen.open[0].payload.push(b' ');
    assert_eq!(compare(&seen, &*older, &settings).await.unwrap(), None);
    // Nobody else's heads count.
    assert_eq!(said(&settings, &server::bus::head::HeadKeys::default()).await.unwrap().head(), None);
}

#[tokio::test]
async fn heads_are_looked_for_as_far_back_as_the_events_of_a_relay_that_was_behind() {
    let settings = settings(Cluster::shared());
    let history = History::random(77, 150);
    published(&settings, &history.events).await;
    // More than are looked at usually, of a log that went on while nothing more was published.
    let producer: BaseProducer = client(&settings).create().unwrap();
    let (sign, control) = (signer(), topics(&settings).control);
    for at in 151..2_300 {
        let head = LogHead { position: Position(at), hash: Hash([9; 32]), at: i64::try_from(at).unwrap() };
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new().insert(header("ce_source", "/daybook")).insert(header("ce_type", LOG_HEAD));
        let value = serde_json::to_vec(&sign(head)).unwrap();
        producer.send(BaseRecord::<(), [u8]>::to(&control).payload(&value).headers(headers)).unwrap();
    }
    producer.flush(LONG).unwrap();
    let usual = said(&settings, &head_keys()).await.unwrap();
    assert!(!usual.heads.contains_key(&history.head()));
    let far = said_far_back(&settings, &head_keys()).await.unwrap();
    assert_eq!(far.heads[&history.head()].hash, head(&history.events).hash);
    assert_eq!((far.head(), far.events), (usual.head(), usual.events));
}

#[tokio::test]
async fn a_query_node_that_runs_notices_that_the_log_was_replaced_by_an_older_one() {
    let settings = settings(Cluster::shared());
    let history = History::random(76, 150);
    let relay = start_relay(&settings, &Log::new(history.events.clone()), &MemoryLease::new());
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events).await;
    until("the head is heard", || reading.bus.log_head().borrow().is_some()).await;
    relay.stop().await;
    // Otherwise no command node would begin beside them.
    let names = topics(&settings);
    let all = [&names.events, &names.control, &names.replay, &names.people].map(String::as_str);
    admin(&settings).delete_topics(&all, &options()).await.unwrap();
    let relay = start_relay(&settings, &Log::new(history.events[..90].to_vec()), &MemoryLease::new());
    let found = tokio::time::timeout(LONG, reading.node.side.replaced()).await.expect("it is noticed");
    assert_eq!(found, OtherLog::Older { last: history.head(), log: Position(90) });
    reading.stop().await;
    relay.stop().await;
}

/// Sends a copy of `message` that says `value` in its header `name`.
fn altered_copy(settings: &KafkaSettings, message: &OwnedMessage, name: &str, value: &str) {
    let mut headers = OwnedHeaders::new();
    for header in message.headers().unwrap().iter() {
        let value = if header.key == name { Some(value.as_bytes()) } else { header.value };
        headers = headers.insert(Header { key: header.key, value });
    }
    let producer: BaseProducer = client(settings).create().unwrap();
    let copy = BaseRecord::to(message.topic()).partition(message.partition()).headers(headers);
    let (key, payload) = (message.key().unwrap(), message.payload().unwrap());
    producer.send(copy.key(key).payload(payload)).unwrap();
    producer.flush(LONG).unwrap();
}

#[tokio::test]
async fn b3_an_altered_copy_of_an_event_says_nothing_of_the_log() {
    let settings = settings(Cluster::shared());
    let history = History::random(75, 150);
    published(&settings, &history.events).await;
    for message in all_messages(&settings, &topics(&settings).events) {
        let at: u64 = header(&message, "ce_position").parse().unwrap();
        if at.is_multiple_of(50) {
            altered_copy(&settings, &message, "ce_position", &(at + 700).to_string());
            altered_copy(&settings, &message, "ce_hash", &Hash([7; 32]).to_string());
            altered_copy(&settings, &message, "ce_subject", &StreamId::from(account(9)).to_string());
        }
    }
    let longer = History::random(75, 160);
    let relay = start_relay(&settings, &Log::new(longer.events.clone()), &MemoryLease::new());
    relay.published(longer.head()).await;
    assert_eq!(relay.status.borrow().replaced, None);
    relay.stop().await;
}

#[tokio::test]
async fn w5_what_was_lost_is_taken_in_from_the_topics_and_nothing_that_is_not_this_logs() {
    let settings = settings(Cluster::shared());
    let history = History::random(73, 2600);
    published(&settings, &history.events).await;
    let heads = said(&settings, &head_keys()).await.unwrap().heads;
    let to = heads[&history.head()];
    assert_eq!(to.hash, head(&history.events).hash);
    let cancelled = CancellationToken::new();
    let bus = bus(&settings, &cancelled);

    let folder = TempDir::new().unwrap();
    let db = ledger(&folder, &history.events[..1100]).await;
    let taken = async || {
        let recovered = recover(&*db.store, &*bus, &heads, |_, _, _| {}).await.unwrap();
        assert!(recovered.short.is_none(), "{recovered:?}");
        recovered.events
    };
    assert_eq!(taken().await, 1500);
    assert_eq!(db.store.read_log(Position(0), u32::MAX).await.unwrap(), history.events);
    verify(&*db.store, &[], |_, _| {}).await.unwrap();
    assert_eq!(taken().await, 0);

    // Another ledger's log, and a head that was signed of something else: not one event is stored.
    let other = TempDir::new().unwrap();
    let db = ledger(&other, &History::random(74, 900).events).await;
    let wrong = recover(&*db.store, &*bus, &heads, |_, _, _| {}).await.unwrap_err();
    assert!(matches!(wrong, RecoverError::Wrong { .. }), "{wrong}");
    let third = TempDir::new().unwrap();
    let db_of_ours = ledger(&third, &history.events[..1100]).await;
    let forged = [(to.position, LogHead { hash: Hash([1; 32]), ..to })].into();
    let wrong = recover(&*db_of_ours.store, &*bus, &forged, |_, _, _| {}).await.unwrap_err();
    assert!(matches!(wrong, RecoverError::Wrong { .. }), "{wrong}");
    assert_eq!(db.store.head().await.unwrap().position, Position(900));
    assert_eq!(db_of_ours.store.head().await.unwrap().position, Position(1100));

    // The relay had said where the log ends, and published less of it: what leads to a head is taken in.
    let mut heads = BTreeMap::from([(to.position, to)]);
    heads.insert(Position(2601), LogHead { position: Position(2601), ..to });
    let recovered = recover(&*db_of_ours.store, &*bus, &heads, |_, _, _| {}).await.unwrap();
    assert_eq!(recovered.events, 1500);
    assert!(recovered.short.is_some());
    assert_eq!(db_of_ours.store.read_log(Position(0), u32::MAX).await.unwrap(), history.events);
    cancelled.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_beside_topics_that_are_ahead_is_refused_and_both_ways_out_lead_on() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = Client::new();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let prefix = postgres::unique("restored");
    let bus_at = |prefix: &str| format!("kafka://{}/{prefix}", Cluster::shared().brokers);
    let bus = bus_at(&prefix);
    let mut node = Node::start(&["--data-dir", &path("one"), "--bus", &bus]);
    node.ready(&http).await;
    let add = ["user", "add", "--email", "ann@example.org", "--name", "Ann", "--admin", "--data-dir", &path("one")];
    let added = printed(daybook().args(add));
    let password = added.rsplit_once(": ").unwrap().1.trim();
    let token = printed(daybook().args(["token", "create", "--email", "ann@example.org", "--data-dir", &path("one")]));
    let (token, account) = (token.trim(), Uuid::now_v7());
    let fields = json!({ "account_id": account, "name": "Account", "currency": "CZK" });
    node.send(&http, token, "OpenAccount", fields).await;
    node.send(&http, token, "DepositMoney", json!({ "account_id": account, "amount": 100 })).await;
    printed(daybook().args(["backup", &path("backup"), "--data-dir", &path("one")]));
    let last = node.send(&http, token, "DepositMoney", json!({ "account_id": account, "amount": 11 })).await;
    shows(&node, &http, token, account, 111).await;
    // What it knows of the log has to be on the topics, too, before it is gone.
    let settings: KafkaSettings = bus.parse().unwrap();
    let key = server::write::keys::SigningKeys::load(Path::new(&path("one/signing.key"))).unwrap().unwrap();
    let keys = server::bus::head::HeadKeys::new(key.public().iter());
    let end = Position(last["position"].as_u64().unwrap());
    while said(&settings, &keys).await.unwrap().head().is_none_or(|head| head.position < end) {}
    node.kill_nine();

    let published = all_messages(&settings, &topics(&settings).events).len();

    // Refused, in words that say what to do.
    printed(daybook().args(["restore", &path("backup"), "--data-dir", &path("two")]));
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &path("two"), "--bus", &bus];
    let refused = Command::new(env!("CARGO_BIN_EXE_daybook")).args(serve).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("`daybook recover`") && said.contains("another prefix"),
        "{said}"
    );

    // One way out: what is missing comes back from the topics.
    let recovered = printed(daybook().args(["recover", "--data-dir", &path("two"), "--bus", &bus]));
    assert!(recovered.contains("events were taken in from the topics"), "{recovered}");
    let mut node = Node::start(&["--data-dir", &path("two"), "--bus", &bus]);
    node.ready(&http).await;
    shows(&node, &http, token, account, 111).await;
    // What is new comes at once, and not behind all that is there already.
    node.send(&http, token, "DepositMoney", json!({ "account_id": account, "amount": 1 })).await;
    shows(&node, &http, token, account, 112).await;
    assert_eq!(all_messages(&settings, &topics(&settings).events).len(), published + 1);
    drop(node);

    // The other: topics of another prefix and empty views, and what came behind the backup is given up.
    printed(daybook().args(["restore", &path("backup"), "--data-dir", &path("three")]));
    let other = bus_at(&postgres::unique("restored"));
    let old_views = path("one/read.sqlite");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &path("three"), "--bus", &other];
    let serve = serve.into_iter().chain(["--read-db"]).map(str::to_owned).chain([format!("sqlite:{old_views}")]);
    let refused = Command::new(env!("CARGO_BIN_EXE_daybook")).args(serve).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("delete the read database"), "{said}");
    let mut node = Node::start(&["--data-dir", &path("three"), "--bus", &other]);
    node.ready(&http).await;
    shows(&node, &http, token, account, 100).await;
    // A query node of its own that kept the views of before does not go on serving them.
    let public = printed(daybook().args(["token", "public-key", "--data-dir", &path("three")]));
    let read = format!("sqlite:{old_views}");
    let apart = ["serve", "--role", "query", "--listen", "127.0.0.1:0", "--data-dir", &path("four"), "--bus", &other];
    let apart: Vec<_> = apart.into_iter().chain(["--read-db", &read, "--session-public-keys", public.trim()]).collect();
    let refused = || {
        let mut serving = Command::new("timeout");
        serving.args(["120", env!("CARGO_BIN_EXE_daybook")]).args(&apart).stdin(Stdio::null());
        let refused = serving.output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "it goes on serving");
        String::from_utf8_lossy(&refused.stderr).into_owned()
    };
    let said = refused();
    assert!(said.contains("it was replaced by an older one"), "{said}");
    // Nor once the log is as long as it was.
    let again = node.send(&http, token, "DepositMoney", json!({ "account_id": account, "amount": 5 })).await;
    assert_eq!(again["position"], last["position"]);
    shows(&node, &http, token, account, 105).await;
    let said = refused();
    assert!(said.contains("it was replaced by another one"), "{said}");
    // Nor once it is longer, and goes on by events that do not follow from what is here.
    let longer = node.send(&http, token, "DepositMoney", json!({ "account_id": account, "amount": 1 })).await;
    assert!(longer["position"].as_u64() > last["position"].as_u64());
    shows(&node, &http, token, account, 106).await;
    let said = refused();
    assert!(said.contains("it was replaced by another one"), "{said}");
    let credentials = json!({ "email": "ann@example.org", "password": password });
    let signed_in = http.post(node.url("/api/v1/session")).json(&credentials).send().await.unwrap();
    assert!(signed_in.status().is_success());
}

async fn shows(node: &Node, http: &Client, token: &str, account: Uuid, balance: i64) {
    let since = Instant::now();
    loop {
        let answer = node.get(http, token, &format!("/api/v1/accounts/{account}")).await;
        let seen: Value = answer.json().await.unwrap();
        if seen["balance"] == balance {
            return;
        }
        assert!(since.elapsed() < LONG, "{seen} instead of {balance}");
        tokio::task::yield_now().await;
    }
}
