//! Two command nodes and a query node as real processes, on PostgreSQL and Kafka, which meet on the bus and nowhere else.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{cluster::Cluster, postgres};

const PASSWORD: &str = "correct horse battery";
/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

/// A node that may be ended and started again.
pub struct Node {
    arguments: Vec<String>,
    port: u16,
    process: Child,
}

pub fn daybook() -> Command {
    Command::new(env!("CARGO_BIN_EXE_daybook"))
}

pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Node {
    pub fn start(arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = Self::spawn(&arguments, port);
        Self { arguments, port, process }
    }

    fn spawn(arguments: &[String], port: u16) -> Child {
        let listen = format!("127.0.0.1:{port}");
        daybook().arg("serve").args(["--listen", &listen]).args(arguments).stdin(Stdio::null()).spawn().unwrap()
    }

    pub fn kill_nine(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::spawn(&self.arguments, self.port);
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub async fn ready(&mut self, http: &Client) {
        let since = Instant::now();
        while !http.get(self.url("/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(since.elapsed() < LONG && self.process.try_wait().unwrap().is_none(), "a node does not start");
            tokio::task::yield_now().await;
        }
    }

    pub async fn get(&self, http: &Client, token: &str, path: &str) -> Response {
        http.get(self.url(path)).bearer_auth(token).send().await.unwrap()
    }

    /// Sends it until it is answered: a node may be away for a moment. The id is the same each time.
    pub async fn send(&self, http: &Client, token: &str, name: &str, fields: Value) -> Value {
        let (id, since) = (Uuid::now_v7().to_string(), Instant::now());
        loop {
            let command = http.post(self.url(&format!("/api/v1/commands/{name}"))).bearer_auth(token);
            if let Ok(answer) = command.header("idempotency-key", &id).json(&fields).send().await
                && answer.status() != StatusCode::SERVICE_UNAVAILABLE
            {
                assert_eq!(answer.status(), StatusCode::OK, "{name}: {}", answer.text().await.unwrap());
                return answer.json().await.unwrap();
            }
            assert!(since.elapsed() < LONG, "{name} is not answered");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

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
    let mut add = daybook()
        .args(["user", "add", "--email", "ann@example.org", "--name", "Ann", "--admin", "--password-stdin"])
        .args(["--write-db", &write, "--data-dir", &path("one")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut add.stdin.take().unwrap(), format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(add.wait().unwrap().success());
    for node in [&mut one, &mut two, &mut query] {
        node.ready(&http).await;
    }

    // Signed in by one side, believed by the other at once.
    let credentials = json!({ "email": "ann@example.org", "password": PASSWORD });
    let signed_in = http.post(one.url("/api/v1/session")).json(&credentials).send().await.unwrap();
    let token = signed_in.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
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
    let balance: Value = query.get(&http, &token, "/api/v1/trial-balance").await.json().await.unwrap();
    let line = &balance["lines"][0];
    let sums = ["balances", "in_transit", "deposits", "withdrawals"].map(|name| line[name].as_i64().unwrap());
    assert_eq!(sums, [21_000, 0, 21_000, 0]);
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
