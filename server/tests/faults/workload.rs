//! A small bank: accounts, and clients that move money about and retry under the same command id.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use uuid::Uuid;

/// What was acknowledged: command id → position.
pub type Acknowledged = Arc<Mutex<HashMap<Uuid, u64>>>;

/// A repeatable source of choices (xorshift), so that a failing run can be run again by its seed.
pub struct Choices(u64);

impl Choices {
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.below(u64::MAX), self.below(u64::MAX))
    }
}

/// One command that a client wants done.
#[derive(Clone)]
pub struct Wanted {
    pub id: Uuid,
    pub name: &'static str,
    pub fields: Value,
}

/// A random command of the bank.
pub fn wish(choices: &mut Choices, accounts: &[Uuid]) -> Wanted {
    let account =
        |choices: &mut Choices| accounts[usize::try_from(choices.below(accounts.len() as u64)).expect("small")];
    let amount = 1 + choices.below(5_000);
    let (from, to) = (account(choices), account(choices));
    let (name, fields) = match choices.below(4) {
        0 => ("DepositMoney", json!({"account_id": from, "amount": amount})),
        1 => ("WithdrawMoney", json!({"account_id": from, "amount": amount})),
        _ => ("RequestTransfer", json!({"from": from, "to": to, "amount": amount})),
    };
    Wanted { id: choices.uuid(), name, fields }
}

/// How a client was answered.
pub enum Answer {
    Accepted(u64),
    Refused,
    /// Nobody knows: the same id has to be tried again.
    Unknown,
}

pub async fn send(http: &reqwest::Client, url: &str, token: &str, wanted: &Wanted) -> Answer {
    let sent = http
        .post(format!("{url}/{}", wanted.name))
        .bearer_auth(token)
        .header("Idempotency-Key", wanted.id.to_string())
        .json(&wanted.fields)
        .send()
        .await;
    let Ok(answer) = sent else { return Answer::Unknown };
    let status = answer.status().as_u16();
    let Ok(body) = answer.json::<Value>().await else { return Answer::Unknown };
    match status {
        200 => Answer::Accepted(body["position"].as_u64().unwrap_or_else(|| panic!("no position in {body}"))),
        422 => Answer::Refused,
        503 | 429 => Answer::Unknown,
        _ => panic!("{} answered {status}: {body}", wanted.name),
    }
}

/// One client: works until `stop`, then returns what it still does not know the outcome of.
pub async fn client(
    http: reqwest::Client,
    url: String,
    token: String,
    accounts: Vec<Uuid>,
    mut choices: Choices,
    acknowledged: Acknowledged,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Option<Wanted> {
    while !stop.load(Ordering::Relaxed) {
        let wanted = wish(&mut choices, &accounts);
        match send(&http, &url, &token, &wanted).await {
            Answer::Accepted(position) => {
                acknowledged.lock().expect("no panic holds it").insert(wanted.id, position);
                count.fetch_add(1, Ordering::Relaxed);
            }
            Answer::Refused => {}
            Answer::Unknown => return Some(wanted),
        }
    }
    None
}
