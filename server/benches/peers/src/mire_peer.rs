//! mire 0.4 on PostgreSQL.

use std::time::{Duration, Instant};

use mire::{Aggregate, Event, EventData, EventStore, EventStoreError, ExpectedVersion};
use serde::{Deserialize, Serialize};
use sqlx09::postgres::PgPoolOptions;

use crate::{ACCOUNTS, CONNECTIONS};

#[derive(Debug, Clone, Serialize, Deserialize, EventData)]
#[serde(tag = "type")]
#[mire(entity = "account")]
enum AccountEvent {
    Deposited { amount: i64, effective_on: String, description: String },
}

#[derive(Debug, Default)]
struct Account {
    balance: i64,
}

impl Aggregate for Account {
    type Event = AccountEvent;

    fn stream_category() -> &'static str {
        "account"
    }

    fn apply(&mut self, event: &AccountEvent) {
        let AccountEvent::Deposited { amount, .. } = event;
        self.balance += amount;
    }
}

fn deposited() -> AccountEvent {
    AccountEvent::Deposited { amount: 12_345, effective_on: "2026-11-22".into(), description: "Groceries".into() }
}

pub struct Peer(EventStore);

impl Peer {
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let store = EventStore::new(PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?);
        store.migrate().await?;
        Ok(Self(store))
    }

    pub async fn append(&self, clients: usize, time: Duration) -> anyhow::Result<(usize, Duration)> {
        let started = Instant::now();
        let client = async || {
            let accounts: Vec<String> = (0..ACCOUNTS).map(|_| format!("account-{}", uuid::Uuid::new_v4())).collect();
            let mut appended = 0;
            while started.elapsed() < time {
                let version = i64::try_from(appended / ACCOUNTS)?;
                let expected = if version == 0 { ExpectedVersion::NoStream } else { ExpectedVersion::Exact(version) };
                let event = Event::new(deposited());
                self.0.append(&accounts[appended % ACCOUNTS], "account", expected, &[event]).await?;
                appended += 1;
            }
            anyhow::Ok(appended)
        };
        let appended = futures_util::future::try_join_all((0..clients).map(|_| client())).await?;
        Ok((appended.iter().sum(), started.elapsed()))
    }

    pub async fn append_to_one(&self, clients: usize, time: Duration) -> anyhow::Result<(usize, Duration)> {
        let (account, started) = (uuid::Uuid::new_v4().to_string(), Instant::now());
        let client = async || {
            let mut appended = 0;
            while started.elapsed() < time {
                let mut root = self.0.load_or_default::<Account>(&account).await?;
                root.record(deposited());
                match self.0.save(&mut root).await {
                    Ok(()) => appended += 1,
                    Err(EventStoreError::ConcurrencyConflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            anyhow::Ok(appended)
        };
        let appended: usize = futures_util::future::try_join_all((0..clients).map(|_| client())).await?.iter().sum();
        let stored = self.0.load::<Account>(&account).await?.map_or(0, |root| root.version);
        anyhow::ensure!(stored == i64::try_from(appended)?, "{appended} acknowledged, {stored} stored");
        Ok((appended, started.elapsed()))
    }
}
