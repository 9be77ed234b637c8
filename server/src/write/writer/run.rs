//! The writer's task: takes commands as they come, decides them while the commit before is in flight, and sends all
//! that has gathered as the next commit.
//!
//! What is decided ahead of a commit is told to no one before that commit has succeeded. If it fails, the streams that
//! were touched are read again and whatever rested on it is decided again.
//!
//! A command is in one place at a time: in the backlog, waiting for its stream to be read, being looked up, or in a
//! batch. While it is anywhere here, another with the same id waits behind it (`in_hand`).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use app::{
    domain::CommandId,
    wire::{Position, Receipt, StreamId},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, SubmitError, WriterMetrics, WriterSettings,
    entry::{Cache, Entry},
    events::{receipt, seal},
    job::{Batch, Done, Job, Loading},
    others::{self, Hold, Others},
};
use crate::write::store::{EventStore, Head, StoreError, Under};

pub(super) struct Loop {
    pub(super) store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    pub(super) settings: WriterSettings,
    pub(super) heads: watch::Sender<Head>,
    /// Where the log ends; `None` when it has to be read from the store.
    pub(super) committed: Option<Head>,
    /// Where it will end once all that is decided is committed.
    pub(super) tip: Head,
    pub(super) cache: Cache,
    /// Counts how often the cache was dropped: what was being read before that is read again.
    pub(super) epoch: u64,
    pub(super) others: Others,
    /// The store did not say where the log ends, for this reason: all that waits is answered with it.
    pub(super) away: Option<StoreError>,
    /// Commands by id, each with those that wait behind it.
    pub(super) in_hand: HashMap<CommandId, Vec<Job>>,
    pub(super) backlog: VecDeque<Job>,
    /// Streams that are being read.
    pub(super) loading: HashMap<StreamId, Loading>,
    /// Commands that may be in the log already.
    pub(super) suspects: Vec<Job>,
    pub(super) looking_up: bool,
    /// So many commands are looked up before they are decided.
    pub(super) wary: usize,
    /// What gathers for the next commit.
    pub(super) pending: Batch,
    pub(super) committing: bool,
    pub(super) tasks: JoinSet<Done>,
    metrics: WriterMetrics,
}

