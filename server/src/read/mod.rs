//! The read side: a query node's own copy of the log, and the views that are projected from it.
//!
//! It hears of the world by the bus alone. [`ReadSide`] runs the feed, a runner for each projection, and the list of
//! people, and tells after each commit what has changed.

mod batch;
pub mod changes;
pub mod columns;
pub mod database;
pub mod dump;
pub mod feed;
pub mod hub;
mod people;
pub mod projections;
pub mod queries;
pub mod rebuild;
mod replaced;
mod runner;
pub mod sql;
mod tail;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use app::wire::{Envelope, Parked, Position, ProjectionStatus, ReadStatus};
use tokio::{
    sync::{broadcast, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

pub use self::replaced::OtherLog;
use self::{
    changes::{Committed, Reset},
    database::{ReadDb, ReadDbError},
    feed::{Feed, OnSessionEvent, now},
    projections::Projection,
    rebuild::RebuildError,
    runner::{Runner, checkpoint},
    sql::DbError,
};
use crate::bus::{Bus, BusStatus, LogHead};
use crate::tasks::Tasks;

/// Batches that a slow listener may be behind before it misses some; it reads the tables then.
const BACKLOG: usize = 64;
/// How often it is looked whether the read database is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A `LogHead` older than this says nothing of how far behind this node is, microseconds.
const HEAD_IS_NEWS: i64 = 10_000_000;

/// A query node at work.
pub struct ReadSide {
    pub db: ReadDb,
    feed: Arc<Feed>,
    runners: Vec<Arc<Runner>>,
    changes: broadcast::Sender<Arc<Committed>>,
    resets: broadcast::Sender<Reset>,
    bus: Arc<dyn Bus>,
    head: watch::Receiver<Option<LogHead>>,
    /// Where the log ended when this node first heard of it.
    first_head: OnceLock<Position>,
    /// What this node had of the log when it started.
    had: Position,
    started_at: i64,
    /// Why the read database is not ours any more.
    lost: OnceLock<String>,
    tasks: Tasks,
}

impl ReadSide {
    /// Starts all of Daybook's projections over `db`, fed by `bus`, until `cancelled`. `on_session` is told of the
    /// sessions that ended lately before this returns, and then of each that ends.
    pub async fn start(
        db: ReadDb,
        bus: Arc<dyn Bus>,
        on_session: OnSessionEvent,
        cancelled: CancellationToken,
    ) -> Result<Arc<Self>, ReadDbError> {
        Self::start_with(projections::all(), db, bus, on_session, cancelled).await
    }

    /// [`Self::start`] with projections of the caller's own.
    pub async fn start_with(
        projections: Vec<Arc<dyn Projection>>,
        db: ReadDb,
        bus: Arc<dyn Bus>,
        on_session: OnSessionEvent,
        cancelled: CancellationToken,
    ) -> Result<Arc<Self>, ReadDbError> {
        let outdated = rebuild::install(&db, &projections).await?;
        let feed = Arc::new(Feed::open(db.clone(), on_session).await?);
        let (changes, resets) = (broadcast::Sender::new(BACKLOG), broadcast::Sender::new(BACKLOG));
        let mut runners = Vec::new();
        let mut tx = db.read().await?;
        for projection in projections {
            let position = checkpoint(&mut tx, projection.name()).await?.map_or(Position(0), |found| found.position);
            let runner = Runner::new(projection, db.clone(), feed.tail(), position, changes.clone(), resets.clone());
            runners.push(Arc::new(runner));
        }
        tx.commit().await?;
        let had = *feed.position().borrow();

        let tasks = Tasks::until(cancelled.clone());
        for runner in &runners {
            let (runner, feed, cancelled) = (runner.clone(), feed.position(), cancelled.clone());
            let outdated = outdated.contains(&runner.name());
            tasks.spawn(async move { runner.run(outdated, feed, cancelled).await });
        }
        let head = bus.log_head();
        tasks.spawn({
            let (feed, bus, cancelled) = (feed.clone(), bus.clone(), cancelled.clone());
            async move { feed.run(bus.as_ref(), cancelled).await }
        });
        tasks.spawn({
            let (db, bus) = (db.clone(), bus.clone());
            async move { people::run(&db, bus.as_ref(), cancelled).await }
        });
        let started_at = now();
        Ok(Arc::new(Self {
            db,
            feed,
            runners,
            changes,
            resets,
            bus,
            head,
            first_head: OnceLock::new(),
            had,
            started_at,
            lost: OnceLock::new(),
            tasks,
        }))
    }

    /// Each projection's batches from now on, after their commits. A listener that lags reads the tables.
    pub fn changes(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.changes.subscribe()
    }

    /// Projections whose tables were replaced, from now on.
    pub fn resets(&self) -> broadcast::Receiver<Reset> {
        self.resets.subscribe()
    }

    /// The last event that this node has, as it has it.
    pub async fn last(&self) -> Result<Option<Envelope>, DbError> {
        let mut tx = self.db.read().await?;
        let end = feed::last_position(&mut tx).await?;
        Ok(feed::read(&mut tx, Position(end.0.saturating_sub(1)), 1).await?.pop())
    }

    /// The position up to which this node has the log.
    pub fn feed_position(&self) -> watch::Receiver<Position> {
        self.feed.position()
    }

    /// What this projection shows; `None` if there is none of that name.
    pub fn position(&self, projection: &str) -> Option<watch::Receiver<Position>> {
        self.runner(projection).map(Runner::position)
    }

    /// R5: waits until all of `projections` show `position`. False: not within `timeout`; it is stored all the same.
    pub async fn wait_for(&self, projections: &[&str], position: Position, timeout: Duration) -> bool {
        let seen = async {
            for name in projections {
                let Some(mut shown) = self.position(name) else { return false };
                if shown.wait_for(|shown| *shown >= position).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(timeout, seen).await.unwrap_or(false)
    }

    /// The names of its projections.
    pub fn projections(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.runners.iter().map(|runner| runner.name())
    }

    /// R2: has a parked projection try its event again. False if there is none of that name.
    pub fn retry(&self, projection: &str) -> bool {
        self.runner(projection).map(Runner::retry).is_some()
    }

    /// R3: rebuilds one projection while it is served; `None` if there is none of that name.
    pub async fn rebuild(&self, projection: &str) -> Option<Result<(), RebuildError>> {
        match self.runner(projection) {
            Some(runner) => Some(runner.rebuild().await),
            None => None,
        }
    }

    /// Returns when the read database is lost, with the reason. From then on the status says so; everything has to begin
    /// anew, with a database that is opened again.
    pub async fn until_lost(&self) -> &str {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let why = match self.feed.lost() {
                Some(why) => Some(why.to_owned()),
                None if self.tasks.panicked().is_cancelled() => Some("a part of the read side has panicked".to_owned()),
                None => self.db.lost().await,
            };
            if let Some(why) = why {
                return self.lost.get_or_init(|| why);
            }
        }
    }

    /// What this node's bus meets on its way.
    pub fn bus_status(&self) -> BusStatus {
        self.bus.status()
    }

    /// Whether a view at `position` has not come to where the log ended when this node first heard of it. Before that, a
    /// node goes on with what it had when it started; one that had nothing cannot know what it lacks.
    pub fn is_old(&self, position: Position) -> bool {
        match self.head.borrow().map(|head| head.position) {
            Some(heard) => position < *self.first_head.get_or_init(|| heard),
            None => position < self.had || self.had == Position(0),
        }
    }

    /// What this node knows of itself.
    pub fn status(&self) -> ReadStatus {
        let heard = *self.head.borrow();
        let news = heard.filter(|head| now().saturating_sub(head.at) <= HEAD_IS_NEWS);
        let head = news.map(|head| head.position);
        let projections = self.runners.iter().map(|runner| {
            let checkpoint = *runner.position().borrow();
            ProjectionStatus {
                name: runner.name().to_owned(),
                checkpoint,
                lag: head.map(|head| head.0.saturating_sub(checkpoint.0)),
                parked: runner.parked().borrow().clone(),
                rebuilding: runner.rebuilding(),
            }
        });
        ReadStatus {
            head,
            unknown_since: head.is_none().then(|| heard.map_or(self.started_at, |head| head.at)),
            catching_up: self.lost.get().is_some()
                || self
                    .runners
                    .iter()
                    .any(|runner| runner.parked().borrow().is_none() && self.is_old(*runner.position().borrow())),
            feed: *self.feed.position().borrow(),
            waiting: self.restoring().or_else(|| self.feed.waiting()).or_else(|| self.bus.status().waiting),
            projections: projections.collect(),
        }
    }

    fn restoring(&self) -> Option<Parked> {
        let error = format!("the read database is being restored: {}", self.lost.get()?);
        Some(Parked { position: Position(1), error })
    }

    /// Runs beside the rest of it, and ends with it.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancelled = self.tasks.cancelled();
        self.tasks.spawn(async move { cancelled.run_until_cancelled(task).await.unwrap_or_default() });
    }

    /// Returns when everything has stopped after the cancellation, and closes the read database.
    pub async fn stopped(&self) {
        self.tasks.cancelled().cancelled().await;
        self.tasks.end().await;
        self.db.close().await;
    }

    fn runner(&self, projection: &str) -> Option<&Runner> {
        self.runners.iter().find(|runner| runner.name() == projection).map(AsRef::as_ref)
    }
}
