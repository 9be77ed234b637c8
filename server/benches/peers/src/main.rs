//! Other event stores, each doing what Daybook is measured at, on a database of its own.
//!
//! Called with the URL of an empty database for each: `bench-peers POSTGRES-ES-URL MIRE-URL`. Then each line of standard
//! input asks for one round, `WHAT CLIENTS MILLISECONDS`, and is answered by a line `EVENTS SECONDS`. What: `postgres-es`
//! and `mire` append the same event to accounts that no other client writes; `mire-one` appends to one account, reading
//! it before and again after each conflict, as mire's own example of concurrent writers does.

mod mire_peer;
mod postgres_es_peer;

use std::{
    io::{BufRead as _, Write as _, stdin, stdout},
    time::Duration,
};

use anyhow::{Context as _, bail};

/// Connections of a peer: what mire's own benchmark uses.
const CONNECTIONS: u32 = 64;

/// Accounts that each client writes in turn.
const ACCOUNTS: usize = 8;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [postgres_es, mire] = arguments.as_slice() else { bail!("two database URLs, please") };
    let runtime = tokio::runtime::Runtime::new()?;
    let postgres_es = runtime.block_on(postgres_es_peer::Peer::open(postgres_es))?;
    let mire = runtime.block_on(mire_peer::Peer::open(mire))?;
    println!("ready");
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [what, clients, milliseconds] = words.as_slice() else { bail!("not a round: {line}") };
        let clients: usize = clients.parse().context("clients")?;
        let time = Duration::from_millis(milliseconds.parse().context("milliseconds")?);
        let (events, took) = runtime.block_on(async {
            match *what {
                "postgres-es" => postgres_es.append(clients, time).await,
                "mire" => mire.append(clients, time).await,
                "mire-one" => mire.append_to_one(clients, time).await,
                _ => bail!("no such peer: {what}"),
            }
        })?;
        println!("{events} {}", took.as_secs_f64());
        stdout().flush()?;
    }
    Ok(())
}

/// What Daybook stores of a deposit, as JSON.
fn deposit() -> serde_json::Value {
    serde_json::json!({ "amount": 12_345, "effective_on": "2026-11-22", "description": "Groceries" })
}
