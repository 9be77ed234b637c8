//! Runs one projection: reads the feed behind its checkpoint, applies what it finds, moves the checkpoint.
//!
//! R1: row changes and checkpoint are one transaction. R2: an event that cannot be applied parks this projection, and
//! no other, visibly; it goes on when someone asks for a retry or the log says that the event is skipped. One that has
//! applied the event already is rebuilt without it, so that it shows what every other rebuild will (R4).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use app::wire::{Parked, Position};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::{
    batch::{Batch, Skips, Stop, decode_all},
    changes::{Changes, Committed, Reset},
    database::ReadDb,
    feed,
    projections::{ApplyError, Decoded, Projection, Tables, apply},
    rebuild::{self, Progress, RebuildError},
    sql::{DbError, Sql, Tx},
    tail::Tail,
};
use crate::trace::{self, Kind, Span};

/// Most events that one read of the feed brings.
const BATCH: u32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(1);
/// Events that were recorded longer ago are no part of a trace any more, microseconds.
const TRACED: i64 = 60_000_000;

/// A projection at work, as the rest of the node sees it.
pub struct Runner {
    projection: Arc<dyn Projection>,
    db: ReadDb,
    tail: Arc<Tail>,
    changes: broadcast::Sender<Arc<Committed>>,
    resets: broadcast::Sender<Reset>,
    position: watch::Sender<Position>,
    parked: watch::Sender<Option<Parked>>,
    rebuilding: watch::Sender<Option<Position>>,
    retry: Notify,
    /// One rebuild at a time.
    rebuild: tokio::sync::Mutex<()>,
}

impl Runner {
    pub fn new(
        projection: Arc<dyn Projection>,
        db: ReadDb,
        tail: Arc<Tail>,
        checkpoint: Position,
        changes: broadcast::Sender<Arc<Committed>>,
        resets: broadcast::Sender<Reset>,
    ) -> Self {
        Self {
            projection,
            db,
            tail,
            changes,
            resets,
            position: watch::Sender::new(checkpoint),
            parked: watch::Sender::new(None),
            rebuilding: watch::Sender::new(None),
            retry: Notify::new(),
            rebuild: tokio::sync::Mutex::new(()),
        }
    }

