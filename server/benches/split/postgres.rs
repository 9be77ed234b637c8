//! Appends on PostgreSQL: against other event stores, against a bare batched insert, against a bare commit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use app::{
    domain::AccountId,
    wire::{Envelope, Position},
};
use server::write::{
    store::{EventStore as _, PostgresStore},
    writer::{SystemClock, Writer, WriterSettings},
};
use sqlx::{Connection as _, PgConnection};

use crate::{
    append::{deposit_command, deposit_for, open_accounts, submission},
    servers::Servers,
    support::{compare, median, ms, rate},
};

const CLIENTS: usize = 256;
const ROUND: Duration = Duration::from_secs(3);
/// Commits one after another of a round.
const ALONE: usize = 400;

pub async fn run(rounds: usize, servers: &Servers) {
    let url = servers.database("ours").await;
    PostgresStore::migrate(&url, None).await.unwrap();
    let store = Arc::new(PostgresStore::open(&url).await.unwrap());
    let (writer, _, _) = Writer::start(store.clone(), Arc::new(SystemClock), WriterSettings::default());
    let accounts = open_accounts(&writer).await;
    let mut raw = Raw::open(&servers.database("raw").await).await;
    let mut peers = servers.peers().await;

    let (mut ours, mut batches, mut bare) = (vec![], vec![], vec![]);
    let (mut postgres_es, mut mire) = (vec![], vec![]);
    let mut copied = store.head().await.unwrap().position;
    for _ in 0..rounds {
        let (deposits, took) = deposit_for(ROUND, CLIENTS, &writer, &accounts).await;
        ours.push(rate(deposits, took));
        let events = store.read_log(copied, u32::MAX).await.unwrap();
        let batch = median_batch(&store, copied).await;
        copied = events.last().unwrap().position;
        let started = Instant::now();
        for rows in events.chunks(batch) {
            raw.insert(rows).await;
        }
        bare.push(rate(events.len(), started.elapsed()));
        batches.push(batch);
        postgres_es.push(peers.round("postgres-es", CLIENTS, ROUND));
        mire.push(peers.round("mire", CLIENTS, ROUND));
    }
    println!("\nappend on PostgreSQL, {CLIENTS} clients, median batch {}", median(&batches));
    for (peer, theirs) in [("postgres-es", &postgres_es), ("mire", &mire), ("bare batched inserts", &bare)] {
        compare("    Daybook", "events/s", &ours, peer, theirs);
    }

    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..rounds {
        let started = store.head().await.unwrap().position;
        ours.push(alone(&writer, &accounts).await);
        let events = store.read_log(started, u32::MAX).await.unwrap();
        theirs.push(raw.one_by_one(&events).await);
    }
    let (our, their) = (median(&ours), median(&theirs));
    println!("\none client on PostgreSQL, medians of a commit");
    println!("    Daybook: {:.2} ms, a bare one-row commit: {:.2} ms → {:.2} ×", ms(our), ms(their), ratio(our, their));

    let (mut ours, mut theirs) = (vec![], vec![]);
    let before = store.head().await.unwrap().position;
    let mut acknowledged = 0;
    for _ in 0..rounds {
        let (deposits, took) = deposit_for(ROUND, 16, &writer, &accounts[..1]).await;
        acknowledged += deposits as u64;
        ours.push(rate(deposits, took));
        theirs.push(peers.round("mire-one", 16, ROUND));
    }
    let stored = store.head().await.unwrap().position.0 - before.0;
    assert_eq!(stored, acknowledged, "events stored, and acknowledged");
    println!(
        "\n16 writers on one account; each try of mire's reads the account's events again, Daybook keeps its state"
    );
    compare("    Daybook", "events/s", &ours, "mire, reading again after a conflict", &theirs);
    writer.stop().await;
    store.close().await.unwrap();
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

/// How many events a transaction brought, by the number that PostgreSQL gave it.
async fn median_batch(store: &PostgresStore, after: Position) -> usize {
    let sizes: Vec<i64> = sqlx::query_scalar("SELECT count(*) FROM events WHERE position > $1 GROUP BY xmin::text")
        .bind(after.as_i64())
        .fetch_all(store.pool())
        .await
        .unwrap();
    usize::try_from(median(&sizes)).unwrap()
}

/// The median time that a command takes while no other is sent.
async fn alone(writer: &Writer, accounts: &[AccountId]) -> Duration {
    let mut times = vec![];
    for at in 0..ALONE {
        let started = Instant::now();
        writer.submit(submission(accounts[at % accounts.len()], deposit_command())).await.unwrap();
        times.push(started.elapsed());
    }
    median(&times)
}

/// The table of events with its columns, checks and indexes, as the migration makes it, and nothing else.
pub struct Raw(PgConnection);

const INSERT: &str =
    "INSERT INTO events (position, event_id, stream_kind, stream_id, version, event_type, schema, payload,
        metadata, recorded_at, hash)
    SELECT * FROM UNNEST($1::bigint[], $2::uuid[], $3::smallint[], $4::uuid[], $5::bigint[], $6::text[], $7::integer[],
        $8::bytea[], $9::bytea[], $10::bigint[], $11::bytea[])";

impl Raw {
    pub async fn open(url: &str) -> Self {
        let migration = include_str!("../../../migrations/write/postgres/0001_events.sql");
        let table = migration.split_inclusive(';').find(|statement| statement.contains("CREATE TABLE events")).unwrap();
        let mut raw = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(table).execute(&mut raw).await.unwrap();
        Self(raw)
    }

    /// One statement, committed by itself.
    async fn insert(&mut self, events: &[Envelope]) {
        fn column<'e, T>(events: &'e [Envelope], value: impl Fn(&'e Envelope) -> T) -> Vec<T> {
            events.iter().map(value).collect()
        }
        let query = sqlx::query(INSERT)
            .bind(column(events, |event| event.position.as_i64()))
            .bind(column(events, |event| event.event_id.0))
            .bind(column(events, |event| event.stream.kind as i16))
            .bind(column(events, |event| event.stream.id))
            .bind(column(events, |event| event.version.as_i64()))
            .bind(column(events, |event| event.event_type.as_str()))
            .bind(column(events, |event| i32::try_from(event.schema).unwrap()))
            .bind(column(events, |event| event.payload.as_slice()))
            .bind(column(events, |event| event.metadata.as_slice()))
            .bind(column(events, |event| event.recorded_at))
            .bind(column(events, |event| event.hash.0.as_slice()));
        query.execute(&mut self.0).await.unwrap();
    }

    /// The median time of a commit of one row.
    pub async fn one_by_one(&mut self, events: &[Envelope]) -> Duration {
        let mut times = vec![];
        for event in events {
            let started = Instant::now();
            self.insert(std::slice::from_ref(event)).await;
            times.push(started.elapsed());
        }
        median(&times)
    }
}
