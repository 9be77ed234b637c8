//! The feed of events: one a line, in words.

use serde::Serialize;

use super::{
    Names, Part,
    html::Html,
    ledger::{arrivals, cell, cell_of, link, nothing, row, said, short_id, table, time},
};
use crate::{
    domain::CommandId,
    links,
    live::{List, LiveRow as _, Newcomers},
    locale::Locale,
    wire::{Actor, EventView, Json, LiveQuery, Page, StreamId, from_json, read_event},
    words::{self, Mark, Said},
};

/// What the feed is narrowed to. Empty: all events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    pub stream: Option<StreamId>,
    pub event_type: Option<String>,
    /// Only events of this command and of what followed from it.
    pub correlation: Option<CommandId>,
    /// Only events whose words hold this text; ignores case.
    pub text: Option<String>,
}

from_json! { Filter { stream, event_type, correlation, text } }

/// Events, newest first.
#[derive(Serialize)]
pub struct EventRows {
    events: List<EventView>,
    filter: Filter,
    /// What a customer's events are about; admins see streams and positions instead.
    names: Option<Names>,
    /// The address of the newest page of the same events.
    newest: String,
    /// When this is drawn, microseconds since 1970.
    now: i64,
    locale: Locale,
}

from_json! { EventRows { events, filter, names, newest, now, locale } }

impl EventRows {
    /// `live`: the newest page, so that new events that pass the filter join on top; else they are counted and offered.
    /// So are those that pass a text: the server searches other words than these. `names`: of a customer's accounts.
    /// `newest`: the address of the newest page. `now`: microseconds since 1970.
    pub fn new(
        events: Page<EventView>,
        filter: Filter,
        names: Option<Names>,
        newest: String,
        live: bool,
        now: i64,
        locale: Locale,
    ) -> Self {
        let newcomers = if live && filter.text.is_none() { Newcomers::Show } else { Newcomers::Count };
        Self { events: List::page(events, newcomers), filter, names, newest, now, locale }
    }
}

impl Part for EventRows {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![self.filter.stream.map_or(LiveQuery::Events, LiveQuery::Stream)]
    }

    fn on_rows(&mut self, query: &str, rows: Json<'_>, reset: bool) -> bool {
        let Self { events, filter, locale, .. } = self;
        let own = filter.stream.map_or(LiveQuery::Events, LiveQuery::Stream);
        if query != own.to_string() {
            return false;
        }
        // The newest of all events, of which those that pass may not reach down to those shown.
        let part = reset && (filter.event_type.is_some() || filter.correlation.is_some() || filter.text.is_some());
        let top = events.rows.first().map(|event| event.position).filter(|_| part);
        if part {
            events.offer();
        }
        events.receive(rows, reset, &|event| {
            top.is_none_or(|top| event.position > top)
                && filter.event_type.as_ref().is_none_or(|wanted| *wanted == event.event_type)
                && filter.correlation.is_none_or(|wanted| wanted == event.correlation_id)
                && filter.text.as_ref().is_none_or(|text| {
                    let Said { text: said, note, .. } = say(event, locale);
                    holds(&said, text) || note.is_some_and(|note| holds(&note, text))
                })
        })
    }

    fn on_clock(&mut self, now: i64) -> bool {
        self.now = now;
        true
    }

    fn draw(&self, html: &mut Html) {
        let columns = [("date", "When"), ("", "What happened"), ("", "Stream"), ("", "By"), ("ref", "Position")];
        let theirs = [columns[0], columns[1], ("", "About"), columns[3]];
        let columns = if self.names.is_some() { theirs.as_slice() } else { &columns };
        arrivals(html, self.events.waiting(), "event", "events", &self.newest);
        if self.events.rows.is_empty() {
            return if self.filter == Filter::default() {
                let words = "Everything that happens to your accounts will stand here, from the first day on.";
                nothing(html, "Nothing here yet", words, Some(("/accounts/open", "Open an account")));
            } else {
                nothing(html, "Nothing like that", "No event passes all of these filters. Take one off.", None);
            };
        }
        table(html, "ledger", "Events, newest first", columns, |html| {
            for event in &self.events.rows {
                let moment = links::moment(event.stream, event.version);
                row(html, event.key(), "", "", |html| {
                    cell_of(html, "date", "end", |html| {
                        let ago = ago(self.now.saturating_sub(event.recorded_at), event.recorded_at, &self.locale);
                        time(html, &ago, &self.locale.format_moment(event.recorded_at));
                    });
                    cell_of(html, "what", "lead", |html| said(html, &say(event, &self.locale), &moment));
                    cell_of(html, if self.names.is_some() { "quiet small" } else { "id" }, "sub", |html| {
                        let kind = event.stream.kind.name();
                        let (class, text) = match &self.names {
                            Some(names) => ("", about(names, event.stream).unwrap_or(kind).to_owned()),
                            None => ("id", format!("{kind} {}", short_id(&event.stream.id.to_string()))),
                        };
                        link(html, class, &links::stream(event.stream), &text);
                    });
                    let by = event.actor_name.clone().unwrap_or_else(|| actor(event.actor));
                    cell(html, "quiet small", "", &by);
                    if self.names.is_none() {
                        cell_of(html, "ref", "side", |html| {
                            link(html, "moment", &moment, &self.locale.format_count(event.position.0));
                        });
                    }
                });
            }
        });
    }
}

/// The account's name, if it is one with a name.
fn about(names: &Names, stream: StreamId) -> Option<&str> {
    names.iter().find(|(id, _)| StreamId::from(*id) == stream).map(|(_, name)| name.as_str())
}

/// Whether the text holds the part, ignoring case.
fn holds(text: &str, part: &str) -> bool {
    // By the browser's own tables: Rust's would be a tenth of the module.
    #[cfg(feature = "hydrate")]
    {
        let lower = |text: &str| js_sys::JsString::from(text).to_lower_case();
        lower(text).includes(&String::from(lower(part)), 0)
    }
    #[cfg(not(feature = "hydrate"))]
    text.to_lowercase().contains(&part.to_lowercase())
}

/// An event in words; one that this browser cannot read yet by its type.
fn say(event: &EventView, locale: &Locale) -> Said {
    match read_event(&event.event_type, event.schema, &event.payload) {
        Some(known) => words::say_event(&known, event.currency, locale),
        None => Said { mark: Mark::Fix, text: event.event_type.clone(), note: None },
    }
}

/// Who did it, where there is no name.
pub(super) fn actor(actor: Option<Actor>) -> String {
    match actor {
        Some(Actor::User(id)) => short_id(&id.to_string()),
        Some(Actor::ProcessManager) => "transfers".to_owned(),
        Some(Actor::Operator) => "operator".to_owned(),
        None => String::new(),
    }
}

/// "12 s ago", "4 min ago", "3 h ago", "yesterday", then the day. Microseconds.
fn ago(micros: i64, at: i64, locale: &Locale) -> String {
    match micros / 1_000_000 {
        ..1 => "now".to_owned(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        86_400..172_800 => "yesterday".to_owned(),
        _ => locale.format_day(crate::domain::Date::of_micros(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_told_in_ever_longer_steps() {
        let told = |seconds: i64| ago(seconds * 1_000_000, 0, &Locale::default());
        assert_eq!(told(-5), "now");
        assert_eq!(told(12), "12 s ago");
        assert_eq!(told(240), "4 min ago");
        assert_eq!(told(7200), "2 h ago");
        assert_eq!(told(90_000), "yesterday");
        assert_eq!(told(200_000), "1 Jan");
    }
}
