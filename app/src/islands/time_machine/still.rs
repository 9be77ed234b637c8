//! A moment of a stream as the server shows it: until the browser has fetched the stream, and without JavaScript. Replayed
//! with the same `evolve`, drawn by the same code.

use std::collections::VecDeque;

use super::{
    AROUND, Moment, TimeMachine, after,
    replay::{State, Stored},
};
use crate::{
    domain::UserId,
    islands::html::Html,
    wire::{Actor, EventView, Version},
};

/// A stream replayed up to a moment, an event at a time: however long it is, only its last entries are kept.
#[derive(Default)]
pub struct Still {
    /// Before the event that was taken last.
    before: State,
    latest: VecDeque<Stored>,
    /// Those who did something, by name where the viewer may know it.
    people: Vec<(UserId, String)>,
    /// The entry that undid the one taken last.
    pub reversed_by: Option<Version>,
}

impl Still {
    /// Goes on to the next event.
    pub fn take(&mut self, event: EventView) {
        if let Some(last) = self.latest.back() {
            self.before = after(&self.before, last);
        }
        if let (Some(Actor::User(id)), Some(name)) = (event.actor, &event.actor_name)
            && !self.people.iter().any(|(known, _)| *known == id)
        {
            self.people.push((id, name.clone()));
        }
        self.latest.push_back(event.into());
        if self.latest.len() > AROUND {
            self.latest.pop_front();
        }
    }

    /// The people named so far.
    pub fn people(&self) -> &[(UserId, String)] {
        &self.people
    }

    /// As markup; `last`: how many events the stream has.
    pub(in crate::islands) fn draw(&self, machine: &TimeMachine, last: Version) -> String {
        let mut html = Html::default();
        if let Some(event) = self.latest.back() {
            let count = |version: Version| usize::try_from(version.0).unwrap_or(usize::MAX);
            machine.draw_tools(&mut html, count(event.version), count(last), event.recorded_at);
            let moment = Moment {
                event,
                before: &self.before,
                after: &after(&self.before, event),
                previous: self.latest.iter().rev().nth(1),
                reversed_by: self.reversed_by,
            };
            machine.draw_moment(&mut html, &moment);
            machine.draw_entries(&mut html, self.latest.iter().rev(), &moment);
        }
        html.into_string()
    }
}

impl From<EventView> for Stored {
    fn from(event: EventView) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            stream: event.stream,
            version: event.version,
            event_type: event.event_type,
            schema: event.schema,
            recorded_at: event.recorded_at,
            payload: event.payload,
            metadata: Some(event.metadata).filter(|metadata| !metadata.is_empty()),
            hash: event.hash,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
        }
    }
}
