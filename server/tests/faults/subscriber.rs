//! Someone who keeps an account's page open: loses the connection, comes back where they were, on another node perhaps, and
//! ends up with what a reload shows.

use std::{sync::Arc, time::Instant};

use app::{
    live::{List, Newcomers},
    wire::{AccountView, FromJson as _, Page, Rows, StatementRow},
};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
};
use uuid::Uuid;

use super::bank::Bank;
use crate::services::node::LONG;

/// Entries that a reload shows.
const PAGE: usize = 20;

/// What is on the page.
#[derive(Clone, Default)]
struct Shown {
    /// Everything up to here was shown.
    position: u64,
    /// The furthest of which something was.
    seen: u64,
    account: Option<AccountView>,
    account_at: u64,
    statement: Vec<StatementRow>,
}

pub struct Subscriber {
    bank: Arc<Bank>,
    account: Uuid,
    shown: watch::Receiver<Shown>,
    task: JoinHandle<()>,
    _end: EndsWithIt,
}

struct EndsWithIt(AbortHandle);

impl Drop for EndsWithIt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Subscriber {
    pub fn start(bank: Arc<Bank>, account: Uuid, door: usize) -> Self {
        let (shows, shown) = watch::channel(Shown::default());
        let task = tokio::spawn(listen(bank.clone(), account, door, shows));
        let end = EndsWithIt(task.abort_handle());
        Self { bank, account, shown, task, _end: end }
    }

    /// Waits until everything up to `head` is on the page, and compares it with a reload at this door.
    pub async fn shows_what_a_reload_shows(&mut self, head: u64, door: usize) {
        let mut shown = self.shown.clone();
        let there = async { shown.wait_for(|shown| shown.position >= head).await.map(|shown| shown.clone()) };
        let shown = match tokio::time::timeout(LONG, there).await {
            Ok(Ok(shown)) => shown,
            Ok(Err(_)) => panic!("a subscriber has ended: {:?}", (&mut self.task).await),
            Err(_) => panic!("a subscriber is at {} of {head}", self.shown.borrow().position),
        };
        let account = self.reload(door, &format!("/api/v1/accounts/{}", self.account)).await;
        let live = serde_json::to_value(shown.account.unwrap()).unwrap();
        for (name, value) in live.as_object().unwrap() {
            assert_eq!(value, &account[name], "{name} of {}", self.account);
        }
        let page = self.reload(door, &format!("/api/v1/accounts/{}/statement?limit={PAGE}", self.account)).await;
        let reloaded: Vec<StatementRow> = serde_json::from_value(page["items"].clone()).unwrap();
        let page = reloaded.len().min(shown.statement.len());
        assert_eq!(shown.statement[..page], reloaded[..], "the statement of {}", self.account);
    }

    async fn reload(&self, door: usize, path: &str) -> Value {
        let url = format!("{}{path}", self.bank.doors.queries[door]);
        let answer = self.bank.http.get(url).bearer_auth(self.bank.token()).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }
}

async fn listen(bank: Arc<Bank>, account: Uuid, mut door: usize, shows: watch::Sender<Shown>) {
    let none = Page { items: vec![], next: None };
    let mut statement = List::page(none, Newcomers::Show);
    let mut last = Instant::now();
    loop {
        let Shown { position, seen, .. } = *shows.borrow();
        let url =
            format!("{}/live?q=account:{account}&q=statement:{account}&from={position}", bank.doors.queries[door]);
        let request =
            bank.http.get(url).bearer_auth(bank.token_of(account)).header("cookie", format!("daybook_seen={seen}"));
        let answer = request.send().await.ok().filter(|answer| match answer.status().as_u16() {
            200 => true,
            503 => false,
            status => panic!("a live stream: {status}"),
        });
        if let Some(mut answer) = answer {
            let mut text = String::new();
            while let Ok(Some(bytes)) = answer.chunk().await {
                last = Instant::now();
                text.push_str(std::str::from_utf8(&bytes).unwrap());
                while let Some(end) = text.find("\n\n") {
                    let message: String = text.drain(..end + 2).collect();
                    hear(&message, &mut statement, &shows);
                }
            }
        }
        assert!(last.elapsed() < LONG, "nobody lets a subscriber listen");
        // A browser waits before it comes back, too; on another node, as a proxy would send it.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        door = (door + 1) % bank.doors.queries.len();
    }
}

fn hear(message: &str, statement: &mut List<StatementRow>, shows: &watch::Sender<Shown>) {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = field("data").unwrap();
    match field("event").unwrap() {
        "position" => shows.send_modify(|shown| {
            let position = data.parse().unwrap();
            assert!(position >= shown.position, "time runs backwards: {position} after {}", shown.position);
            shown.position = position;
            shown.seen = shown.seen.max(position);
            shown.statement.clone_from(&statement.rows);
        }),
        "rows" => {
            let Rows { query, position, reset, rows } = serde_json::from_str(data).unwrap();
            let json = app::wire::Json::parse(rows.get()).unwrap();
            shows.send_modify(|shown| shown.seen = shown.seen.max(position.0));
            if query.starts_with("statement:") {
                assert!(statement.receive(json, reset, &|_| true), "{message} does not read");
            } else {
                let account = Vec::<AccountView>::from_json(json).unwrap().pop();
                shows.send_modify(|shown| {
                    assert!(position.0 >= shown.account_at, "{message} after {}", shown.account_at);
                    shown.account_at = position.0;
                    shown.account = account.or(shown.account.take());
                });
            }
        }
        // It says where it is behind, or that it ends.
        "behind" | "end" => {}
        other => panic!("{other}: {data}"),
    }
}
