//! `kill -9` where a transfer stands between two of its steps: its next event is kept out of the log until then.

use std::{path::Path, time::Instant};

use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, SqliteConnection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use super::{
    bank::Bank,
    choices::Choices,
    embedded::Embedded,
    history::{COMPLETED, DECLINED_AT_DESTINATION, DECLINED_AT_SOURCE},
};
use crate::services::node::LONG;

/// At every step of each life that a transfer can have; it ends once, as if nothing had been.
pub async fn killed_between(choices: &mut Choices, rate: u64) -> (u64, String) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut ledger = Embedded::start(&data).await;
    let bank = Bank::open(ledger.doors(), rate, choices).await;
    let mut log = open(&data.join("write.sqlite")).await;
    let (from, to, nobody) = (bank.accounts[0], bank.accounts[1], choices.uuid());
    let lives =
        [(&COMPLETED[..], to, 5), (&DECLINED_AT_SOURCE, to, 100_000_000), (&DECLINED_AT_DESTINATION, nobody, 5)];
    let mut kills = 0;
    for (life, to, amount) in lives {
        for step in 1..life.len() {
            let kept_out = format!(
                "CREATE TRIGGER kept_out BEFORE INSERT ON events WHEN NEW.event_type = '{}'
                 BEGIN SELECT RAISE(ABORT, 'kept out'); END",
                life[step]
            );
            log.execute(AssertSqlSafe(kept_out)).await.unwrap();
            let fields = json!({ "from": from, "to": to, "amount": amount });
            let receipt = ledger.node.send(&ledger.http, &bank.token(), "RequestTransfer", fields).await;
            let request: Uuid = receipt["command_id"].as_str().unwrap().parse().unwrap();
            comes_to(&mut log, request, &life[..step]).await;
            ledger.node.kill_nine();
            log.execute("DROP TRIGGER kept_out").await.unwrap();
            ledger.node.start_again();
            ledger.node.ready(&ledger.http).await;
            comes_to(&mut log, request, life).await;
            kills += 1;
        }
    }
    ledger.at_rest(&bank).await;
    (kills, "each ended once, with the steps of a transfer that nothing happened to".to_owned())
}

async fn open(log: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(log).busy_timeout(LONG);
    options.connect().await.unwrap()
}

/// Waits until there are so many events of this request, which then are these.
async fn comes_to(log: &mut SqliteConnection, request: Uuid, life: &[&str]) {
    let sql = "SELECT event_type FROM events WHERE json_extract(CAST(metadata AS TEXT), '$.correlation_id') = ?
        ORDER BY position";
    let since = Instant::now();
    loop {
        let found: Vec<String> = sqlx::query_scalar(sql).bind(request.to_string()).fetch_all(&mut *log).await.unwrap();
        if found.len() >= life.len() {
            return assert_eq!(found, life);
        }
        assert!(since.elapsed() < LONG, "{found:?} and no more, of {life:?}");
        tokio::task::yield_now().await;
    }
}
