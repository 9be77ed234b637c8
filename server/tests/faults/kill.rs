//! `kill -9` of the real server under concurrent commands: every acknowledged command is there exactly once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    daybook::Ledger,
    workload::{Acknowledged, Answer, Choices, Wanted, client, send},
};

const CLIENTS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn w1_w3_w4_r4_kill_nine_under_concurrent_commands_loses_and_doubles_nothing() {
    let kills = setting("DAYBOOK_TEST_KILLS", 20);
    let seed = setting("DAYBOOK_TEST_SEED", 20_261_123);
    eprintln!("{kills} kills, seed {seed}");
    let mut choices = Choices::new(seed);
    let ledger = Ledger::new();
    let http = reqwest::Client::new();
    let commands = ledger.url("/api/v1/commands");
    let acknowledged = Acknowledged::default();

    let mut server = ledger.serve().await;
    let token = ledger.token(&http).await;
    let accounts: Vec<Uuid> = (0..20).map(|_| choices.uuid()).collect();
    for account in &accounts {
        let fields = json!({"account_id": account, "name": "Test", "currency": "CZK", "overdraft_limit": 100_000});
        let open = Wanted { id: choices.uuid(), name: "OpenAccount", fields };
        let Answer::Accepted(position) = send(&http, &commands, &token, &open).await else { panic!("not opened") };
        acknowledged.lock().expect("free").insert(open.id, position);
    }

    for _ in 0..kills {
        let token = ledger.token(&http).await;
        let count = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                tokio::spawn(client(
                    http.clone(),
                    commands.clone(),
                    token.clone(),
                    accounts.clone(),
                    Choices::new(choices.below(u64::MAX)),
                    acknowledged.clone(),
                    count.clone(),
                    stop.clone(),
                ))
            })
            .collect();
        let enough = 10 + choices.below(300);
        until("enough commands are acknowledged", || count.load(Ordering::Relaxed) >= enough).await;
        server.kill_nine();
        stop.store(true, Ordering::Relaxed);

        server = ledger.serve().await;
        let token = ledger.token(&http).await;
        for client in clients {
            let Some(wanted) = client.await.expect("no client panics") else { continue };
            if let Answer::Accepted(position) = send(&http, &commands, &token, &wanted).await {
                acknowledged.lock().expect("free").insert(wanted.id, position);
            }
        }
    }

    at_rest(&ledger, &http).await;
    let events = all_events(&ledger, &http).await;
    let mut by_command = HashMap::<Uuid, Vec<u64>>::new();
    for (index, event) in events.iter().enumerate() {
        let position = event["position"].as_u64().expect("a position");
        assert_eq!(position, index as u64 + 1, "W3: positions have no gap");
        let command = event["metadata"]["command_id"].as_str().expect("a command id").parse().expect("a UUID");
        by_command.entry(command).or_default().push(position);
    }
    let acknowledged = acknowledged.lock().expect("free").clone();
    for (command, position) in &acknowledged {
        assert_eq!(by_command.get(command), Some(&vec![*position]), "W1, W4: {command} is there exactly once");
    }
    eprintln!("{} acknowledged commands, {} events", acknowledged.len(), events.len());

    assert!(server.terminate() < Duration::from_secs(5), "SIGTERM ends within 5 s");
    let verified = ledger.run(&["verify"]);
    assert!(verified.status.success(), "verify: {}", String::from_utf8_lossy(&verified.stderr));
    let live = ledger.run(&["dump"]).stdout;
    assert!(!live.is_empty(), "there is a read model to compare");
    let rebuilt = ledger.run(&["rebuild"]);
    assert!(rebuilt.status.success(), "rebuild: {}", String::from_utf8_lossy(&rebuilt.stderr));
    assert!(live == ledger.run(&["dump"]).stdout, "R4: the rebuilt read model equals the live one");

    ledger.drop_read_database();
    let server = ledger.serve().await;
    at_rest(&ledger, &http).await;
    server.terminate();
    assert!(live == ledger.run(&["dump"]).stdout, "the event store restores the read database");
}

/// Waits until every transfer has ended and the read side has seen the whole log.
async fn at_rest(ledger: &Ledger, http: &reqwest::Client) {
    let token = ledger.token(http).await;
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let status = get(ledger, http, &token, "/api/v1/status").await;
        let head = status["head"].as_u64();
        let caught_up = status["projections"]
            .as_array()
            .is_some_and(|all| all.iter().all(|projection| projection["checkpoint"].as_u64() == head));
        let mut moving = 0;
        let book = get(ledger, http, &token, "/api/v1/trial-balance").await;
        for line in book["lines"].as_array().expect("lines") {
            let side = |name: &str| line[name].as_i64().expect("an amount");
            let (left, right) = (side("balances") + side("in_transit"), side("deposits") - side("withdrawals"));
            assert_eq!(left, right, "money is conserved at position {}", book["position"]);
            moving += side("in_transit");
        }
        if caught_up && moving == 0 && transfers_ended(ledger, http, &token).await {
            return;
        }
        assert!(Instant::now() < deadline, "not at rest after two minutes: {status}");
        tokio::task::yield_now().await;
    }
}

async fn transfers_ended(ledger: &Ledger, http: &reqwest::Client, token: &str) -> bool {
    let (mut requested, mut ended) = (0, 0);
    for event in all_events_as(ledger, http, token).await {
        match event["type"].as_str() {
            Some("transfer.transfer_requested") => requested += 1,
            Some("transfer.transfer_completed" | "transfer.transfer_failed") => ended += 1,
            _ => {}
        }
    }
    requested == ended
}

async fn all_events(ledger: &Ledger, http: &reqwest::Client) -> Vec<Value> {
    let token = ledger.token(http).await;
    all_events_as(ledger, http, &token).await
}

async fn all_events_as(ledger: &Ledger, http: &reqwest::Client, token: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let after = events.last().map_or(0, |event: &Value| event["position"].as_u64().expect("a position"));
        let page = get(ledger, http, token, &format!("/api/v1/events?after={after}&limit=500")).await;
        let items = page["items"].as_array().expect("items");
        if items.is_empty() {
            return events;
        }
        events.extend(items.iter().cloned());
    }
}

async fn get(ledger: &Ledger, http: &reqwest::Client, token: &str, path: &str) -> Value {
    let answer = http.get(ledger.url(path)).bearer_auth(token).send().await.expect("an answer");
    let status = answer.status();
    let body = answer.json().await.expect("JSON");
    assert!(status.is_success(), "{path} answered {status}: {body}");
    body
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "waited a minute until {what}");
        tokio::task::yield_now().await;
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
