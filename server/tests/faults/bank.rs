//! A small bank at work: 20 accounts, 16 clients that move money about and retry under the same command id, readers of the
//! trial balance, and a live subscriber per account.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{choices::Choices, subscriber::Subscriber};
use crate::services::node::{LONG, sign_in};

const ACCOUNTS: usize = 20;
const CLIENTS: usize = 16;
const SESSIONS: usize = 3;
/// A session lasts 15 minutes.
const SESSION: Duration = Duration::from_mins(5);
/// How often it is looked whether it is time for that.
const LOOK: Duration = Duration::from_secs(10);
/// A client takes what is not answered in this time for lost.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often a reader looks when nothing happens.
const GLANCE: Duration = Duration::from_millis(100);

/// Where the bank's clients go: base addresses of nodes.
#[derive(Clone)]
pub struct Doors {
    pub commands: Vec<String>,
    pub queries: Vec<String>,
}

/// What clients and readers met, all together.
#[derive(Default)]
pub struct Counts {
    /// Answers that said 503.
    pub unavailable: AtomicU64,
    /// Tries that were not answered.
    pub unanswered: AtomicU64,
    /// Reads of the trial balance, each found right.
    pub reads: AtomicU64,
    /// Reads that were answered 503, or not at all.
    pub unread: AtomicU64,
}

/// The bank's book of what it was promised.
pub struct Bank {
    pub http: Client,
    pub doors: Doors,
    pub accounts: Vec<Uuid>,
    pub counts: Counts,
    /// One for those who work; those who listen share the others, since a session has only so many streams.
    tokens: watch::Sender<([String; SESSIONS], Instant)>,
    /// Command id → position.
    acknowledged: Mutex<HashMap<Uuid, u64>>,
    refused: Mutex<Vec<Uuid>>,
    /// How many those are.
    done: watch::Sender<u64>,
    /// Each try of a client takes a tick: so many a second, whatever the machine can do.
    pace: tokio::sync::Mutex<Interval>,
}

/// One command that a client wants done.
struct Wanted {
    id: Uuid,
    name: &'static str,
    fields: Value,
}

enum Answer {
    Accepted(u64),
    Refused,
    /// Nobody knows: the same id has to be tried again.
    Unknown,
}

impl Bank {
    /// Opens the accounts.
    pub async fn open(doors: Doors, rate: u64, choices: &mut Choices) -> Arc<Self> {
        let http = Client::new();
        let tokens = watch::Sender::new(sign_in_all(&http, &doors.commands[0]).await);
        let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let bank = Self {
            http,
            doors,
            accounts: (0..ACCOUNTS).map(|_| choices.uuid()).collect(),
            counts: Counts::default(),
            tokens,
            acknowledged: Mutex::default(),
            refused: Mutex::default(),
            done: watch::Sender::new(0),
            pace: pace.into(),
        };
        for account in &bank.accounts {
            let fields = json!({"account_id": account, "name": "Test", "currency": "CZK", "overdraft_limit": 100_000});
            bank.insist(&Wanted { id: choices.uuid(), name: "OpenAccount", fields }, 0).await;
        }
        let bank = Arc::new(bank);
        tokio::spawn(sign_in_again(Arc::downgrade(&bank)));
        bank
    }

    pub fn token(&self) -> String {
        self.tokens.borrow().0[0].clone()
    }

    /// Of whoever listens to this account.
    pub fn token_of(&self, account: Uuid) -> String {
        let number = self.accounts.iter().position(|one| *one == account).unwrap();
        self.tokens.borrow().0[1 + number % (SESSIONS - 1)].clone()
    }

    /// Whoever sent these was told that nothing came of them.
    pub fn refused(&self) -> Vec<Uuid> {
        self.refused.lock().unwrap().clone()
    }

    pub fn acknowledged(&self) -> HashMap<Uuid, u64> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// How many commands are acknowledged.
    pub fn done(&self) -> u64 {
        *self.done.borrow()
    }

    /// Waits until so many more are.
    pub async fn does(&self, more: u64) {
        let mut done = self.done.subscribe();
        let enough = *done.borrow() + more;
        let reached = tokio::time::timeout(LONG, done.wait_for(|done| *done >= enough)).await;
        assert!(reached.is_ok(), "commands are not acknowledged any more: {} of {enough}", self.done());
    }

    async fn send(&self, wanted: &Wanted, door: usize) -> Answer {
        self.pace.lock().await.tick().await;
        self.send_now(wanted, door).await
    }

