//! Carries transfers to their end: reads the log, and sends the command that follows from each event.
//!
//! Guarantees: every step of every transfer is taken, whatever crashes in between, since the checkpoint moves only when
//! all steps up to it are stored; taken twice it changes nothing, since a step's command id follows from transfer and
//! step, and since the accounts know which transfers they took part in. It skips nothing: what it cannot read or what a
//! rule refuses (which would be a bug) parks it visibly, with the checkpoint in front of it.
//!
//! Of several processes one does it, under a lease; the others stand by. All that it stores is checked against the lease's
//! fence in the same transaction, so one that was paused and wakes up late stores nothing.

use std::{convert::Infallible, sync::Arc, time::Duration};

use app::{
    domain::{
        AccountId, CommandId, TransferId, beside, derive_uuid,
        transfer::{Step, after_account_event, after_transfer_event},
    },
    wire::{Actor, Envelope, Event, Metadata, Position, StreamId},
};
use futures_util::{StreamExt as _, stream};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    error::causes,
    following::Following,
    handler::digest,
    store::{EventStore, Head, Lease, StoreError},
    writer::{Intent, Submission, SubmitError, Writer},
};
use crate::trace;

/// Its name among the checkpoints.
pub const NAME: &str = "process_manager";

/// Most events that one read of the log brings.
const CHUNK: u32 = 500;
/// Most commands in flight at once: enough to share commits.
const IN_FLIGHT: usize = 256;
/// How long a checkpoint may be out of date. Saving one costs an fsync; an old one only means that some steps are sent
/// again and found done.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// How long the lease lasts without being renewed: so soon another process takes over from one that hangs.
const LEASE: Duration = Duration::from_secs(5);
const RENEW_EVERY: Duration = Duration::from_millis(1500);
/// How often those who stand by look whether it is free.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Waits between tries when the store is away: doubling from the first to the last.
const WAITS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// The longest wait when the writer is only busy. Short, so that people's commands cannot push transfers aside.
const WAIT_WHEN_BUSY: Duration = Duration::from_millis(100);

/// Where the process manager stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessStatus {
    /// Another process does it.
    StandingBy,
    /// All steps that follow from events up to here are stored.
    Running(Position),
    /// It stopped in front of this event until the process is started again.
    Parked { position: Position, error: String },
}

