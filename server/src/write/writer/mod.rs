//! The one way into the log: decides commands and appends their events, many commands to one commit.
//!
//! W1: an answer is given after the commit that it rests on. W2: versions are gapless, an expected version is checked on
//! the current state. W4: a command id leads to its events once; repeated, it gets the first result. One command's
//! refusal or duplicate never fails its neighbours. Overload is answered at once, with bounded memory. Other processes may
//! append to the same log: see `others`.

mod entry;
mod events;
mod job;
mod lookup;
mod metrics;
mod others;
mod pulse;
mod run;
mod settle;

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use app::{
    domain::{
        AccountId, CommandId, Currency, EventId, Rejection, UserId,
        account::{AccountCommand, AccountEvent},
        transfer::TransferCommand,
    },
    wire::{Actor, Envelope, Event, Hash, Position, Receipt, StreamId, UPCASTERS, Upcaster, Version, decode_with},
};
use lru::LruCache;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::store::{EventStore, Head, Lease, StoreError};
use crate::trace::{self, Kind, Span};
use job::Job;
use pulse::Pulse;
use run::Loop;

pub use metrics::WriterMetrics;

/// At most this many bytes of payload and metadata in one event.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// When to try again what was answered with [`SubmitError::Busy`].
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A command on its way into the log: checked for who may send it, its defaults filled in.
#[derive(Debug, Clone)]
pub struct Submission {
    pub command_id: CommandId,
    pub actor: Actor,
    pub correlation_id: CommandId,
    pub causation_id: Option<EventId>,
    /// SHA-256 over actor and command as sent, before defaults were filled in.
    pub digest: Hash,
    pub stream: StreamId,
    /// Refuse unless the stream is at this version.
    pub expected: Option<Version>,
    pub intent: Intent,
    /// Refuse with [`StoreError::FencedOff`] once someone else has taken over this lease, or the log has lost the cause.
    pub lease: Option<Lease>,
}

/// What is asked of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    Account(AccountCommand),
    Transfer(TransferCommand),
    /// A fact that no rule can refuse: sessions ended, projections told to skip.
    Record(Event),
}

/// Why nothing was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The id belongs to another command, or to someone else's: which, is not said.
    #[error("this command id was already used for another command")]
    IdReused,
    #[error("the stream is at version {actual}, not {expected}")]
    VersionMismatch { expected: Version, actual: Version },
    /// Too many commands are waiting; nothing was done.
    #[error("too many commands are waiting")]
    Busy { retry_after: Duration },
    /// The store is away. Nothing was stored, unless it is [`StoreError::OutcomeUnknown`]: then the same id tells.
    #[error(transparent)]
    Unavailable(StoreError),
    #[error("the event would be {bytes} bytes, more than {MAX_EVENT_BYTES}")]
    TooLarge { bytes: usize },
    /// The stream cannot be read (W6): nothing is decided on it until that is repaired.
    #[error(transparent)]
    Corrupt(StoreError),
    /// The caller sent a command to a stream that takes no such command.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::Corrupt(error),
            StoreError::HeadMoved
            | StoreError::AlreadyStored
            | StoreError::FencedOff
            | StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_) => Self::Unavailable(error),
        }
    }
}

/// Tells the time: microseconds since 1970.
pub trait Clock: Send + Sync {
    fn now_micros(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

#[derive(Clone)]
pub struct WriterSettings {
    /// Commands that were taken and not answered yet: one more is [`SubmitError::Busy`].
    pub queue: usize,
    /// Commands of one commit.
    pub batch: usize,
    /// Aggregates kept in memory, by weight: one for each and one for each transfer or reversal that it remembers.
    pub cache: usize,
    /// How old events are read.
    pub upcasters: &'static [Upcaster],
    /// How long one command may take, whatever it waits for.
    pub patience: Duration,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self { queue: 8192, batch: 1024, cache: 200_000, upcasters: UPCASTERS, patience: Duration::from_secs(20) }
    }
}

/// What of an account never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountFacts {
    pub owner: UserId,
    pub currency: Currency,
}