    async fn send_now(&self, wanted: &Wanted, door: usize) -> Answer {
        let url = format!("{}/api/v1/commands/{}", self.doors.commands[door], wanted.name);
        let request = self.http.post(url).bearer_auth(self.token()).header("Idempotency-Key", wanted.id.to_string());
        let Ok(answer) = request.json(&wanted.fields).timeout(PATIENCE).send().await else {
            self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
            return Answer::Unknown;
        };
        let status = answer.status().as_u16();
        let Ok(body) = answer.json::<Value>().await else { return Answer::Unknown };
        match status {
            200 => Answer::Accepted(body["position"].as_u64().unwrap_or_else(|| panic!("no position in {body}"))),
            422 => Answer::Refused,
            503 => {
                self.counts.unavailable.fetch_add(1, Ordering::Relaxed);
                Answer::Unknown
            }
            _ => panic!("{} answered {status}: {body}", wanted.name),
        }
    }

    /// Sends it, at this door and then at the others, until it is answered.
    async fn insist(&self, wanted: &Wanted, mut door: usize) {
        let (since, mut known) = (Instant::now(), true);
        loop {
            match self.send(wanted, door).await {
                Answer::Accepted(position) => return self.note(wanted.id, position),
                Answer::Refused => {
                    // Its account is open and the sum is small.
                    assert_ne!(wanted.name, "DepositMoney", "{} was refused", wanted.id);
                    // An earlier try may still be stored: whoever gave it up has not taken it back.
                    if known {
                        self.refused.lock().unwrap().push(wanted.id);
                    }
                    return;
                }
                Answer::Unknown => (known, door) = (false, (door + 1) % self.doors.commands.len()),
            }
            assert!(since.elapsed() < LONG, "{} {} is not answered", wanted.name, wanted.id);
        }
    }

    /// Writes down what was acknowledged.
    pub fn note(&self, command: Uuid, position: u64) {
        let before = self.acknowledged.lock().unwrap().insert(command, position);
        assert!(before.is_none_or(|before| before == position), "W4: {position}, first {before:?}");
        self.done.send_modify(|done| *done += u64::from(before.is_none()));
    }

    /// Asks once for a deposit under this id; its position, if it is answered.
    pub async fn deposit(&self, id: Uuid, door: usize) -> Option<u64> {
        let fields = json!({"account_id": self.accounts[0], "amount": 7});
        match self.send_now(&Wanted { id, name: "DepositMoney", fields }, door).await {
            Answer::Accepted(position) => Some(position),
            Answer::Refused => panic!("a deposit was refused"),
            Answer::Unknown => None,
        }
    }

