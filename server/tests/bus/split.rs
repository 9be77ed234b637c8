//! Two command nodes and a query node as real processes, on PostgreSQL and Kafka, which meet on the bus and nowhere else.

use std::time::Instant;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    cluster::Cluster,
    postgres,
    services::node::{LONG, Node, add_admin, daybook, said, sign_in},
};

#[tokio::test(flavor = "multi_thread")]
async fn sides_that_are_apart_keep_every_promise_that_they_keep_together() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = Client::new();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let bus = format!("kafka://{}/{}", Cluster::shared().brokers, postgres::unique("split"));
    // The user that nodes run as is not the owner of the tables.
    let admin = postgres::empty_database().await;
    let user = postgres::unique("node");
    postgres::run(&admin, format!("CREATE ROLE {user} LOGIN")).await.unwrap();
    let write = postgres::with_user(&admin, &user);
    said(daybook().args(["migrate", "--write-db-admin", &admin, "--write-db", &write, "--data-dir", &path("one")]));
    let key = path("session.key");
    let public = said(daybook().args(["token", "public-key", "--session-key-file", &key, "--data-dir", &path("one")]));

    let command = |name: &str| {
        let data = path(name);
        Node::start(&[
            "--role",
            "command",
            "--data-dir",
            &data,
            "--bus",
            &bus,
            "--write-db",
            &write,
            "--session-key-file",
            &key,
        ])
    };
    let (mut one, mut two) = (command("one"), command("two"));
    let mut query = Node::start(&[
        "--role",
        "query",
        "--data-dir",
        &path("query"),
        "--bus",
        &bus,
        "--session-public-keys",
        public.trim(),
    ]);
    add_admin(daybook().args(["--data-dir", &path("one")]).env("DAYBOOK_WRITE_DB", &write));
    for node in [&mut one, &mut two, &mut query] {
        node.ready(&http).await;
    }

    // Signed in by one side, believed by the other at once.
    let token = sign_in(&http, &one.base()).await;
    assert_eq!(query.get(&http, &token, "/api/v1/accounts").await.status(), StatusCode::OK);
    // Neither side knows what the other does.
    assert_eq!(one.get(&http, &token, "/api/v1/accounts").await.status(), StatusCode::NOT_FOUND);
    let command = http.post(query.url("/api/v1/commands/OpenAccount")).bearer_auth(&token);
    let refused = command.json(&json!({ "name": "A", "currency": "CZK" })).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);

    // Both command nodes write; one of them is killed, then the query node, then its database is deleted.
    let accounts = [Uuid::now_v7(), Uuid::now_v7()];
    for account in accounts {
        let fields = json!({ "account_id": account, "name": "Account", "currency": "CZK" });
        one.send(&http, &token, "OpenAccount", fields).await;
    }
    let deposit = |account: Uuid| json!({ "account_id": account, "amount": 1_000 });
    for _ in 0..10 {
        let (first, second) = tokio::join!(
            one.send(&http, &token, "DepositMoney", deposit(accounts[0])),
            two.send(&http, &token, "DepositMoney", deposit(accounts[0])),
        );
        assert_ne!(first["position"], second["position"]);
    }
    one.kill_nine();
    let transfer = json!({ "from": accounts[0], "to": accounts[1], "amount": 700 });
    for _ in 0..5 {
        two.send(&http, &token, "RequestTransfer", transfer.clone()).await;
    }
    query.kill_nine();
    std::fs::remove_file(folder.path().join("query/read.sqlite")).unwrap();
    one.start_again();
    query.start_again();
    one.ready(&http).await;
    query.ready(&http).await;
    one.send(&http, &token, "DepositMoney", deposit(accounts[1])).await;

    // Everything is there once, whoever wrote it, and the money adds up.
    let since = Instant::now();
    loop {
        let list: Value = query.get(&http, &token, "/api/v1/accounts").await.json().await.unwrap();
        let of = |account: Uuid| {
            let items = list["items"].as_array()?;
            items.iter().find(|one| one["id"] == account.to_string())?["balance"].as_i64()
        };
        let (first, second) = (of(accounts[0]), of(accounts[1]));
        if (first, second) == (Some(20_000 - 3_500), Some(3_500 + 1_000)) {
            break;
        }
        assert!(since.elapsed() < LONG, "the views show {first:?} and {second:?}");
        tokio::task::yield_now().await;
    }
    // Another view, which may show it a moment later; money is conserved meanwhile, too.
    loop {
        let balance: Value = query.get(&http, &token, "/api/v1/trial-balance").await.json().await.unwrap();
        let line = &balance["lines"][0];
        let sums = ["balances", "in_transit", "deposits", "withdrawals"].map(|name| line[name].as_i64().unwrap());
        assert_eq!(sums[0] + sums[1], sums[2] - sums[3], "{balance}");
        if sums == [21_000, 0, 21_000, 0] {
            break;
        }
        assert!(since.elapsed() < LONG, "{balance}");
        tokio::task::yield_now().await;
    }
    let verified = said(daybook().args(["verify", "--write-db", &write, "--data-dir", &path("one")]));
    assert!(verified.contains("events"), "{verified}");

    // Signed out on one command node: over on the query node and on the other command node too.
    assert!(http.delete(one.url("/api/v1/session")).bearer_auth(&token).send().await.unwrap().status().is_success());
    let since = Instant::now();
    for (node, path) in [(&query, "/api/v1/accounts"), (&two, "/api/v1/commands/CloseAccount")] {
        let over = async || {
            let ask = if path.contains("commands") {
                http.post(node.url(path)).json(&json!({ "account_id": accounts[0] }))
            } else {
                http.get(node.url(path))
            };
            ask.bearer_auth(&token).send().await.unwrap().status() == StatusCode::UNAUTHORIZED
        };
        while !over().await {
            assert!(since.elapsed() < LONG, "the session lives on at {path}");
            tokio::task::yield_now().await;
        }
    }
}

