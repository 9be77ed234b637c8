//! postgres-es 0.5: the append alone, as its framework calls it after a command was decided. No state is loaded, so what
//! is measured is the most that it can do.

use std::time::{Duration, Instant};

use cqrs_es::{
    Aggregate, DomainEvent,
    event_sink::EventSink,
    persist::{PersistedEventRepository as _, SerializedEvent},
};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx08::postgres::PgPoolOptions;

use crate::{ACCOUNTS, CONNECTIONS, deposit};

/// As its own `db/init.sql` makes it.
const TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Account;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Deposited;

impl DomainEvent for Deposited {
    fn event_type(&self) -> String {
        "account.money_deposited".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// Only its name is used: nothing is loaded or decided.
impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = ();
    type Event = Deposited;
    type Error = std::fmt::Error;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, _: Deposited) {}
}

pub struct Peer(PostgresEventRepository);

impl Peer {
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
        sqlx08::raw_sql(TABLE).execute(&pool).await?;
        Ok(Self(PostgresEventRepository::new(pool)))
    }

    pub async fn append(&self, clients: usize, time: Duration) -> anyhow::Result<(usize, Duration)> {
        let started = Instant::now();
        let client = async || {
            let accounts: Vec<String> = (0..ACCOUNTS).map(|_| uuid::Uuid::new_v4().to_string()).collect();
            let mut appended = 0;
            while started.elapsed() < time {
                let event = SerializedEvent::new(
                    accounts[appended % ACCOUNTS].clone(),
                    appended / ACCOUNTS + 1,
                    Account::TYPE.to_owned(),
                    "account.money_deposited".to_owned(),
                    "1".to_owned(),
                    deposit(),
                    serde_json::json!({ "actor": accounts[0], "correlation_id": accounts[1] }),
                );
                self.0.persist::<Account>(&[event], None).await?;
                appended += 1;
            }
            anyhow::Ok(appended)
        };
        let appended = futures_util::future::try_join_all((0..clients).map(|_| client())).await?;
        Ok((appended.iter().sum(), started.elapsed()))
    }
}
