//! Rebuilds: beside the live tables, taking over at once, on a running node and on a closed database.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use app::wire::Position;
use async_trait::async_trait;
use server::read::{
    changes::{Changes, Reset},
    database::{ReadDb, ReadDbError},
    projections::{self, ApplyError, Decoded, Projection, Tables},
    rebuild::{Progress, RebuildError, install, rebuild, rebuild_live},
    sql::{Dialect, Tx},
};

use crate::history::{History, LONG, Log, NAMES, Place, dumped, number, texts};

/// A place with a read model up to the end of `history`, closed.
async fn filled(history: &History) -> (Place, String) {
    let place = Place::new();
    let node = place.start(&Log::new(history.events.clone())).await;
    node.reaches(history.head()).await;
    let dump = node.dump().await;
    node.stop().await;
    (place, dump)
}

async fn tables(db: &ReadDb) -> Vec<String> {
    let mut tx = db.read().await.unwrap();
    let sql = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT name || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name"
        }
        Dialect::Postgres => {
            "SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable
             FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1"
        }
    };
    texts(&mut tx, sql).await
}

/// The schema without how the statements that made it were spelt.
async fn shape(db: &ReadDb) -> Vec<String> {
    tables(db).await.iter().map(|line| line.replace('"', "")).collect()
}

#[tokio::test]
async fn r4_a_rebuilt_read_model_equals_the_live_one_byte_for_byte() {
    let history = History::random(20, 2_500);
    let (place, live) = filled(&history).await;
    let db = place.open().await;
    let before = shape(&db).await;
    let mut switched = vec![];
    let mut shown = Position(0);
    rebuild_live(&db, &projections::all(), |progress| match progress {
        Progress::Filled { position, target, .. } => {
            assert!(shown <= position && position < target && target == history.head());
            shown = position;
        }
        Progress::Switched { projection, position } => {
            assert_eq!(position, history.head());
            switched.push(projection);
        }
    })
    .await
    .unwrap();
    assert_eq!(switched, NAMES);
    assert!(shown > Position(0), "progress is shown");
    assert_eq!(dumped(&db).await, live);
    rebuild(&db, &projections::all(), |_| {}).await.unwrap();
    assert_eq!(dumped(&db).await, live, "whatever the batches");
    assert_eq!(shape(&db).await, before, "tables and indexes are named as before, nothing is left over");
}

#[tokio::test]
async fn r4_rows_that_were_changed_behind_its_back_are_gone_after_a_rebuild() {
    let history = History::random(21, 300);
    let (place, live) = filled(&history).await;
    let db = place.open().await;
    let mut tx = db.write().await.unwrap();
    tx.define("UPDATE accounts SET balance = balance + 1; DELETE FROM timeline; UPDATE statement SET amount = 0")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_ne!(dumped(&db).await, live);
    rebuild(&db, &projections::all(), |_| {}).await.unwrap();
    assert_eq!(dumped(&db).await, live);
}

#[tokio::test]
async fn r3_a_rebuild_that_was_cut_off_can_simply_be_started_again() {
    let history = History::random(22, 2_500);
    let (place, live) = filled(&history).await;
    {
        let db = place.open().await;
        let all = projections::all();
        let (reached, halfway) = tokio::sync::oneshot::channel();
        let mut reached = Some(reached);
        let work = rebuild_live(&db, &all, move |progress| {
            if matches!(progress, Progress::Filled { .. }) {
                reached.take().map(|reached| reached.send(()));
            }
        });
        tokio::select! {
            _ = work => panic!("it was to be cut off"),
            _ = halfway => {}
        }
        assert!(tables(&db).await.iter().any(|table| table.starts_with("accounts__next")));
        assert_eq!(dumped(&db).await, live, "readers see nothing of it");
        db.close().await;
    }
    let db = place.open().await;
    rebuild(&db, &projections::all(), |_| {}).await.unwrap();
    assert_eq!(dumped(&db).await, live);

    // Also where nobody starts it again: the next start clears it away.
    let mut tx = db.write().await.unwrap();
    tx.define("CREATE TABLE accounts__next (id TEXT)").await.unwrap();
    tx.commit().await.unwrap();
    install(&db, &projections::all()).await.unwrap();
    assert!(!tables(&db).await.iter().any(|table| table.contains("__next")));
}

#[tokio::test]
async fn r3_on_a_running_node_readers_see_the_old_view_or_the_new_and_never_an_older_one() {
    let history = History::random(23, 2_500);
    let place = Place::new();
    let log = Log::new(history.events[..1_500].to_vec());
    let node = place.start(&log).await;
    node.reaches(Position(1_500)).await;
    let mut resets = node.side.resets();

    let watching = {
        let (side, head) = (node.side.clone(), history.head());
        tokio::spawn(async move {
            let mut seen = 0;
            while Position::from_i64(seen) < head {
                let mut tx = side.db.read().await.unwrap();
                let last: i64 = number(&mut tx, "SELECT coalesce(max(position), 0) FROM timeline").await;
                let rows: i64 = number(&mut tx, "SELECT count(*) FROM timeline").await;
                let checkpoint: i64 =
                    number(&mut tx, "SELECT position FROM checkpoints WHERE projection = 'timeline'").await;
                assert_eq!((last, rows), (checkpoint, checkpoint), "whole, and at its checkpoint");
                assert!(last >= seen, "time runs backwards");
                seen = last;
            }
        })
    };
    let growing = {
        let (log, events) = (log.clone(), history.events.clone());
        tokio::spawn(async move {
            for end in (1_500..=events.len()).step_by(50) {
                log.set(events[..end].to_vec());
                tokio::task::yield_now().await;
            }
        })
    };
    for name in NAMES {
        node.side.rebuild(name).await.unwrap().unwrap();
        let Reset { projection, position } = resets.recv().await.unwrap();
        assert_eq!(projection, name);
        assert!(position >= Position(1_500));
    }
    growing.await.unwrap();
    node.reaches(history.head()).await;
    watching.await.unwrap();
    assert!(node.side.rebuild("no_such_projection").await.is_none());
    assert!(node.side.status().projections.iter().all(|one| one.rebuilding.is_none()));
    let live = node.dump().await;
    assert_eq!(live, filled(&history).await.1);
}

