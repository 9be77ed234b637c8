//! Making tables, and making them again (R3): fresh ones fill beside the live ones and take over by rename, in one
//! transaction, where both stand at the same checkpoint. Readers see the live ones until then.
//!
//! All projections of a rebuild share one reading of the feed. A rebuild that was cut off left nothing behind that the
//! next one would not clear away.

use std::sync::Arc;

use app::wire::Position;
use tokio_util::task::AbortOnDropHandle;

use super::{
    batch::{Batch, Read, Skips, Stop, decode_all},
    changes::Changes,
    database::{ReadDb, ReadDbError},
    feed,
    projections::{ApplyError, Projection, Tables, apply},
    runner::checkpoint,
    sql::{DbError, Dialect, Sql, Tx},
};

/// Most events that one transaction applies where nothing else writes: the more, the fewer times a row is written.
const BATCH: u32 = 40_000;
/// The same on a node at work, where live projections wait for it.
const LIVE_BATCH: u32 = 1_000;

/// What a rebuild says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The new tables stand at `position`; at `target` they take over.
    Filled { projection: &'static str, position: Position, target: Position },
    /// They have taken over.
    Switched { projection: &'static str, position: Position },
}

/// A rebuild did not reach its end. The live tables are as they were.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("rebuilding {projection} stopped at position {position}: {what}")]
    Stopped { projection: &'static str, position: Position, what: String },
    #[error("the read database does not answer: {0}")]
    Database(#[from] DbError),
}

/// Makes the tables of projections that have none, and clears away what a rebuild left that was cut off. Returns the
/// names of those whose tables other code made: they are to be rebuilt.
pub async fn install(db: &ReadDb, projections: &[Arc<dyn Projection>]) -> Result<Vec<&'static str>, ReadDbError> {
    let mut tx = db.write().await?;
    let mut outdated = Vec::new();
    for projection in projections {
        drop_tables(&mut tx, projection.as_ref(), Tables::Next).await?;
        match checkpoint(&mut tx, projection.name()).await? {
            None => {
                create_tables(&mut tx, projection.as_ref(), Tables::Live).await?;
                Sql::new("INSERT INTO checkpoints (projection, version, position) VALUES (?, ?, 0)")
                    .bind(projection.name())
                    .bind(projection.version())
                    .execute(&mut tx)
                    .await?;
            }
            Some(found) if found.version > projection.version() => {
                let what = format!("{} at version {}", projection.name(), found.version);
                return Err(ReadDbError::Newer { what });
            }
            Some(found) if found.version < projection.version() => outdated.push(projection.name()),
            Some(_) => {}
        }
    }
    Sql::new("UPDATE checkpoints SET rebuilding = NULL").execute(&mut tx).await?;
    tx.commit().await?;
    Ok(outdated)
}

/// A projection whose new tables fill.
struct Filling {
    projection: Arc<dyn Projection>,
    filled: Position,
    /// Events up to there that were to be skipped.
    skipped: u32,
}

/// Rebuilds `projections`, which are installed, in a database that nothing else writes to. One that cannot be rebuilt
/// does not keep the others from it; the first such error is returned at the end.
pub async fn rebuild(
    db: &ReadDb,
    projections: &[Arc<dyn Projection>],
    told: impl FnMut(Progress) + Send,
) -> Result<(), RebuildError> {
    run(db, projections, BATCH, told).await
}

/// [`rebuild`] on a node at work: in steps that live projections hardly notice.
pub async fn rebuild_live(
    db: &ReadDb,
    projections: &[Arc<dyn Projection>],
    told: impl FnMut(Progress) + Send,
) -> Result<(), RebuildError> {
    run(db, projections, LIVE_BATCH, told).await
}

async fn run(
    db: &ReadDb,
    projections: &[Arc<dyn Projection>],
    batch: u32,
    mut told: impl FnMut(Progress) + Send,
) -> Result<(), RebuildError> {
    let mut filling = Vec::new();
    let mut tx = db.write().await?;
    for projection in projections {
        drop_tables(&mut tx, projection.as_ref(), Tables::Next).await?;
        create_tables(&mut tx, projection.as_ref(), Tables::Next).await?;
        filling.push(Filling { projection: projection.clone(), filled: Position(0), skipped: 0 });
    }
    tx.commit().await?;

    let mut first_error = None;
    // Fewer where something among them is refused, until it is alone.
    let mut most = usize::MAX;
    let mut ahead = Ahead::start(db, Position(0), batch);
    while let Some(from) = filling.iter().map(|one| one.filled).min() {
        if ahead.from != from {
            ahead = Ahead::start(db, from, batch);
        }
        let (read, skips) = ahead.read().await?;
        let last = read.last().map(Result::as_ref);
        let next = last.map_or(from, |last| last.map_or_else(|bad| bad.position, |event| event.envelope.position));
        ahead = Ahead::start(db, next, batch);
        match step(db, &mut filling, &read, &skips, most).await {
            Ok(news) => {
                most = usize::MAX;
                for progress in news {
                    told(progress);
                    if let Progress::Switched { projection, .. } = progress {
                        filling.retain(|one| one.projection.name() != projection);
                    }
                }
            }
            Err(RebuildError::Stopped { projection, position, what }) => {
                filling.retain(|one| one.projection.name() != projection);
                discard(db, projections.iter().filter(|one| one.name() == projection)).await?;
                first_error.get_or_insert(RebuildError::Stopped { projection, position, what });
            }
            Err(RebuildError::Database(DbError::Rows(_))) if most.min(read.len()) > 1 => {
                most = most.min(read.len()) / 2;
            }
            Err(error) => return Err(error),
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Reads and decodes the next events while those before them are written.
struct Ahead {
    from: Position,
    reading: AbortOnDropHandle<Result<(Read, Skips), DbError>>,
}

impl Ahead {
    fn start(db: &ReadDb, from: Position, batch: u32) -> Self {
        let db = db.clone();
        let reading = tokio::spawn(async move {
            // What is read here need not be all there is: the step looks at the live checkpoints itself.
            let mut tx = db.read().await?;
            let skips = Skips::load(&mut tx).await?;
            let read = decode_all(feed::read(&mut tx, from, batch).await?);
            tx.commit().await?;
            Ok((read, skips))
        });
        Self { from, reading: AbortOnDropHandle::new(reading) }
    }

    async fn read(self) -> Result<(Read, Skips), DbError> {
        self.reading.await.unwrap_or(Err(DbError::failed("reading ahead has failed")))
    }
}

/// Fills all new tables with at most so many events of what was read, in one transaction, and lets those take over that have caught up.
async fn step(
    db: &ReadDb,
    filling: &mut [Filling],
    read: &Read,
    skips: &Skips,
    most: usize,
) -> Result<Vec<Progress>, RebuildError> {
    let mut tx = db.write().await?;
    let mut news = Vec::new();
    let mut reached = Vec::new();
    for one in &*filling {
        let projection = one.projection.as_ref();
        let name = projection.name();
        // Nothing else writes during this transaction: the live tables stay where they are.
        let target =
            checkpoint(&mut tx, name).await?.ok_or_else(|| DbError::failed("a projection has no checkpoint"))?.position;
        let mut batch = Batch::of(name, read, one.filled, target, skips);
        batch.shorten(most);
        let filled = fill(&mut tx, projection, &batch, target, read.is_empty()).await?;
        let skipped = one.skipped + skips.count(name, one.filled, filled);
        if filled == target {
            switch(&mut tx, projection, skipped).await?;
            news.push(Progress::Switched { projection: name, position: filled });
        } else {
            Sql::new("UPDATE checkpoints SET rebuilding = ? WHERE projection = ?")
                .bind(filled.as_i64())
                .bind(name)
                .execute(&mut tx)
                .await?;
            news.push(Progress::Filled { projection: name, position: filled, target });
        }
        reached.push((filled, skipped));
    }
    tx.commit().await?;
    for (one, (filled, skipped)) in filling.iter_mut().zip(reached) {
        (one.filled, one.skipped) = (filled, skipped);
    }
    Ok(news)
}

async fn fill(
    tx: &mut Tx,
    projection: &dyn Projection,
    batch: &Batch<'_>,
    target: Position,
    nothing_read: bool,
) -> Result<Position, RebuildError> {
    let stopped = |position, what| RebuildError::Stopped { projection: projection.name(), position, what };
    match &batch.stop {
        Some(Stop::Bad { position, what }) if batch.events.is_empty() => return Err(stopped(*position, what.clone())),
        Some(Stop::Hole { position }) => return Err(stopped(*position, "the feed has a hole".to_owned())),
        // Events behind the checkpoint that the feed no longer has.
        None if nothing_read && feed::last_position(tx).await? < target => {
            return Err(stopped(batch.after.next(), "the feed ends before it".to_owned()));
        }
        Some(Stop::Bad { .. }) | None => {}
    }
    match apply(projection, tx, Tables::Next, &batch.events, &mut Changes::ignored()).await {
        Ok(()) => Ok(batch.end),
        Err(ApplyError::Event { position, what }) => Err(stopped(position, what)),
        Err(ApplyError::Database(error @ DbError::Rows(_))) if batch.events.len() == 1 => {
            Err(stopped(batch.events[0].envelope.position, error.to_string()))
        }
        Err(ApplyError::Database(error)) => Err(error.into()),
    }
}

/// The new tables take over; a projection that was parked tries again.
async fn switch(tx: &mut Tx, projection: &dyn Projection, skipped: u32) -> Result<(), DbError> {
    if tx.dialect() == Dialect::Postgres {
        tx.define("LOCK TABLE takeover IN ACCESS EXCLUSIVE MODE").await?;
    }
    drop_tables(tx, projection, Tables::Live).await?;
    for table in projection.tables() {
        let next = Tables::NEXT;
        tx.define(&format!("ALTER TABLE {table}{next} RENAME TO {table}")).await?;
    }
    Sql::new(
        "UPDATE checkpoints SET version = ?, skipped = ?, rebuilding = NULL, parked_at = NULL, parked_error = NULL
         WHERE projection = ?",
    )
    .bind(projection.version())
    .bind(skipped)
    .bind(projection.name())
    .execute(tx)
    .await?;
    Ok(())
}

async fn discard(db: &ReadDb, projections: impl Iterator<Item = &Arc<dyn Projection>> + Send) -> Result<(), DbError> {
    let mut tx = db.write().await?;
    for projection in projections {
        drop_tables(&mut tx, projection.as_ref(), Tables::Next).await?;
        Sql::new("UPDATE checkpoints SET rebuilding = NULL WHERE projection = ?")
            .bind(projection.name())
            .execute(&mut tx)
            .await?;
    }
    tx.commit().await
}

async fn create_tables(tx: &mut Tx, projection: &dyn Projection, tables: Tables) -> Result<(), DbError> {
    let mut ddl = projection.ddl().to_owned();
    if tables == Tables::Next {
        for table in projection.tables() {
            let next = Tables::NEXT;
            ddl = ddl.replace(&format!("CREATE TABLE {table} ("), &format!("CREATE TABLE {table}{next} ("));
        }
    }
    let ddl = tx.dialect().ddl(&ddl);
    tx.define(&ddl).await
}

async fn drop_tables(tx: &mut Tx, projection: &dyn Projection, tables: Tables) -> Result<(), DbError> {
    let suffix = if tables == Tables::Next { Tables::NEXT } else { "" };
    for table in projection.tables() {
        tx.define(&format!("DROP TABLE IF EXISTS {table}{suffix}")).await?;
    }
    Ok(())
}
