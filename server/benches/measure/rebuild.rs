//! A rebuild of all projections against one loop that scans the feed and inserts the rows that the rebuild ended with,
//! into tables with the same indexes, in transactions of as many events: no decoding, no rules, no row written twice.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use app::wire::Position;
use rusqlite::{Connection, Statement, params_from_iter, types::Value};
use server::read::{
    database::ReadDb,
    feed::Feed,
    projections,
    rebuild::{install, rebuild},
    sql::Sql,
};

use crate::support::{compare, folder, log::Log, rate};

const EVENTS: usize = 500_000;
/// Events of one transaction, on both sides.
const BATCH: usize = 40_000;

/// Rows of all tables, to be inserted with the event at which they changed last; and the statements that insert them.
pub struct Rows {
    statements: Vec<String>,
    by_position: BTreeMap<i64, Vec<(usize, Vec<Value>)>>,
    /// Makes the tables, each beside the one it is like.
    pub ddl: String,
    tables: Vec<&'static str>,
}

pub async fn run(rounds: usize) {
    let folder = folder();
    let file = folder.path().join("read.db");
    let db = ReadDb::open(&file).await.unwrap();
    install(&db, &projections::all()).await.unwrap();
    let feed = Feed::open(db.clone(), Arc::new(|_: &_, _| {})).await.unwrap();
    let mut log = Log::new();
    for _ in 0..EVENTS / 10_000 {
        feed.take((0..10_000).map(|_| log.next()).collect()).await.unwrap();
    }
    // The rebuild takes over where the live tables stand: let that be the end of the feed.
    let mut tx = db.write().await.unwrap();
    Sql::new("UPDATE checkpoints SET position = ?").bind(EVENTS as i64).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    rebuild(&db, &projections::all(), |_| {}).await.unwrap();
    let rows = Rows::read(&file);
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..rounds {
        let started = Instant::now();
        rebuild(&db, &projections::all(), |_| {}).await.unwrap();
        ours.push(rate(EVENTS, started.elapsed()));
        let started = Instant::now();
        rows.insert(&file);
        theirs.push(rate(EVENTS, started.elapsed()));
        rows.drop(&file);
    }
    let position = Feed::open(db.clone(), Arc::new(|_: &_, _| {})).await.unwrap().position();
    assert_eq!(*position.borrow(), Position(EVENTS as u64));
    println!("\nrebuild of all projections, {EVENTS} events");
    compare("    rebuild", "events/s", &ours, "one loop of inserts", &theirs);
    db.close().await;
}

impl Rows {
    pub fn read(file: &Path) -> Self {
        let db = Connection::open(file).unwrap();
        let mut rows = Self { statements: vec![], by_position: BTreeMap::new(), ddl: String::new(), tables: vec![] };
        for projection in projections::all() {
            let mut ddl = projection.ddl().to_owned();
            for table in projection.tables() {
                ddl = ddl.replace(&format!("CREATE TABLE {table} ("), &format!("CREATE TABLE {table}__bare ("));
                let mut select = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
                let columns = select.column_count();
                let position = select.column_index("position").ok();
                let places = vec!["?"; columns].join(",");
                rows.statements.push(format!("INSERT INTO {table}__bare VALUES ({places})"));
                rows.tables.push(table);
                let mut found = select.query([]).unwrap();
                while let Some(row) = found.next().unwrap() {
                    let values = (0..columns).map(|column| row.get_unwrap(column)).collect();
                    let position = position.map_or(EVENTS as i64, |column| row.get_unwrap(column));
                    rows.by_position.entry(position).or_default().push((rows.statements.len() - 1, values));
                }
            }
            rows.ddl += &ddl;
        }
        rows
    }

    fn insert(&self, file: &Path) {
        let db = connection(file);
        db.execute_batch(&self.ddl).unwrap();
        db.execute_batch("BEGIN").unwrap();
        let mut inserts = self.inserts(&db);
        let scanner = connection(file);
        let mut scan = scanner
            .prepare(
                "SELECT position, event_id, stream, version, event_type, schema, payload, metadata, recorded_at, hash \
                 FROM feed ORDER BY position",
            )
            .unwrap();
        let mut events = scan.query([]).unwrap();
        let mut seen = 0;
        while let Some(event) = events.next().unwrap() {
            let position: i64 = event.get_unwrap(0);
            std::hint::black_box(event.get_ref_unwrap(6).as_blob().unwrap());
            self.insert_at(position, &mut inserts);
            seen += 1;
            if seen % BATCH == 0 {
                db.execute_batch("COMMIT; BEGIN").unwrap();
            }
        }
        db.execute_batch("COMMIT").unwrap();
        assert_eq!(seen, EVENTS);
    }

    pub fn inserts<'d>(&self, db: &'d Connection) -> Vec<Statement<'d>> {
        self.statements.iter().map(|sql| db.prepare(sql).unwrap()).collect()
    }

    pub fn insert_at(&self, position: i64, inserts: &mut [Statement<'_>]) {
        for (statement, values) in self.by_position.get(&position).into_iter().flatten() {
            inserts[*statement].execute(params_from_iter(values)).unwrap();
        }
    }

    fn drop(&self, file: &Path) {
        let db = connection(file);
        for table in &self.tables {
            db.execute_batch(&format!("DROP TABLE {table}__bare")).unwrap();
        }
    }
}

/// As the read database's own connection that writes.
pub fn connection(file: &Path) -> Connection {
    let db = Connection::open(file).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; \
         PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;",
    )
    .unwrap();
    db
}
