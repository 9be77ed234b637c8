//! The order in which processes start does not matter: one that waits says so, takes a SIGTERM, and goes on by itself.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use reqwest::{Client, Response};
use serde_json::{Value, json};
use server::read::database::ReadDb;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::{
    node::{LONG, Node, daybook, said},
    postgres::{self, Server, with_database},
};

/// Nobody answers there.
const NO_BROKER: &str = "kafka://127.0.0.1:1/daybook";
/// A public key, of nobody who signs.
const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

struct Starting {
    node: Node,
    http: Client,
    metrics: String,
    folder: TempDir,
}

impl Starting {
    fn with(flags: &[&str]) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = TempDir::new().unwrap();
        let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let data = folder.path().join("data").display().to_string();
        let always = ["--data-dir", &data, "--bus", NO_BROKER, "--metrics-listen", &metrics];
        let node = Node::start_logged(&[&always, flags].concat(), &folder.path().join("log"));
        Self { node, http: Client::new(), metrics, folder }
    }

    fn command(write: &str) -> Self {
        Self::with(&["--role", "command", "--write-db", write])
    }

    fn query(read: &str) -> Self {
        Self::with(&["--role", "query", "--session-public-keys", KEY, "--read-db", read])
    }

    async fn get(&self, path: &str) -> reqwest::Result<Response> {
        self.http.get(self.node.url(path)).send().await
    }

    /// Asks until `/readyz` says this with that status.
    async fn says(&mut self, status: u16, words: &str) {
        let since = Instant::now();
        loop {
            let mut found = "nothing".to_owned();
            if let Ok(answer) = self.get("/readyz").await {
                let (code, again) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
                let text = answer.text().await.unwrap();
                if code == status && text.contains(words) {
                    assert!(again || !text.starts_with("starting"), "whoever is sent away is told when to come back");
                    return;
                }
                found = format!("{code}: {text}");
            }
            assert!(self.node.is_running(), "it has ended: {}", self.node.logged());
            assert!(since.elapsed() < LONG, "instead of {status} with {words:?}: {found}");
            tokio::task::yield_now().await;
        }
    }

    /// While it waits, everything is answered.
    async fn answers(&self) {
        let alive = self.get("/healthz").await.unwrap();
        assert_eq!((alive.status().as_u16(), alive.text().await.unwrap().as_str()), (200, "ok"));
        let command = self.http.post(self.node.url("/api/v1/commands/OpenAccount")).json(&json!({}));
        let refused = command.send().await.unwrap();
        assert_eq!(refused.status(), 503);
        for (header, value) in [
            ("content-type", "application/problem+json"),
            ("retry-after", "1"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(refused.headers()[header], value);
        }
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["code"], "unavailable");
        assert!(problem["detail"].as_str().unwrap().starts_with("starting, and waiting: "), "{problem}");
        assert_eq!(self.get("/accounts").await.unwrap().status(), 503);
        assert!(self.scrape().await.contains("daybook_build_info"));
    }

    /// Asked again where the connection is cut: once, when the node is there and its own metrics take over.
    async fn scrape(&self) -> String {
        let url = format!("http://{}/metrics", self.metrics);
        match self.http.get(&url).send().await {
            Ok(answer) => answer.text().await.unwrap(),
            Err(_) => self.http.get(&url).send().await.unwrap().text().await.unwrap(),
        }
    }

    /// SIGTERM: it ends in order, and soon.
    async fn ends(&mut self) {
        let since = Instant::now();
        self.node.signal("TERM");
        while self.node.is_running() {
            assert!(since.elapsed() < Duration::from_secs(10), "it waits on: {}", self.node.logged());
            tokio::task::yield_now().await;
        }
        self.node.terminated();
    }
}

/// A server's address at which nobody listens.
fn nowhere() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("postgres://daybook@127.0.0.1:{port}/ledger?sslmode=disable")
}

#[tokio::test]
async fn a_command_node_without_its_database_answers_and_takes_a_sigterm() {
    let away = nowhere();
    for mut node in [
        Starting::command(&away),
        Starting::with(&["--role", "command", "--write-db", &away, "--write-db-admin", &away]),
    ] {
        node.says(503, "the event store is not available").await;
        node.answers().await;
        node.ends().await;
    }
}

#[tokio::test]
async fn a_query_node_without_its_database_answers_and_takes_a_sigterm() {
    let mut node = Starting::query(&nowhere());
    node.says(503, "the read database does not answer").await;
    node.answers().await;
    node.ends().await;
}

#[tokio::test]
async fn a_query_node_waits_for_a_read_database_that_another_has_and_goes_on_when_it_is_free() {
    let url = postgres::empty_database().await;
    let other = ReadDb::connect(&url).await.unwrap();
    let (mut first, mut second) = (Starting::query(&url), Starting::query(&url));
    for node in [&mut first, &mut second] {
        node.says(503, "another daybook uses this read database").await;
        node.answers().await;
    }
    first.ends().await;
    other.close().await;
    // The database is open, and nobody has said where the log ends: it is a new node that knows nothing yet.
    second.says(503, "the bus has not said yet").await;
    assert!(second.scrape().await.contains("daybook_log_head_known 0"));
    second.ends().await;
}

#[tokio::test]
async fn a_command_node_waits_for_tables_and_says_so_while_its_database_is_away() {
    let server = Server::start();
    postgres::run(&server.url, "CREATE DATABASE ledger".to_owned()).await.unwrap();
    let write = with_database(&server.url, "ledger");
    let mut node = Starting::command(&write);
    node.says(503, "`daybook migrate`").await;
    node.answers().await;
    let data = node.folder.path().join("other").display().to_string();
    said(daybook().args(["migrate", "--write-db-admin", &write, "--data-dir", &data]));
    node.says(200, "ok").await;
    assert!(node.scrape().await.contains("daybook_relay_active"), "and not only what there was while it waited");

    server.now("stop");
    node.says(503, "the write database does not answer").await;
    assert_eq!(node.get("/healthz").await.unwrap().status(), 200);
    server.now("up");
    node.says(200, "ok").await;
    node.ends().await;

    // A newer one is not waited for: it does not become older.
    let mut owner = PgConnection::connect(&write).await.unwrap();
    owner.execute("INSERT INTO _sqlx_migrations VALUES (99, 'x', now(), true, '', 0)").await.unwrap();
    owner.close().await.unwrap();
    let mut refused = Starting::command(&write);
    let since = Instant::now();
    while refused.node.is_running() {
        assert!(since.elapsed() < LONG, "a newer database is waited for: {}", refused.node.logged());
        tokio::task::yield_now().await;
    }
    assert!(refused.node.logged().contains("it needs a newer one"), "{}", refused.node.logged());
}
