//! Ends of sessions: recorded in the log, known at once to this side's own token check.
//!
//! Every end that this process records goes through here; what was recorded before it began, and what others record that
//! share the log, is read from there.

use std::{sync::Arc, time::Duration};

use app::{
    api::AppError,
    domain::{CommandId, session::SessionEvent},
    ports::Viewer,
    wire::{Actor, Event, Position, Receipt, StreamId},
};

use super::{
    People,
    people::{EndDue, PeopleError},
};
use crate::token::{REMEMBER, Revocations};
use crate::write::{
    error::{internal, to_app, unavailable},
    following::Following,
    handler::digest,
    store::{EventStore, StoreError},
    writer::{Clock, Intent, Submission, SubmitError, Writer},
};

const CHUNK: u32 = 1000;
/// Waits between tries to tell the log, milliseconds: doubling from the first to the last.
const WAITS: (u64, u64) = (50, 5_000);

pub(super) struct Ends {
    people: Arc<People>,
    store: Arc<dyn EventStore>,
    writer: Writer,
    revocations: Arc<Revocations>,
}

impl Ends {
    pub(super) fn new(
        people: Arc<People>,
        store: Arc<dyn EventStore>,
        writer: Writer,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { people, store, writer, revocations }
    }

    /// Takes in what the log says of ends whose tokens could still live at `now` (microseconds since 1970). Says how far
    /// that is.
    pub(super) async fn load(&self, now: i64) -> Result<Following, SubmitError> {
        let mut read = Following::after(first_since(&*self.store, now - REMEMBER).await?);
        self.load_on(&mut read, now).await?;
        Ok(read)
    }

    /// Takes in what others record, where there are others. Only returns where there are none.
    pub(super) async fn follow(&self, mut read: Following, clock: &dyn Clock) {
        let Some(mut heard) = self.store.heard() else { return };
        loop {
            heard.borrow_and_update();
            if let Err(error) = self.load_on(&mut read, clock.now_micros()).await {
                tracing::warn!(%error, "what others ended is taken in later");
                tokio::time::sleep(Duration::from_millis(WAITS.1)).await;
            } else if heard.changed().await.is_err() {
                return;
            }
        }
    }

    async fn load_on(&self, read: &mut Following, now: i64) -> Result<(), SubmitError> {
        loop {
            let Some(events) = read.next(&*self.store, CHUNK).await? else {
                // The log was replaced by an older copy, and others end sessions at positions that were read.
                *read = Following::after(first_since(&*self.store, now - REMEMBER).await?);
                continue;
            };
            let Some(last) = events.last() else { return Ok(()) };
            *read = Following::at(last);
            for event in events.iter().filter(|event| event.event_type.starts_with("session.")) {
                match self.writer.decode(event)? {
                    Event::Session(ended) => self.revocations.apply(&ended, event.recorded_at),
                    Event::Account(_) | Event::Transfer(_) | Event::Projection(_) => {}
                }
            }
        }
    }

    /// Ends one session, once: the same again, under the same id, gives the same receipt.
    pub(super) async fn end_session(&self, command_id: CommandId, viewer: &Viewer) -> Result<Receipt, AppError> {
        let (user_id, session_id) = (viewer.user_id, viewer.session_id);
        let event = SessionEvent::SessionEnded { user_id, session_id };
        self.record(command_id, Actor::User(user_id), session_id.into(), event).await
    }

    /// Tells the log of every end that is due; tries until it is done.
    pub(super) async fn tell_due(&self) {
        let mut wait = WAITS.0;
        while let Err(error) = self.try_tell_due().await {
            tracing::warn!(%error, "the log could not be told of ended sessions yet");
            tokio::time::sleep(Duration::from_millis(wait)).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    async fn try_tell_due(&self) -> Result<(), AppError> {
        for due in self.people.ends_due().await.map_err(people_failed)? {
            let EndDue { command_id, user_id, reason, actor } = due;
            let event = SessionEvent::UserSessionsEnded { user_id, reason };
            self.record(command_id, actor, user_id.into(), event).await?;
            self.people.end_told(&due).await.map_err(people_failed)?;
        }
        Ok(())
    }

    async fn record(
        &self,
        command_id: CommandId,
        actor: Actor,
        stream: StreamId,
        event: SessionEvent,
    ) -> Result<Receipt, AppError> {
        let submission = Submission {
            command_id,
            actor,
            correlation_id: command_id,
            causation_id: None,
            digest: digest(actor, &event).map_err(|error| internal(&error))?,
            stream,
            expected: None,
            intent: Intent::Record(Event::Session(event.clone())),
            lease: None,
        };
        let receipt = self.writer.submit(submission).await.map_err(to_app)?;
        for recorded in &receipt.events {
            let stored = self.store.find_event(recorded.event_id).await.map_err(|error| unavailable(&error))?;
            if let Some(stored) = stored {
                self.revocations.apply(&event, stored.recorded_at);
            }
        }
        Ok(receipt)
    }
}

pub(super) fn people_failed(error: PeopleError) -> AppError {
    match error {
        PeopleError::Store(_) => unavailable(&error),
        PeopleError::EmailTaken
        | PeopleError::IdTaken
        | PeopleError::Unknown
        | PeopleError::Invalid { .. }
        | PeopleError::Corrupt(_)
        | PeopleError::Random(_) => internal(&error),
    }
}

/// The position before the first event recorded at `time` or later. Recorded times never go back.
async fn first_since(store: &dyn EventStore, time: i64) -> Result<Position, StoreError> {
    // Everything up to `older` was recorded before `time`, everything after `newer` was not.
    let (mut older, mut newer) = (0, store.head().await?.position.0);
    while older < newer {
        let middle = older + (newer - older).div_ceil(2);
        match store.read_log(Position(middle - 1), 1).await?.first() {
            Some(event) if event.recorded_at < time => older = middle,
            Some(_) | None => newer = middle - 1,
        }
    }
    Ok(Position(older))
}