impl Loop {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
        settings: WriterSettings,
        heads: watch::Sender<Head>,
        metrics: WriterMetrics,
    ) -> Self {
        Self {
            others: Others::new(store.heard().is_some()),
            store,
            clock,
            heads,
            committed: None,
            tip: Head::EMPTY,
            cache: Cache::new(settings.cache),
            epoch: 0,
            away: None,
            in_hand: HashMap::new(),
            backlog: VecDeque::new(),
            loading: HashMap::new(),
            suspects: Vec::new(),
            looking_up: false,
            wary: 0,
            pending: Batch::default(),
            committing: false,
            tasks: JoinSet::new(),
            metrics,
            settings,
        }
    }

    /// Runs until `stop` and until everything that was taken is answered.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut heard = self.store.heard();
        let (mut open, mut taken) = (true, Vec::new());
        loop {
            self.catch_up().await;
            if self.away.is_none() {
                self.place_backlog().await;
            }
            if let Some(error) = self.away.take() {
                // They have waited as long as the store was waited for.
                self.backlog.extend(std::iter::from_fn(|| queue.try_recv().ok()));
                self.refuse_backlog(&error);
            }
            self.start_lookup();
            let room = self.settings.batch.max(1).saturating_sub(self.pending.stored.len());
            // Once as many are decided as still wait: so that half of a crowd is decided while the other half commits.
            let enough = room == 0 || queue.len() <= self.pending.stored.len();
            // In its turn, a writer takes all that it has.
            let enough = if self.others.holding() { room == 0 || self.turn_is_over() } else { enough };
            if !self.committing && !self.pending.is_empty() && enough {
                self.start_commit();
                continue;
            }
            self.hold_or_release();
            if !open && self.tasks.is_empty() && self.backlog.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => match done {
                    Ok(done) => self.settle(done).await,
                    // A bug: whoever waits learns it from the reply that never comes, the owner from this task's end.
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                () = others::further(&mut heard, self.tip.position), if self.others.listening() => self.others.behind = true,
                () = later(self.others.again), if open && self.others.looks_again() => self.others.behind = true,
                () = later(self.others.until), if self.others.holding() && self.has_looked_up() => {}
                count = queue.recv_many(&mut taken, room.max(1)), if open && room > 0 && !self.others.holding() => {
                    open = count > 0;
                    self.backlog.extend(taken.drain(..));
                }
                () = stop.cancelled(), if !queue.is_closed() => queue.close(),
            }
        }
    }

    /// Takes up what waits, as far as the next batch has room.
    async fn place_backlog(&mut self) {
        while self.pending.stored.len() < self.settings.batch.max(1) && self.others.may_decide() {
            let Some(job) = self.backlog.pop_front() else { return };
            if self.committed.is_none()
                && let Err(error) = self.look().await
            {
                self.backlog.push_front(job);
                self.away = Some(error);
                return;
            }
            if let (Some(one), Some(other)) = (&job.submission.lease, &self.pending.lease)
                && one != other
            {
                self.backlog.push_front(job);
                return;
            }
            self.place(job);
        }
    }

    /// Answers all that wait, and those behind them.
    pub(super) fn refuse_backlog(&mut self, error: &StoreError) {
        while let Some(job) = self.backlog.pop_front() {
            self.resolve(job, Err(error.clone().into()));
        }
    }

    /// No command waits for being looked up.
    fn has_looked_up(&self) -> bool {
        !self.looking_up && self.suspects.is_empty()
    }

    /// All that was placed is decided, or the others have waited long enough for streams that are still read.
    pub(super) fn turn_is_over(&self) -> bool {
        let waited = || self.others.until.is_none_or(|until| until <= Instant::now());
        self.has_looked_up() && (self.loading.values().all(|loading| loading.jobs.is_empty()) || waited())
    }

    /// Whatever is known of the log is read again.
    pub(super) fn forget_all(&mut self) {
        self.committed = None;
        self.epoch += 1;
        self.cache.clear();
    }

    fn place(&mut self, mut job: Job) {
        if !job.leads {
            if let Some(followers) = self.in_hand.get_mut(&job.submission.command_id) {
                followers.push(job);
                return;
            }
            self.in_hand.insert(job.submission.command_id, Vec::new());
            job.leads = true;
        }
        if self.wary > 0 && job.looked_up.is_none() {
            self.wary -= 1;
            self.suspects.push(job);
            return;
        }
        self.decide(job);
    }

    fn decide(&mut self, job: Job) {
        let submission = &job.submission;
        let (stream, now) = (submission.stream, self.clock.now_micros());
        let committed = self.committed.map(|head| head.position).unwrap_or_default();
        let (tip, void_at_times) = (&mut self.tip, self.others.exist);
        let (looked_up, mut theirs) = (job.looked_up, Position(0));
        let decided = self.cache.with(stream, |entry| {
            theirs = entry.theirs;
            let settled = entry.position <= committed;
            if let Some(expected) = submission.expected
                && expected != entry.version
            {
                return (settled, Err(SubmitError::VersionMismatch { expected, actual: entry.version }), vec![]);
            }
            let sealed = entry.decide(submission.intent.clone()).and_then(|events| {
                if events.is_empty() {
                    return Ok(vec![]);
                }
                if void_at_times {
                    entry.remember(committed);
                }
                seal(submission, job.traceparent.as_deref(), &events, now, entry, tip)
            });
            let answer = sealed.as_ref().map_err(Clone::clone).map(|events| Receipt {
                version: entry.version,
                position: entry.position,
                ..receipt(submission.command_id, stream, events, false)
            });
            (settled, answer, sealed.unwrap_or_default())
        });
        let Some((settled, answer, events)) = decided else {
            if let Some(loading) = self.loading.get_mut(&stream) {
                loading.jobs.push(job);
            } else {
                self.loading.insert(stream, Loading { jobs: vec![job], ..Loading::default() });
                self.load(stream, Entry::empty(stream.kind));
            }
            return;
        };
        match answer {
            Ok(receipt) if !events.is_empty() => {
                self.pending.events.extend(events);
                self.pending.lease = self.pending.lease.take().or_else(|| job.submission.lease.clone());
                self.pending.stored.push((job, receipt));
            }
            // Nothing to store: perhaps because it is stored already, by another process since it was looked up.
            Ok(_) | Err(_) if looked_up.is_none_or(|up_to| self.others.spoil(up_to, theirs)) => {
                if looked_up.is_some() {
                    self.others.missed();
                }
                self.suspects.push(job);
            }
            Ok(_) | Err(_) if !settled => self.pending.riders.push((job, answer)),
            Ok(_) | Err(_) => self.resolve(job, answer),
        }
    }

    /// What was decided of these streams is void: they are read again, from where they were remembered.
    pub(super) fn take_back(&mut self, streams: HashSet<StreamId>) {
        let committed = self.committed.map(|head| head.position).unwrap_or_default();
        for stream in streams {
            if let Some(entry) = self.cache.take_back(stream, committed) {
                self.loading.insert(stream, Loading::default());
                self.load(stream, entry);
            }
        }
    }

    /// Reads what follows in a stream.
    pub(super) fn load(&mut self, stream: StreamId, mut entry: Entry) {
        let (store, upcasters, epoch) = (self.store.clone(), self.settings.upcasters, self.epoch);
        self.tasks.spawn(async move {
            let result = entry.read_on(&*store, stream, upcasters).await.map(|()| entry);
            Done::Loaded { stream, epoch, result }
        });
    }

    fn start_commit(&mut self) {
        let (batch, head) = (std::mem::take(&mut self.pending), self.tip);
        let Some(committed) = self.committed else {
            // The log's end is unknown, so nothing can have been decided.
            self.backlog.extend(batch.into_jobs());
            return;
        };
        if batch.events.is_empty() {
            self.answer(batch);
            return;
        }
        self.committing = true;
        self.others.hold = Hold::Free;
        let (store, runtime, metrics) = (self.store.clone(), Handle::current(), self.metrics.clone());
        // On a thread that may block: SQLite does.
        self.tasks.spawn_blocking(move || {
            let since = Instant::now();
            let result = runtime.block_on(async {
                match &batch.lease {
                    Some(lease) => {
                        let under = Under { lease, causes: &batch.causes() };
                        store.append_under(under, committed.position, &batch.events, &head).await
                    }
                    None => store.append(committed.position, &batch.events, &head).await,
                }
            });
            match &result {
                Ok(()) => metrics.committed(batch.events.len(), since.elapsed()),
                Err(_) => metrics.failed(),
            }
            Done::Appended { batch, head, result }
        });
    }
}

async fn later(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
