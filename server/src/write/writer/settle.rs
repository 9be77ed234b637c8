//! What becomes of what the writer has started: a stream read, a lookup, a turn, a commit. And who is told.

use app::wire::Receipt;

use super::{
    RETRY_AFTER, SubmitError,
    job::{Answer, Batch, Done, Job, give},
    lookup::WARY_BATCHES,
    others::Hold,
    run::Loop,
};
use crate::write::store::StoreError;

/// Tries of one command that other writers, or events that come and go, may spoil.
const TRIES: u8 = 16;

impl Loop {
    pub(super) async fn settle(&mut self, done: Done) {
        match done {
            Done::Loaded { stream, epoch, result } => {
                let loading = self.loading.remove(&stream).unwrap_or_default();
                match result {
                    // Read before the log's end was: it may lack events. Again, behind the new end.
                    Ok(_) | Err(_) if epoch != self.epoch => self.backlog.extend(loading.jobs),
                    Ok(entry) if entry.version < loading.seen => {
                        self.loading.insert(stream, loading);
                        self.load(stream, entry);
                    }
                    Ok(entry) => {
                        self.cache.put(stream, entry);
                        self.trim();
                        self.backlog.extend(loading.jobs);
                    }
                    Err(error) => {
                        loading.jobs.into_iter().for_each(|job| self.resolve(job, Err(error.clone().into())));
                    }
                }
            }
            Done::LookedUp { jobs, up_to, result } => {
                self.looking_up = false;
                self.looked_up(jobs, up_to, result);
            }
            Done::Held(result) => self.held(result).await,
            Done::Released => self.others.hold = Hold::Free,
            Done::Appended { batch, head, result } => {
                self.committing = false;
                match result {
                    Ok(()) => {
                        self.committed = Some(head);
                        self.others.won();
                        self.heads.send_replace(head);
                        self.answer(batch);
                        self.trim();
                    }
                    Err(error) => self.recover(batch, error),
                }
            }
        }
    }

    /// The batch was not committed, or nobody knows: what was decided on it, and after it, is void.
    fn recover(&mut self, batch: Batch, error: StoreError) {
        tracing::debug!(%error, commands = batch.stored.len(), "a batch was not committed as it was");
        let after = std::mem::take(&mut self.pending);
        match (&error, self.committed) {
            (StoreError::AlreadyStored | StoreError::FencedOff | StoreError::HeadMoved, Some(committed)) => {
                self.tip = committed;
                self.take_back(batch.streams().chain(after.streams()).collect());
                if matches!(error, StoreError::HeadMoved) {
                    self.others.behind = true;
                    self.others.missed();
                }
            }
            _ => self.forget_all(),
        }
        self.backlog.extend(batch.riders.into_iter().map(|(job, _)| job));
        for (mut job, _) in batch.stored {
            job.tries = job.tries.saturating_add(1);
            match &error {
                StoreError::HeadMoved | StoreError::AlreadyStored if job.tries > TRIES => {
                    self.resolve(job, Err(SubmitError::Busy { retry_after: RETRY_AFTER }));
                }
                StoreError::HeadMoved => self.backlog.push_back(job),
                StoreError::AlreadyStored => {
                    self.wary = WARY_BATCHES * self.settings.batch;
                    self.suspects.push(job);
                }
                StoreError::OutcomeUnknown(cause) => {
                    job.sent = Some(cause.clone());
                    self.suspects.push(job);
                }
                // Its neighbours have nothing to do with that.
                StoreError::FencedOff if job.submission.lease.is_none() => self.backlog.push_back(job),
                StoreError::Unavailable(_) | StoreError::FencedOff | StoreError::Corrupt { .. } => {
                    self.resolve(job, Err(error.clone().into()));
                }
            }
        }
        self.backlog.extend(after.into_jobs());
    }

    /// Answers everyone in a batch whose commit has succeeded.
    pub(super) fn answer(&mut self, batch: Batch) {
        for (job, receipt) in batch.stored {
            self.resolve(job, Ok(receipt));
        }
        for (job, answer) in batch.riders {
            self.resolve(job, answer);
        }
    }

    /// Answers a command, and with the same result those behind it that are the same command.
    pub(super) fn resolve(&mut self, job: Job, answer: Answer) {
        let followers =
            if job.leads { self.in_hand.remove(&job.submission.command_id).unwrap_or_default() } else { vec![] };
        for follower in followers {
            let (first, second) = (&job.submission, &follower.submission);
            match &answer {
                Ok(receipt) if (first.digest, first.actor) == (second.digest, second.actor) => {
                    let repeated = !receipt.events.is_empty();
                    give(follower, Ok(Receipt { repeated, ..receipt.clone() }));
                }
                Ok(receipt) if !receipt.events.is_empty() => give(follower, Err(SubmitError::IdReused)),
                // A refusal, or a command with nothing to do, is not remembered: the next one speaks for itself.
                Ok(_) | Err(_) => self.backlog.push_back(follower),
            }
        }
        give(job, answer);
    }

    fn trim(&mut self) {
        if let Some(committed) = self.committed {
            self.cache.trim(committed.position);
        }
    }
}