    /// R5, at each query node: a new command can be seen.
    pub async fn is_seen_everywhere(&self) {
        let (id, since) = (Uuid::now_v7(), Instant::now());
        let position = loop {
            if let Some(position) = self.deposit(id, 0).await {
                break position;
            }
            assert!(since.elapsed() < LONG, "a deposit is not answered");
        };
        self.note(id, position);
        for base in &self.doors.queries {
            let path =
                format!("/api/v1/accounts/{}/statement?limit=1&wait_for={position}&wait_ms=5000", self.accounts[0]);
            loop {
                let answer = self.http.get(format!("{base}{path}")).bearer_auth(self.token()).send().await;
                if let Ok(answer) = answer
                    && answer.status() == 200
                    && let Ok(page) = answer.json::<Value>().await
                    && page["position"].as_u64() >= Some(position)
                {
                    break;
                }
                assert!(since.elapsed() < LONG, "position {position} is not seen at {base}");
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits until each query node knows this person, or none does: it may take until the topic of people is read again.
    pub async fn knows_everywhere(&self, email: &str, known: bool) {
        let (since, mut done) = (Instant::now(), self.done.subscribe());
        for base in &self.doors.queries {
            loop {
                let url = format!("{base}/api/v1/users?email={email}");
                let answer = self.http.get(url).bearer_auth(self.token()).timeout(PATIENCE).send().await;
                if let Ok(answer) = answer
                    && let Ok(found) = answer.json::<Value>().await
                    && let Some(items) = found["items"].as_array()
                    && items.is_empty() != known
                {
                    break;
                }
                assert!(since.elapsed() < LONG, "whether {base} knows {email} is not {known}");
                drop(tokio::time::timeout(GLANCE, done.changed()).await);
            }
        }
    }

    /// In words.
    pub fn counts(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "acknowledged commands, each there once; {} answered 503, {} not answered, all tried again; {} reads of the trial \
             balance, all right; {} not answered",
            of(&self.counts.unavailable),
            of(&self.counts.unanswered),
            of(&self.counts.reads),
            of(&self.counts.unread)
        )
    }

    fn wish(&self, choices: &mut Choices) -> Wanted {
        let account = |choices: &mut Choices| self.accounts[choices.index(ACCOUNTS)];
        let amount = 1 + choices.below(5_000);
        let (from, to) = (account(choices), account(choices));
        let (name, fields) = match choices.below(4) {
            0 => ("DepositMoney", json!({"account_id": from, "amount": amount})),
            1 => ("WithdrawMoney", json!({"account_id": from, "amount": amount})),
            _ => ("RequestTransfer", json!({"from": from, "to": to, "amount": amount})),
        };
        Wanted { id: choices.uuid(), name, fields }
    }

    /// Works until `stop`, and to the end of what it has begun.
    async fn client(self: Arc<Self>, mut choices: Choices, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wanted = self.wish(&mut choices);
            self.insist(&wanted, choices.index(self.doors.commands.len())).await;
        }
    }

    /// Money is conserved at every read, whatever happens.
    async fn reader(self: Arc<Self>, door: usize, stop: CancellationToken) {
        let mut done = self.done.subscribe();
        while !stop.is_cancelled() {
            let url = format!("{}/api/v1/trial-balance", self.doors.queries[door]);
            let answer = self.http.get(url).bearer_auth(self.token()).timeout(PATIENCE).send().await;
            match answer.map(|answer| (answer.status().as_u16(), answer)) {
                Ok((200, answer)) => {
                    // Cut off where the node was killed.
                    if let Ok(book) = answer.json().await {
                        in_transit(&book);
                        self.counts.reads.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok((503, _)) | Err(_) => {
                    self.counts.unread.fetch_add(1, Ordering::Relaxed);
                }
                Ok((status, answer)) => panic!("the trial balance: {status} {:?}", answer.text().await),
            }
            // Again after the next command, or after a while.
            drop(tokio::time::timeout(GLANCE, done.changed()).await);
        }
    }

    /// Clients and readers begin.
    pub fn work(self: &Arc<Self>, choices: &mut Choices) -> Work {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for _ in 0..CLIENTS {
            tasks.spawn(self.clone().client(choices.fork(), stop.clone()));
        }
        for door in 0..self.doors.queries.len() {
            tasks.spawn(self.clone().reader(door, stop.clone()));
        }
        Work { stop, tasks }
    }

    /// Someone listens to each account, from now on.
    pub async fn subscribe(self: &Arc<Self>) -> Vec<Subscriber> {
        // Whoever listens may come to any node: each has the accounts first.
        self.is_seen_everywhere().await;
        let doors = self.doors.queries.len();
        let open = |(number, account): (usize, &Uuid)| Subscriber::start(self.clone(), *account, number % doors);
        self.accounts.iter().enumerate().map(open).collect()
    }
}

/// Sessions are short: new ones from time to time, as long as there is a bank.
async fn sign_in_again(bank: Weak<Bank>) {
    let mut looks = tokio::time::interval(LOOK);
    while let Some(bank) = bank.upgrade() {
        if bank.tokens.borrow().1.elapsed() > SESSION {
            bank.tokens.send_replace(sign_in_all(&bank.http, &bank.doors.commands[0]).await);
        }
        drop(bank);
        looks.tick().await;
    }
}

async fn sign_in_all(http: &Client, door: &str) -> ([String; SESSIONS], Instant) {
    let mut tokens = [const { String::new() }; SESSIONS];
    for token in &mut tokens {
        *token = sign_in(http, door).await;
    }
    (tokens, Instant::now())
}

/// Clients and readers at work.
pub struct Work {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Work {
    /// What went wrong with one of them is said here.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// The book is right; how much is on its way.
pub fn in_transit(book: &Value) -> i64 {
    let mut moving = 0;
    for line in book["lines"].as_array().expect("lines") {
        let side = |name: &str| line[name].as_i64().expect("an amount");
        let (left, right) = (side("balances") + side("in_transit"), side("deposits") - side("withdrawals"));
        assert_eq!(left, right, "money is conserved at position {}", book["position"]);
        assert!(side("in_transit") >= 0);
        moving += side("in_transit");
    }
    moving
}