/// W2, W3, W4 with four processes that write to one log.
#[tokio::test(flavor = "multi_thread")]
async fn w2_w3_w4_hold_with_four_command_nodes_on_the_same_and_on_different_accounts() {
    const EACH: i64 = 20;
    let http = Client::new();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let bus = format!("kafka://{}/{}", Cluster::shared().brokers, postgres::unique("four"));
    let write = postgres::empty_database().await;
    said(daybook().args(["migrate", "--write-db-admin", &write, "--write-db", &write, "--data-dir", &path("0")]));
    let key = path("session.key");
    let mut nodes = ["0", "1", "2", "3"].map(|name| {
        let place = ["--data-dir", &path(name), "--write-db", &write, "--session-key-file", &key];
        Node::start(&[&["--role", "command", "--bus", &bus], &place[..]].concat())
    });
    add_admin(daybook().args(["--data-dir", &path("0")]).env("DAYBOOK_WRITE_DB", &write));
    for node in &mut nodes {
        node.ready(&http).await;
    }
    let token = sign_in(&http, &nodes[0].base()).await;
    let accounts: Vec<Uuid> = (0..=nodes.len()).map(|_| Uuid::now_v7()).collect();
    for account in &accounts {
        let fields = json!({ "account_id": account, "name": "Account", "currency": "CZK" });
        nodes[0].send(&http, &token, "OpenAccount", fields).await;
    }
    let deposit = async |node: &Node, id: Uuid, account: Uuid, version: Option<i64>| {
        let command = http.post(node.url("/api/v1/commands/DepositMoney")).bearer_auth(&token);
        let command = version.iter().fold(command, |command, version| command.header("if-match", version.to_string()));
        let command = command.header("idempotency-key", id.to_string());
        let answer = command.json(&json!({ "account_id": account, "amount": 1 })).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };

    // Each node to the account that all write to, and to one of its own; every command to its neighbour too.
    let work = nodes.iter().enumerate().map(|(at, node)| {
        let (neighbour, shared, own) = (&nodes[(at + 1) % nodes.len()], accounts[0], accounts[at + 1]);
        async move {
            for _ in 0..EACH {
                for account in [shared, own] {
                    let id = Uuid::now_v7();
                    let answers = tokio::join!(deposit(node, id, account, None), deposit(neighbour, id, account, None));
                    let (first, second) = answers;
                    assert_eq!((first.0, second.0), (StatusCode::OK, StatusCode::OK), "{first:?} {second:?}");
                    assert_eq!(first.1["position"], second.1["position"]);
                    assert_ne!(first.1["repeated"], second.1["repeated"]);
                }
            }
        }
    });
    futures_util::future::join_all(work).await;
    // All at the same version of one account: one comes through.
    let before = 1 + 4 * EACH;
    for version in before..before + EACH {
        let at_once = nodes.iter().map(|node| deposit(node, Uuid::now_v7(), accounts[0], Some(version)));
        let answers = futures_util::future::join_all(at_once).await;
        let mut statuses: Vec<_> = answers.iter().map(|(status, _)| status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412], "{answers:?}");
    }
    let verified = said(daybook().args(["verify", "--write-db", &write, "--data-dir", &path("0")]));
    let events = 5 + 8 * EACH + EACH;
    assert!(verified.contains(&format!("{events} events")), "{verified}");
}