/// Accounts whose facts are remembered.
const FACTS_REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// A handle on the running writer; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Job>,
    /// One permit for each command that is taken and not answered yet.
    places: Arc<Semaphore>,
    store: Arc<dyn EventStore>,
    facts: Arc<Mutex<LruCache<AccountId, AccountFacts>>>,
    upcasters: &'static [Upcaster],
    patience: Duration,
    metrics: WriterMetrics,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Writer {
    /// Starts the writer's task on the current runtime.
    ///
    /// The receiver shows where the log ends: [`Head::EMPTY`], already seen, until the store was read the first time,
    /// then anew after each commit, those of other processes included.
    pub fn start(
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
        settings: WriterSettings,
    ) -> (Self, watch::Receiver<Head>, JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(settings.queue.max(1));
        let (head, heads) = watch::channel(Head::EMPTY);
        let metrics = WriterMetrics::default();
        let writer = Self {
            queue,
            places: Arc::new(Semaphore::new(settings.queue.max(1))),
            store: store.clone(),
            facts: Arc::new(Mutex::new(LruCache::new(FACTS_REMEMBERED))),
            upcasters: settings.upcasters,
            patience: settings.patience,
            metrics: metrics.clone(),
            pulse: Arc::default(),
            stop: CancellationToken::new(),
            stopped: CancellationToken::new(),
        };
        let (stop, stopped) = (writer.stop.clone(), writer.stopped.clone());
        let task = tokio::spawn(async move {
            let _stopped = stopped.drop_guard();
            Loop::new(store, clock, settings, head, metrics).run(jobs, stop).await;
        });
        (writer, heads, task)
    }

    /// Decides, stores durably, answers; a repeated command gets the first result, marked `repeated`.
    ///
    /// After `WriterSettings::patience` it is [`StoreError::OutcomeUnknown`]. Neither that nor dropping the future takes
    /// the command back.
    pub async fn submit(&self, submission: Submission) -> Result<Receipt, SubmitError> {
        let (command_id, correlation_id) = (submission.command_id, submission.correlation_id);
        let mut span = Span::begin("append", Kind::Internal, trace::current().as_deref());
        if trace::is_on() {
            span.set("daybook.command_id", command_id.to_string());
            span.set("daybook.correlation_id", correlation_id.to_string());
            span.set("daybook.stream", submission.stream.to_string());
        }
        let since = Instant::now();
        let answer = timeout(self.patience, self.submit_within(submission, span.traceparent()))
            .await
            .unwrap_or_else(|late| Err(StoreError::OutcomeUnknown(Arc::new(late)).into()));
        self.metrics.answered(&answer, since);
        match &answer {
            Ok(receipt) => {
                let Receipt { position, repeated, .. } = receipt;
                span.set("daybook.position", position.as_i64());
                tracing::debug!(%command_id, %correlation_id, %position, repeated, "stored");
            }
            Err(error) => tracing::debug!(%command_id, %correlation_id, %error, "not stored"),
        }
        answer
    }

    async fn submit_within(&self, submission: Submission, traceparent: Option<String>) -> Result<Receipt, SubmitError> {
        let busy = SubmitError::Busy { retry_after: RETRY_AFTER };
        let Ok(place) = self.places.clone().try_acquire_owned() else { return Err(busy) };
        let (reply, answer) = oneshot::channel();
        // Never full, since there are as many places; closed when the writer has stopped.
        self.queue.try_send(Job::new(submission, traceparent, reply, place)).map_err(|_| busy)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown(Arc::new(sqlx::Error::WorkerCrashed)).into()))
    }

    /// Commands that are taken and not answered yet.
    pub fn waiting(&self, queue: usize) -> usize {
        queue.max(1).saturating_sub(self.places.available_permits())
    }

    /// Whether the store answers; it is asked at most once a second.
    pub async fn store_answers(&self) -> bool {
        self.pulse.beats(self.store.head()).await
    }

    /// What it counts.
    pub fn metrics(&self) -> &WriterMetrics {
        &self.metrics
    }

    /// Owner and currency of an account that was opened.
    pub async fn account_facts(&self, id: AccountId) -> Result<Option<AccountFacts>, SubmitError> {
        if let Some(facts) = self.facts.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Some(*facts));
        }
        // Usually the first event; transfers that an account yet to be opened declined may stand before it.
        let mut after = Version(0);
        loop {
            let events = self.store.read_stream(id.into(), after, 16).await?;
            let Some(last) = events.last() else { return Ok(None) };
            after = last.version;
            for event in &events {
                if let Event::Account(AccountEvent::AccountOpened { owner, currency, .. }) = self.decode(event)? {
                    let facts = AccountFacts { owner, currency };
                    self.facts.lock().unwrap_or_else(PoisonError::into_inner).put(id, facts);
                    return Ok(Some(facts));
                }
            }
        }
    }

    /// The event that a stream begins with.
    pub async fn first_event(&self, stream: StreamId) -> Result<Option<Envelope>, SubmitError> {
        Ok(self.store.read_stream(stream, Version(0), 1).await?.pop())
    }

    /// One stored event.
    pub async fn find_event(&self, id: EventId) -> Result<Option<Envelope>, SubmitError> {
        Ok(self.store.find_event(id).await?)
    }

    /// The event at a position of the log; `None` beyond its end.
    pub async fn event_at(&self, position: Position) -> Result<Option<Envelope>, SubmitError> {
        if i64::try_from(position.0).is_err() {
            return Ok(None);
        }
        let before = Position(position.0.saturating_sub(1));
        let next = self.store.read_log(before, 1).await?.pop();
        Ok(next.filter(|event| event.position == position))
    }

    /// The stored events of one command, in order.
    pub async fn find_command(&self, id: CommandId) -> Result<Vec<Envelope>, SubmitError> {
        Ok(self.store.find_commands(&[id]).await?)
    }

    /// What a stored event says.
    pub fn decode(&self, event: &Envelope) -> Result<Event, SubmitError> {
        decode_with(self.upcasters, &event.event_type, event.schema, &event.payload)
            .map_err(|error| entry::unreadable(event, &error).into())
    }

    /// Returns when no command is decided any more, for whatever reason.
    pub async fn ended(&self) {
        self.stopped.cancelled().await;
    }

    /// Takes no more commands, answers those it has, ends.
    pub async fn stop(self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }
}
