//! Commands in hand, what goes into one commit, and work beside the loop.

use app::{
    domain::EventId,
    wire::{Envelope, Position, Receipt, StreamId, Version},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Submission, SubmitError, entry::Entry};
use crate::write::store::{Cause, Head, Lease, StoreError};

pub(super) type Answer = Result<Receipt, SubmitError>;

/// A command in hand.
pub(super) struct Job {
    pub(super) submission: Submission,
    /// The trace that it is part of.
    pub(super) traceparent: Option<String>,
    pub(super) reply: oneshot::Sender<Answer>,
    /// Held until the answer is given: bounds all that is in hand.
    _place: OwnedSemaphorePermit,
    /// Others with its id wait behind it.
    pub(super) leads: bool,
    /// Its id was not in the log up to here.
    pub(super) looked_up: Option<Position>,
    /// It was in a commit of unknown outcome, because of this.
    pub(super) sent: Option<Cause>,
    /// Such commits that turned out not to have happened.
    pub(super) lost: u8,
    pub(super) tries: u8,
}

impl Job {
    pub(super) fn new(
        submission: Submission,
        traceparent: Option<String>,
        reply: oneshot::Sender<Answer>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            submission,
            traceparent,
            reply,
            _place: place,
            leads: false,
            looked_up: None,
            sent: None,
            lost: 0,
            tries: 0,
        }
    }
}

/// What goes into one commit.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Envelope>,
    /// Commands whose events these are.
    pub(super) stored: Vec<(Job, Receipt)>,
    /// Answers without events that rest on events not committed yet.
    pub(super) riders: Vec<(Job, Answer)>,
    /// Of those commands that have one; all the same.
    pub(super) lease: Option<Lease>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.riders.is_empty()
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.events.iter().map(|event| event.stream)
    }

    /// What those with a lease follow from.
    pub(super) fn causes(&self) -> Vec<EventId> {
        let submissions = self.stored.iter().map(|(job, _)| &job.submission).filter(|one| one.lease.is_some());
        submissions.filter_map(|one| one.causation_id).collect()
    }

    pub(super) fn into_jobs(self) -> impl Iterator<Item = Job> {
        self.stored.into_iter().map(|(job, _)| job).chain(self.riders.into_iter().map(|(job, _)| job))
    }
}

/// A stream that is being read.
#[derive(Default)]
pub(super) struct Loading {
    /// They wait for it.
    pub(super) jobs: Vec<Job>,
    /// As far as others were seen to append to it meanwhile.
    pub(super) seen: Version,
}

/// Work that was under way beside the loop.
pub(super) enum Done {
    Loaded { stream: StreamId, epoch: u64, result: Result<Entry, StoreError> },
    LookedUp { jobs: Vec<Job>, up_to: Position, result: Result<Vec<Envelope>, StoreError> },
    Appended { batch: Batch, head: Head, result: Result<(), StoreError> },
    Held(Result<Head, StoreError>),
    Released,
}

pub(super) fn give(job: Job, answer: Answer) {
    if job.reply.send(answer).is_err() {
        tracing::debug!("whoever sent the command did not wait for the answer");
    }
}
