//! A query node that begins with nothing and reads all of the topic, against one loop that consumes the same topic and
//! inserts the rows that the node ends with, into tables with the same indexes: no merge, no hash, no decoding, no rules.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use app::wire::Position;
use rusqlite::{Connection, params_from_iter, types::Value};
use server::{
    bus::{
        head::HeadKeys,
        kafka::{KafkaBus, KafkaSettings},
    },
    read::{ReadSide, database::ReadDb, projections},
};
use tokio_util::sync::CancellationToken;

use crate::{
    log::{consumer, each, fill, keys, publish},
    rebuild::{Rows, connection},
    servers::Servers,
    support::{compare, folder, rate},
};

const EVENTS: usize = 500_000;
/// Messages of one transaction of the loop.
const BATCH: usize = 10_000;

pub async fn run(rounds: usize, servers: &Servers) {
    let db = fill(servers, "catch_up", EVENTS).await;
    let settings = servers.topics("catch-up");
    publish(&db, &settings, Position(EVENTS as u64)).await;
    db.close().await.unwrap();

    let folder = folder();
    let (mut ours, mut theirs, mut rows) = (vec![], vec![], None);
    for round in 0..rounds {
        let file = folder.path().join(format!("read{round}.db"));
        ours.push(rate(EVENTS, node(&settings, &file).await));
        let (feed, rows) = rows.get_or_insert_with(|| (Feed::read(&file), Rows::read(&file)));
        let bare = folder.path().join(format!("bare{round}.db"));
        theirs.push(rate(EVENTS, consume(&settings, &bare, feed, rows)));
        for file in [file, bare] {
            std::fs::remove_file(file).unwrap();
        }
    }
    println!("\na query node catching up from Kafka, all projections, {EVENTS} events");
    compare("    query node", "events/s", &ours, "one loop that consumes and inserts", &theirs);
}

async fn node(settings: &KafkaSettings, file: &Path) -> Duration {
    let started = Instant::now();
    let cancelled = CancellationToken::new();
    let heads = HeadKeys::new([keys().verifying_key()]);
    let bus = KafkaBus::start(settings.clone(), heads, cancelled.clone()).unwrap();
    let db = ReadDb::open(file).await.unwrap();
    let side = ReadSide::start(db, bus, Arc::new(|_: &_, _| {}), cancelled.clone()).await.unwrap();
    for projection in projections::all() {
        let mut shown = side.position(projection.name()).unwrap();
        shown.wait_for(|shown| *shown >= Position(EVENTS as u64)).await.unwrap();
    }
    let took = started.elapsed();
    cancelled.cancel();
    side.stopped().await;
    took
}

/// The node's copy of the log, as it ends with it.
struct Feed {
    ddl: String,
    rows: Vec<Vec<Value>>,
}

impl Feed {
    fn read(file: &Path) -> Self {
        let db = connection(file);
        let ddl = "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE tbl_name = 'feed' AND sql IS NOT NULL";
        let ddl = db.query_row(ddl, [], |row| row.get(0)).unwrap();
        let mut select = db.prepare("SELECT * FROM feed ORDER BY position").unwrap();
        let columns = select.column_count();
        let rows = select.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
        Self { ddl, rows: rows.collect::<Result<_, _>>().unwrap() }
    }
}

fn consume(settings: &KafkaSettings, file: &Path, feed: &Feed, rows: &Rows) -> Duration {
    let started = Instant::now();
    let db: Connection = connection(file);
    db.execute_batch(&feed.ddl).unwrap();
    db.execute_batch(&rows.ddl).unwrap();
    let places = vec!["?"; feed.rows[0].len()].join(",");
    let mut copy = db.prepare(&format!("INSERT INTO feed VALUES ({places})")).unwrap();
    let mut inserts = rows.inserts(&db);
    let consumer = consumer(settings);
    db.execute_batch("BEGIN").unwrap();
    let mut seen = 0;
    each(&consumer, EVENTS, |position, _| {
        copy.execute(params_from_iter(&feed.rows[position.0 as usize - 1])).unwrap();
        rows.insert_at(position.as_i64(), &mut inserts);
        seen += 1;
        if seen % BATCH == 0 {
            db.execute_batch("COMMIT; BEGIN").unwrap();
        }
    });
    db.execute_batch("COMMIT").unwrap();
    started.elapsed()
}