/// Why it parks.
#[derive(Debug, thiserror::Error)]
enum ParkReason {
    #[error("the metadata does not read: {0}")]
    Metadata(#[source] serde_json::Error),
    #[error("the command could not be written as JSON: {0}")]
    Digest(#[source] serde_json::Error),
    #[error("the event store does not go on by itself: {0}")]
    Store(#[source] SubmitError),
    #[error("step {step} of transfer {transfer} was refused: {error}")]
    Refused { step: &'static str, transfer: TransferId, error: SubmitError },
}

impl ParkReason {
    /// Someone else does it by now: no reason to park.
    fn is_taken_over(&self) -> bool {
        let (Self::Store(error) | Self::Refused { error, .. }) = self else { return false };
        matches!(error, SubmitError::Unavailable(StoreError::FencedOff))
    }
}

/// One command of a transfer, and the event that it follows from.
struct NextStep {
    transfer: TransferId,
    step: Step,
    causation: Metadata,
    event: Envelope,
}

pub struct ProcessManager {
    store: Arc<dyn EventStore>,
    writer: Writer,
    head: watch::Receiver<Head>,
    lease: Lease,
    ttl: Duration,
    /// How far it has come.
    read: Following,
    status: watch::Sender<ProcessStatus>,
}

impl ProcessManager {
    /// `head`: changes when something was appended.
    pub fn new(store: Arc<dyn EventStore>, writer: Writer, head: watch::Receiver<Head>) -> Self {
        let lease = Lease { name: NAME.to_owned(), fence: 0 };
        let (read, status) = (Following::after(Position(0)), watch::Sender::new(ProcessStatus::StandingBy));
        Self { store, writer, head, lease, ttl: LEASE, read, status }
    }

    /// Has its lease last for so long without being renewed.
    #[must_use]
    pub fn with_lease_of(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    pub fn status(&self) -> watch::Receiver<ProcessStatus> {
        self.status.subscribe()
    }

    /// Runs until cancelled, or until it has to park.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            let (position, reason) = match cancel.run_until_cancelled(self.work()).await {
                None => break,
                Some(Ok(never)) => match never {},
                Some(Err(parked)) => parked,
            };
            if reason.is_taken_over() {
                tracing::warn!("another process carries the transfers on; this one stands by");
                self.status.send_replace(ProcessStatus::StandingBy);
                continue;
            }
            let error = reason.to_string();
            tracing::error!(%position, error, "the process manager is parked: transfers stand still");
            self.status.send_replace(ProcessStatus::Parked { position, error });
            break;
        }
        // The last word, so that the next start has nothing to look at again and need not wait.
        let reached = match &*self.status.borrow() {
            ProcessStatus::Running(_) => true,
            ProcessStatus::Parked { .. } => false,
            ProcessStatus::StandingBy => return,
        };
        let last_word = async {
            if reached {
                self.save(self.read).await?;
            }
            self.store.renew(&self.lease, Duration::ZERO).await
        };
        if let Err(error) = last_word.await {
            tracing::warn!(%error, "the process manager's checkpoint was not saved; the next start looks again");
        }
    }

    /// Waits for the lease, then does the work for as long as it has it. Returns only to park, in front of the event at
    /// that position, or because someone else took over.
    async fn work(&mut self) -> Result<Infallible, (Position, ParkReason)> {
        let at_start = |reason| (Position(0), reason);
        let holder = self.store.holder();
        self.lease = loop {
            if let Some(lease) = retrying(|| self.store.acquire(NAME, &holder, self.ttl)).await.map_err(at_start)? {
                tracing::info!(fence = lease.fence, "this node carries the transfers");
                break lease;
            }
            tokio::time::sleep(ASK_EVERY.min(self.ttl)).await;
        };
        let (store, lease, ttl) = (self.store.clone(), self.lease.clone(), self.ttl);
        let renew = async move {
            loop {
                tokio::time::sleep(RENEW_EVERY.min(ttl / 3)).await;
                if let Err(reason) = retrying(|| store.renew(&lease, ttl)).await {
                    return reason;
                }
            }
        };
        tokio::select! {
            reason = renew => Err(at_start(reason)),
            parked = self.follow() => parked,
        }
    }

    /// Where to go on: behind the checkpoint, unless that is of another log, which was longer.
    async fn begin(&self) -> Result<Position, ParkReason> {
        let (saved, end) = (retrying(|| self.store.checkpoint(NAME)).await?, retrying(|| self.store.head()).await?);
        Ok(if saved > end.position { Position(0) } else { saved })
    }

    /// Saves how far it has come, if the log is the one still that was read.
    async fn save(&self, read: Following) -> Result<(), StoreError> {
        match read.next(&*self.store, 0).await? {
            Some(_) => self.store.save_checkpoint_under(&self.lease, NAME, read.position).await,
            None => Ok(()),
        }
    }

    async fn follow(&mut self) -> Result<Infallible, (Position, ParkReason)> {
        let mut saved = self.begin().await.map_err(|reason| (Position(0), reason))?;
        self.read = Following::after(saved);
        let mut save_at = Instant::now() + SAVE_AFTER;
        loop {
            let read = self.read;
            let reached = read.position;
            let parked = |reason| (reached.next(), reason);
            self.status.send_if_modified(|status| {
                let running = ProcessStatus::Running(reached);
                std::mem::replace(status, running.clone()) != running
            });
            // Marked as seen before the read: an append during the read is noticed by the next wait.
            self.head.borrow_and_update();
            let Some(events) = retrying(|| read.next(&*self.store, CHUNK)).await.map_err(parked)? else {
                tracing::warn!(
                    position = reached.0,
                    "the log was replaced by an older copy: its transfers are looked at again"
                );
                saved = self.begin().await.map_err(parked)?;
                self.read = Following::after(saved);
                continue;
            };
            if reached > saved && Instant::now() >= save_at {
                retrying(|| self.save(read)).await.map_err(parked)?;
                saved = reached;
                save_at = Instant::now() + SAVE_AFTER;
            }
            let Some(then) = events.last().map(Following::at) else {
                self.wait(if reached > saved { Some(save_at) } else { None }).await;
                continue;
            };
            self.take_steps(events).await?;
            self.read = then;
        }
    }

    /// Waits for something new in the log, or until `deadline`.
    async fn wait(&mut self, deadline: Option<Instant>) {
        let appended = async {
            if self.head.changed().await.is_err() {
                // The writer is gone, so nothing will come: whoever runs this process is about to cancel it.
                std::future::pending::<()>().await;
            }
        };
        match deadline {
            // Which of the two it was makes no difference to the caller.
            Some(deadline) => tokio::time::timeout_at(deadline, appended).await.unwrap_or(()),
            None => appended.await,
        }
    }

    /// Sends what follows from `events`, several at once, and returns when all of it is stored. If something parks it,
    /// everything else is done all the same: as little as possible waits for a repair.
    async fn take_steps(&self, events: Vec<Envelope>) -> Result<(), (Position, ParkReason)> {
        let mut steps = Vec::new();
        let mut failures = Vec::new();
        for event in events {
            match self.next_step(event) {
                Ok(next) => steps.extend(next),
                Err(unreadable) => {
                    failures.push(unreadable);
                    break;
                }
            }
        }
        let taken = steps.into_iter().map(|next| async move {
            let position = next.event.position;
            self.take(next).await.map_err(|reason| (position, reason))
        });
        // They begin in the order of the log: who asked first is first at an account.
        let mut taken = stream::iter(taken).buffer_unordered(IN_FLIGHT);
        while let Some(taken) = taken.next().await {
            failures.extend(taken.err());
        }
        let first = |(position, reason): &(Position, ParkReason)| (!reason.is_taken_over(), *position);
        failures.into_iter().min_by_key(first).map_or(Ok(()), Err)
    }

    /// What follows from `event`, if anything.
    fn next_step(&self, event: Envelope) -> Result<Option<NextStep>, (Position, ParkReason)> {
        let at = event.position;
        let decoded = self.writer.decode(&event).map_err(|error| (at, ParkReason::Store(error)))?;
        let next = match &decoded {
            Event::Account(decoded) => after_account_event(AccountId(event.stream.id), decoded),
            Event::Transfer(decoded) => {
                let transfer = TransferId(event.stream.id);
                after_transfer_event(transfer, decoded).map(|step| (transfer, step))
            }
            Event::Session(_) | Event::Projection(_) => None,
        };
        let Some((transfer, step)) = next else { return Ok(None) };
        let causation = serde_json::from_slice(&event.metadata).map_err(|error| (at, ParkReason::Metadata(error)))?;
        Ok(Some(NextStep { transfer, step, causation, event }))
    }

    /// Sends one step until it is stored.
    async fn take(&self, next: NextStep) -> Result<(), ParkReason> {
        let NextStep { transfer, step, causation, event } = next;
        let name = step.name();
        let (stream, intent): (StreamId, _) = match step {
            Step::Account(account, command) => (account.into(), Intent::Account(command)),
            Step::Transfer(transfer, command) => (transfer.into(), Intent::Transfer(command)),
        };
        let actor = Actor::ProcessManager;
        let digest = digest(actor, &(transfer, name)).map_err(ParkReason::Digest)?;
        let mut wait = WAITS.0;
        let mut attempt = 0;
        loop {
            let submission = Submission {
                command_id: step_command_id(transfer, name, attempt),
                actor,
                correlation_id: causation.correlation_id,
                causation_id: Some(event.event_id),
                digest,
                stream,
                expected: None,
                intent: intent.clone(),
                lease: Some(self.lease.clone()),
            };
            let follows = causation.traceparent.clone();
            match trace::within(follows, self.writer.submit(submission)).await {
                Ok(_) => return Ok(()),
                // Someone sent a command of their own under the id that was to be this step's. They must not be able
                // to hold up a transfer by that: the next id is as good, since the account takes each step once.
                Err(SubmitError::IdReused) => attempt += 1,
                Err(error) if may_pass(&error) => {
                    tracing::debug!(%error, %transfer, name, "the process manager waits for the writer");
                    tokio::time::sleep(wait).await;
                    let busy = matches!(error, SubmitError::Busy { .. });
                    wait = (wait * 2).min(if busy { WAIT_WHEN_BUSY } else { WAITS.1 });
                }
                Err(error) => return Err(ParkReason::Refused { step: name, transfer, error }),
            }
        }
    }
}

/// The id of the command that takes `step` of `transfer`; `attempt` is 0 unless that id was taken by someone else.
pub fn step_command_id(transfer: TransferId, step: &str, attempt: u64) -> CommandId {
    let parts = [transfer.0.as_bytes().as_slice(), step.as_bytes(), &attempt.to_be_bytes()];
    CommandId(beside(transfer.0, derive_uuid("transfer_step", &parts)))
}

/// Tries for as long as it takes, unless waiting cannot help.
async fn retrying<T, F: Future<Output = Result<T, StoreError>>>(work: impl Fn() -> F) -> Result<T, ParkReason> {
    let mut wait = WAITS.0;
    loop {
        match work().await {
            Ok(value) => return Ok(value),
            Err(error) => {
                let error = SubmitError::from(error);
                if !may_pass(&error) {
                    return Err(ParkReason::Store(error));
                }
                tracing::warn!(error = causes(&error), "the process manager waits for the event store");
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAITS.1);
    }
}

/// Whether trying again can help.
fn may_pass(error: &SubmitError) -> bool {
    match error {
        SubmitError::Busy { .. } => true,
        SubmitError::Unavailable(error) => !matches!(error, StoreError::FencedOff),
        SubmitError::Rejected(_)
        | SubmitError::IdReused
        | SubmitError::VersionMismatch { .. }
        | SubmitError::TooLarge { .. }
        | SubmitError::Corrupt(_)
        | SubmitError::Internal(_) => false,
    }
}
