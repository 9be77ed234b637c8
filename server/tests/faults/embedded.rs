//! The embedded ledger, one process on a folder: killed, on a disk that is full or read-only, and with a slow live reader.

use std::{
    collections::HashMap,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use reqwest::Client;
use serde_json::Value;
use uuid::Uuid;

use super::{
    bank::{Bank, Doors, in_transit},
    choices::Choices,
    subscriber::Subscriber,
    views,
};
use crate::services::node::{LONG, Node, add_admin, daybook, said};

pub struct Embedded {
    pub node: Node,
    pub http: Client,
    metrics: String,
    data: PathBuf,
}

impl Embedded {
    /// An empty ledger in this folder, served.
    pub async fn start(data: &Path) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        add_admin(daybook().arg("--data-dir").arg(data));
        let log = data.with_extension("log");
        let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let folder = data.display().to_string();
        let mut node = Node::start_logged(&["--data-dir", &folder, "--metrics-listen", &metrics], &log);
        let http = Client::new();
        node.ready(&http).await;
        Self { node, http, metrics, data: data.to_owned() }
    }

    pub fn doors(&self) -> Doors {
        Doors { commands: vec![self.node.base()], queries: vec![self.node.base()] }
    }

    pub fn run(&self, arguments: &[&str]) -> Command {
        let mut command = daybook();
        command.args(arguments).arg("--data-dir").arg(&self.data);
        command
    }

    pub async fn get(&self, bank: &Bank, path: &str) -> Value {
        let answer = self.http.get(self.node.url(path)).bearer_auth(bank.token()).send().await.unwrap();
        let status = answer.status();
        let body = answer.json().await.unwrap();
        assert!(status.is_success(), "{path} answered {status}: {body}");
        body
    }

    /// How many live streams it says are open.
    pub async fn live_streams(&self) -> usize {
        let url = format!("http://{}/metrics", self.metrics);
        let said = self.http.get(url).send().await.unwrap().text().await.unwrap();
        let streams = said.lines().find_map(|line| line.strip_prefix("daybook_live_subscribers "));
        streams.unwrap().parse().unwrap()
    }

    async fn events(&self, bank: &Bank) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let after = events.last().map_or(0, |event: &Value| event["position"].as_u64().unwrap());
            let page = self.get(bank, &format!("/api/v1/events?after={after}&limit=500")).await;
            let items = page["items"].as_array().unwrap();
            if items.is_empty() {
                return events;
            }
            events.extend(items.iter().cloned());
        }
    }

    async fn comes_to_rest(&self, bank: &Bank) -> Vec<Value> {
        let since = Instant::now();
        loop {
            let status = self.get(bank, "/api/v1/status").await;
            let head = status["head"].as_u64();
            let shows = |one: &Value| one["checkpoint"].as_u64() == head;
            let caught_up = status["projections"].as_array().is_some_and(|all| all.iter().all(shows));
            if caught_up && in_transit(&self.get(bank, "/api/v1/trial-balance").await) == 0 {
                let events = self.events(bank).await;
                let count = |types: &[&str]| {
                    events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).count()
                };
                if count(&["transfer.transfer_requested"])
                    == count(&["transfer.transfer_completed", "transfer.transfer_failed"])
                {
                    return events;
                }
            }
            assert!(since.elapsed() < LONG, "not at rest: {status}");
            tokio::task::yield_now().await;
        }
    }

    /// [`Self::at_rest`], and everyone who listens sees what a reload shows.
    pub async fn at_rest_with(&mut self, bank: &Bank, listening: &mut [Subscriber]) {
        let head = self.comes_to_rest(bank).await.len() as u64;
        for subscriber in listening {
            subscriber.shows_what_a_reload_shows(head, 0).await;
        }
        self.at_rest(bank).await;
    }

    /// All that has to hold; the node runs again afterwards, with views that were made anew.
    pub async fn at_rest(&mut self, bank: &Bank) {
        let mut by_command = HashMap::<Uuid, Vec<u64>>::new();
        for (index, event) in self.comes_to_rest(bank).await.iter().enumerate() {
            let position = event["position"].as_u64().unwrap();
            assert_eq!(position, index as u64 + 1, "W3: positions have no gap");
            by_command
                .entry(event["metadata"]["command_id"].as_str().unwrap().parse().unwrap())
                .or_default()
                .push(position);
        }
        for (command, position) in bank.acknowledged() {
            assert_eq!(by_command.get(&command), Some(&vec![position]), "W1, W4: {command} is there exactly once");
        }
        self.node.terminate();
        said(&mut self.run(&["verify"]));
        let live = said(&mut self.run(&["dump"]));
        assert!(!live.is_empty(), "there is a read model to compare");
        said(&mut self.run(&["rebuild"]));
        assert!(live == said(&mut self.run(&["dump"])), "R4: the rebuilt read model equals the live one");
        views::delete(&self.data);
        self.node.start_again();
        self.node.ready(&self.http).await;
        self.comes_to_rest(bank).await;
        self.node.terminate();
        assert!(live == said(&mut self.run(&["dump"])), "the event store restores the read database");
        self.node.start_again();
        self.node.ready(&self.http).await;
    }
}

/// W1, W3, W4, R4: `kill -9` under concurrent commands, and its read database deleted while it runs.
pub async fn killed(choices: &mut Choices, rate: u64, times: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Embedded::start(&folder.path().join("data")).await;
    let bank = Bank::open(ledger.doors(), rate, choices).await;
    let work = bank.work(choices);
    for _ in 0..times {
        bank.does(10 + choices.below(100)).await;
        ledger.node.kill_nine();
        ledger.node.start_again();
        ledger.node.ready(&ledger.http).await;
    }
    views::delete(&folder.path().join("data"));
    let since = Instant::now();
    while ledger.node.is_ready(&ledger.http).await {
        assert!(since.elapsed() < LONG, "nobody is told that the views are gone");
    }
    ledger.node.ready(&ledger.http).await;
    bank.does(20).await;
    work.stop().await;
    ledger.at_rest(&bank).await;
    "everything acknowledged is there once; deleted views restored while it ran".to_owned()
}

/// Memory of a process that is its own, bytes.
pub fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