/// Counts events into a table whose shape depends on the version.
struct Counter {
    version: u32,
    applied: AtomicU32,
    refuses: Option<Position>,
}

impl Counter {
    fn at(version: u32) -> Arc<Self> {
        Arc::new(Self { version, applied: AtomicU32::new(0), refuses: None })
    }
}

#[async_trait]
impl Projection for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn tables(&self) -> &'static [&'static str] {
        &["counter"]
    }

    fn ddl(&self) -> &'static str {
        if self.version == 1 {
            "CREATE TABLE counter (position INTEGER PRIMARY KEY) STRICT;"
        } else {
            "CREATE TABLE counter (position INTEGER PRIMARY KEY, double INTEGER NOT NULL) STRICT;"
        }
    }

    async fn apply(&self, tx: &mut Tx, tables: Tables, events: &[&Decoded], _: &mut Changes) -> Result<(), ApplyError> {
        for decoded in events {
            if self.refuses == Some(decoded.envelope.position) {
                return Err(ApplyError::event(decoded, "no"));
            }
            let position = decoded.envelope.position.as_i64();
            let statement = if self.version == 1 {
                tables.sql("INSERT INTO counter{next} VALUES (?)").bind(position)
            } else {
                tables.sql("INSERT INTO counter{next} VALUES (?, 2 * CAST(? AS BIGINT))").bind(position).bind(position)
            };
            statement.execute(tx).await?;
            self.applied.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::test]
async fn r3_after_an_upgrade_the_tables_are_rebuilt_by_themselves() {
    let (place, history) = (Place::new(), History::random(24, 300));
    let log = Log::new(history.events[..200].to_vec());
    let node = place.start_with(vec![Counter::at(1)], &log).await;
    assert!(node.side.wait_for(&["counter"], Position(200), LONG).await);
    node.stop().await;

    log.set(history.events.clone());
    let node = place.start_with(vec![Counter::at(2)], &log).await;
    // Never older than before, on the way either.
    assert!(*node.side.position("counter").unwrap().borrow() >= Position(200));
    assert!(node.side.wait_for(&["counter"], history.head(), LONG).await);
    let mut tx = node.side.db.read().await.unwrap();
    assert_eq!(number(&mut tx, "SELECT count(*) FROM counter").await, 300);
    assert_eq!(number(&mut tx, "SELECT CAST(sum(double) AS BIGINT) FROM counter").await, 300 * 301);
    drop(tx);
    node.stop().await;

    // Once is enough; and older code does not touch what newer code made.
    let again = Counter::at(2);
    let node = place.start_with(vec![again.clone()], &log).await;
    assert!(node.side.wait_for(&["counter"], history.head(), LONG).await);
    assert_eq!(again.applied.load(Ordering::SeqCst), 0);
    node.stop().await;
    let older: [Arc<dyn Projection>; 1] = [Counter::at(1)];
    assert!(matches!(install(&place.open().await, &older).await, Err(ReadDbError::Newer { .. })));
}

#[tokio::test]
async fn r3_one_projection_that_cannot_be_rebuilt_does_not_keep_the_others_from_it() {
    let (place, history) = (Place::new(), History::random(25, 300));
    let log = Log::new(history.events.clone());
    let mut all = projections::all();
    all.insert(0, Counter::at(1));
    let node = place.start_with(all, &log).await;
    node.reaches(history.head()).await;
    assert!(node.side.wait_for(&["counter"], history.head(), LONG).await);
    node.stop().await;

    let db = place.open().await;
    let live = dumped(&db).await;
    let mut all = projections::all();
    all.insert(0, Arc::new(Counter { refuses: Some(Position(123)), ..Arc::into_inner(Counter::at(1)).unwrap() }));
    let mut switched = vec![];
    let error = rebuild(&db, &all, |progress| {
        if let Progress::Switched { projection, .. } = progress {
            switched.push(projection);
        }
    })
    .await
    .unwrap_err();
    assert!(matches!(error, RebuildError::Stopped { projection: "counter", position: Position(123), .. }), "{error}");
    assert_eq!(switched, NAMES);
    assert_eq!(dumped(&db).await, live);
    let mut tx = db.read().await.unwrap();
    let rows: i64 = number(&mut tx, "SELECT count(*) FROM counter").await;
    assert_eq!(rows, 300, "the live table is as it was");
}

#[tokio::test]
async fn a_read_database_of_a_newer_daybook_is_refused() {
    let place = Place::new();
    let db = place.open().await;
    let mut tx = db.write().await.unwrap();
    tx.define(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT 9999, 'of tomorrow', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1",
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    db.close().await;
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(error, ReadDbError::Newer { .. }), "{error}");
}

#[tokio::test]
async fn r4_the_same_events_make_the_same_dump_wherever_they_are_kept() {
    let history = History::random(29, 1_500);
    let (here, there) = (Place::new(), Place::folder());
    let mut dumps = vec![];
    for place in [&here, &there] {
        let node = place.start(&Log::new(history.events.clone())).await;
        node.reaches(history.head()).await;
        dumps.push(node.dump().await);
        node.stop().await;
    }
    assert_eq!(dumps[0], dumps[1]);
    assert!(dumps[0].lines().count() > 1_500, "every event is in the timeline at least");
}