    pub fn name(&self) -> &'static str {
        self.projection.name()
    }

    /// What its tables show; committed.
    pub fn position(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Where it is parked, and why.
    pub fn parked(&self) -> watch::Receiver<Option<Parked>> {
        self.parked.subscribe()
    }

    /// How far a rebuild has come, while there is one.
    pub fn rebuilding(&self) -> Option<Position> {
        *self.rebuilding.borrow()
    }

    /// Tries the event again that it is parked at.
    pub fn retry(&self) {
        self.retry.notify_one();
    }

    /// Follows the feed until it is cancelled. `outdated`: other code made the tables, they are rebuilt first.
    pub async fn run(&self, outdated: bool, mut feed: watch::Receiver<Position>, cancelled: CancellationToken) {
        let work = async {
            if outdated {
                tracing::info!(projection = self.name(), "its tables were made by another version: rebuilding");
                self.renew(&mut feed).await;
            }
            loop {
                match self.step(&mut feed).await {
                    Ok(true) => {}
                    Ok(false) => self.wait(&mut feed).await,
                    Err(error) => {
                        tracing::error!(projection = self.name(), %error, "the read database does not answer");
                        tokio::time::sleep(PATIENCE).await;
                        // It fails as the step did: the next one says so.
                        self.look().await.ok();
                    }
                }
            }
        };
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = work => {}
        }
    }

    /// Goes on from what a commit has stored whose answer was lost; whoever follows reads it again.
    async fn look(&self) -> Result<(), DbError> {
        let found = checkpoint(&mut self.db.read().await?, self.name()).await?;
        if let Some(position) = found.map(|found| found.position).filter(|found| *found > *self.position.borrow()) {
            self.resets.send(Reset { projection: self.name(), position }).ok();
            self.position.send_replace(position);
        }
        Ok(())
    }

    /// Waits until there may be something to do.
    async fn wait(&self, feed: &mut watch::Receiver<Position>) {
        tokio::select! {
            changed = feed.changed() => if changed.is_err() {
                // The feed is gone: the node stops.
                std::future::pending::<()>().await;
            },
            () = self.retry.notified() => {
                self.parked.send_replace(None);
            }
        }
    }

    /// Applies the next batch. False: there is nothing to do until the feed moves or a retry is asked for.
    async fn step(&self, feed: &mut watch::Receiver<Position>) -> Result<bool, DbError> {
        let until = *feed.borrow_and_update();
        let after = *self.position.borrow();
        if after >= until {
            return Ok(false);
        }
        let skips = self.tail.skips();
        let to_skip = skips.count(self.name(), Position(0), after);
        if to_skip > 0 && self.has_shown(to_skip).await? {
            tracing::info!(projection = self.name(), "it shows an event that is skipped: rebuilding");
            self.renew(feed).await;
            return Ok(true);
        }
        let parked_at = self.parked.borrow().as_ref().map(|parked| parked.position);
        if parked_at.is_some_and(|position| !skips.at(self.name(), position)) {
            return Ok(false);
        }
        let read = match self.tail.following(after) {
            Some(takes) => takes,
            None => vec![Arc::new(decode_all(feed::read(&mut self.db.read().await?, after, BATCH).await?))],
        };

        let events = read.iter().flat_map(|read| read.iter());
        let mut batch = Batch::of(self.name(), events, after, until, &skips);
        while !batch.is_empty() {
            let skipped = skips.count(self.name(), batch.after, batch.end);
            match self.commit(&batch, skipped).await {
                Ok(committed) => {
                    // Nobody listening is no error: whoever comes later reads the tables.
                    self.changes.send(Arc::new(committed)).ok();
                    self.parked.send_if_modified(|parked| parked.take().is_some());
                    self.position.send_replace(batch.end);
                    return Ok(true);
                }
                Err(ApplyError::Event { position, what }) => batch.cut_before(position, what),
                Err(ApplyError::Database(error @ DbError::Rows(_))) => match batch.events.as_slice() {
                    [only] => batch.cut_before(only.envelope.position, error.to_string()),
                    _ => batch.halve(),
                },
                Err(ApplyError::Database(error)) => return Err(error),
            }
        }
        match batch.stop {
            Some(Stop::Bad { position, what }) => self.park(position, what).await?,
            Some(Stop::Hole { position }) => {
                tracing::warn!(projection = self.name(), position = position.0, "waiting for a position of the feed");
            }
            None => {}
        }
        Ok(false)
    }

    /// Whether it has applied one of the `to_skip` events that it was to skip.
    async fn has_shown(&self, to_skip: u32) -> Result<bool, DbError> {
        let found = checkpoint(&mut self.db.read().await?, self.name()).await?;
        Ok(found.is_some_and(|found| found.skipped < to_skip))
    }

    /// Row changes and checkpoint, in one transaction.
    async fn commit(&self, batch: &Batch<'_>, skipped: u32) -> Result<Committed, ApplyError> {
        let since = SystemTime::now();
        let mut tx = self.db.write().await?;
        let mut changes = Changes::kept();
        // First: what is there already is not to look like an event that cannot be applied.
        move_checkpoint(&mut tx, self.name(), batch.after, batch.end, skipped).await?;
        apply(self.projection.as_ref(), &mut tx, Tables::Live, &batch.events, &mut changes).await?;
        tx.commit().await?;
        if trace::is_on() {
            self.trace(batch, since);
        }
        Ok(Committed { projection: self.name(), position: batch.end, rows: changes.into_rows() })
    }

    /// The last step of each event's trace. What is told long after is told of a rebuild, not of a command.
    fn trace(&self, batch: &Batch<'_>, since: SystemTime) {
        let news = feed::now().saturating_sub(TRACED);
        for Decoded { envelope, .. } in batch.events.iter().filter(|event| event.envelope.recorded_at > news) {
            if let Some(follows) = trace::of_metadata(&envelope.metadata) {
                let mut step = Span::begun("project", Kind::Consumer, Some(follows), Some(since));
                step.set("daybook.projection", self.name());
                step.set("daybook.position", envelope.position.as_i64());
            }
        }
    }

    async fn park(&self, position: Position, error: String) -> Result<(), DbError> {
        tracing::error!(projection = self.name(), position = position.0, %error, "parked");
        let mut tx = self.db.write().await?;
        Sql::new("UPDATE checkpoints SET parked_at = ?, parked_error = ? WHERE projection = ?")
            .bind(position.as_i64())
            .bind(error.as_str())
            .bind(self.name())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        self.parked.send_replace(Some(Parked { position, error }));
        Ok(())
    }

    /// Rebuilds the tables beside the live ones and lets them take over (R3). Returns when they have.
    pub async fn rebuild(&self) -> Result<(), RebuildError> {
        let _one_at_a_time = self.rebuild.lock().await;
        let told = |progress: Progress| match progress {
            Progress::Filled { position, .. } => {
                self.rebuilding.send_replace(Some(position));
            }
            Progress::Switched { projection, position } => {
                self.rebuilding.send_replace(None);
                self.resets.send(Reset { projection, position }).ok();
                self.retry.notify_one();
            }
        };
        // Also where whoever asked for it goes away in the middle.
        let _over = Over(&self.rebuilding);
        rebuild::rebuild_live(&self.db, std::slice::from_ref(&self.projection), told).await
    }

    /// Rebuilds its tables, however many retries and skips that takes. They are served meanwhile.
    async fn renew(&self, feed: &mut watch::Receiver<Position>) {
        while let Err(error) = self.rebuild().await {
            let database = match error {
                RebuildError::Stopped { position, what, .. } => self.stay_parked(position, what, feed).await.err(),
                RebuildError::Database(error) => Some(error),
            };
            if let Some(error) = database {
                tracing::error!(projection = self.name(), %error, "the read database does not answer");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }

    /// Parks until someone asks for a retry or the log says that the event is skipped.
    async fn stay_parked(
        &self,
        position: Position,
        what: String,
        feed: &mut watch::Receiver<Position>,
    ) -> Result<(), DbError> {
        self.park(position, what).await?;
        loop {
            feed.borrow_and_update();
            if Skips::load(&mut self.db.read().await?).await?.at(self.name(), position) {
                self.parked.send_replace(None);
            }
            if self.parked.borrow().is_none() {
                return Ok(());
            }
            self.wait(feed).await;
        }
    }
}

/// Says that no rebuild runs any more.
struct Over<'a>(&'a watch::Sender<Option<Position>>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// R1: the checkpoint moves only from where the batch began; whatever else has moved it wins.
async fn move_checkpoint(
    tx: &mut Tx,
    projection: &str,
    from: Position,
    to: Position,
    skipped: u32,
) -> Result<(), DbError> {
    let moved = Sql::new(
        "UPDATE checkpoints SET position = ?, skipped = skipped + ?, parked_at = NULL, parked_error = NULL
         WHERE projection = ? AND position = ?",
    )
    .bind(to.as_i64())
    .bind(skipped)
    .bind(projection)
    .bind(from.as_i64())
    .execute(tx)
    .await?;
    if moved == 1 { Ok(()) } else { Err(DbError::failed("the checkpoint has moved")) }
}

/// A projection's row of `checkpoints`.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub version: u32,
    pub position: Position,
    /// Events up to there that were to be skipped when they were passed.
    pub skipped: u32,
}

/// Where a projection's live tables stand; `None` before they were ever made.
pub async fn checkpoint(tx: &mut Tx, projection: &str) -> Result<Option<Checkpoint>, DbError> {
    let row = Sql::new("SELECT version, position, skipped FROM checkpoints WHERE projection = ?")
        .bind(projection)
        .fetch_optional(tx)
        .await?;
    row.map(|row| {
        Ok(Checkpoint {
            version: row.try_get("version")?,
            position: super::columns::position(&row, "position")?,
            skipped: row.try_get("skipped")?,
        })
    })
    .transpose()
}
