//! Whether a command was stored before: looked up when it may have been.

use std::{collections::HashMap, time::Duration};

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Position},
};
use tokio::time::Instant;

use super::{
    SubmitError,
    events::{is_of, receipt},
    job::{Done, Job},
    run::Loop,
};
use crate::write::store::StoreError;

/// After a duplicate, this many batches of commands are looked up before they are decided: duplicates come in crowds.
pub(super) const WARY_BATCHES: usize = 4;
/// So many commits of unknown outcome that did not happen are tried again: a connection may be lost once.
const LOST: u8 = 1;
/// How often a commit of unknown outcome is looked up while the store does not answer, and the first pause between.
const LOOKUPS: u32 = 6;
const LOOKUP_PAUSE: Duration = Duration::from_millis(20);
/// A store that takes longer to say that it does not answer is not asked again.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(5);

impl Loop {
    /// Looks up the commands that may be in the log already.
    pub(super) fn start_lookup(&mut self) {
        if self.looking_up || self.suspects.is_empty() {
            return;
        }
        self.looking_up = true;
        let up_to = self.committed.map(|head| head.position).unwrap_or_default();
        let (store, jobs) = (self.store.clone(), std::mem::take(&mut self.suspects));
        self.tasks.spawn(async move {
            let ids: Vec<CommandId> = jobs.iter().map(|job| job.submission.command_id).collect();
            let mut tries = if jobs.iter().any(|job| job.sent.is_some()) { LOOKUPS } else { 1 };
            let (mut pause, since) = (LOOKUP_PAUSE, Instant::now());
            loop {
                let result = store.find_commands(&ids).await;
                tries -= 1;
                let over = tries == 0 || since.elapsed() > LOOKUP_PATIENCE;
                if over || !matches!(result, Err(StoreError::Unavailable(_))) {
                    return Done::LookedUp { jobs, up_to, result };
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        });
    }

    /// What was not found is decided, everything else answered.
    pub(super) fn looked_up(&mut self, jobs: Vec<Job>, up_to: Position, result: Result<Vec<Envelope>, StoreError>) {
        let found = match result {
            Ok(found) => found,
            Err(error) => {
                for job in jobs {
                    let error = match &error {
                        StoreError::Unavailable(source) if job.sent.is_some() => {
                            StoreError::OutcomeUnknown(source.clone())
                        }
                        other => other.clone(),
                    };
                    self.resolve(job, Err(error.into()));
                }
                return;
            }
        };
        if !found.is_empty() {
            self.wary = WARY_BATCHES * self.settings.batch;
        }
        let found: HashMap<EventId, Envelope> = found.into_iter().map(|event| (event.event_id, event)).collect();
        let mut hopeless = None;
        for mut job in jobs {
            let submission = &job.submission;
            let id = |index| EventId::derive(submission.command_id, index);
            let events: Vec<&Envelope> = (0..).map_while(|index| found.get(&id(index))).collect();
            let Some(first) = events.first() else {
                job.looked_up = Some(up_to);
                match job.sent.take() {
                    Some(cause) if job.lost >= LOST => {
                        let error = StoreError::Unavailable(cause);
                        self.resolve(job, Err(error.clone().into()));
                        hopeless = Some(error);
                    }
                    sent => {
                        job.lost += u8::from(sent.is_some());
                        self.backlog.push_back(job);
                    }
                }
                continue;
            };
            let answer = match is_of(first, submission) {
                Ok(true) => Ok(receipt(submission.command_id, submission.stream, events, job.sent.is_none())),
                Ok(false) => Err(SubmitError::IdReused),
                Err(error) => Err(error.into()),
            };
            self.resolve(job, answer);
        }
        // A full disk, say: for all that waits it would be the same again and again.
        if let Some(error) = hopeless {
            self.refuse_backlog(&error);
        }
    }
}
