//! The feed of events: one a line, in words.

use leptos::prelude::*;

use super::{
    ledger::{Cell, Piece, Row, short_id, table},
    statement::arrivals,
};
use crate::{
    links,
    live::{Newcomers, use_rows},
    locale::Locale,
    wire::{Actor, EventView, LiveQuery, Position, StreamId, decode},
    words::{self, Mark, Said},
};

/// Events, newest first. `live`: the newest page without a filter, so that new ones join on top; else those that pass
/// the filter (`stream`, `event_type`, `text`) are counted and offered. `now`: when the page was rendered, microseconds.
#[island]
pub fn EventRows(
    events: Vec<EventView>,
    position: Position,
    locale: Locale,
    now: i64,
    live: bool,
    #[prop(optional)] stream: Option<StreamId>,
    #[prop(optional)] event_type: Option<String>,
    #[prop(optional)] text: Option<String>,
) -> impl IntoView {
    let newcomers = if live {
        Newcomers::Show
    } else {
        let text = text.map(|text| text.to_lowercase());
        Newcomers::Count(Box::new(move |event: &EventView| {
            event_type.as_ref().is_none_or(|wanted| *wanted == event.event_type)
                && text.as_ref().is_none_or(|text| {
                    let Said { text: said, note, .. } = say(event, &locale);
                    said.to_lowercase().contains(text) || note.is_some_and(|note| note.to_lowercase().contains(text))
                })
        }))
    };
    let query = stream.map_or(LiveQuery::Events, LiveQuery::Stream);
    let list = use_rows(vec![query], position, events, newcomers);
    let clock = RwSignal::new(now);
    #[cfg(feature = "hydrate")]
    {
        #[allow(clippy::cast_possible_truncation)]
        set_interval(move || clock.set((js_sys::Date::now() * 1000.0) as i64), std::time::Duration::from_secs(20));
    }
    let drawn = Memo::new(move |_| {
        let now = clock.get();
        list.rows.with(|events| events.iter().map(|event| event_row(event, &locale, now)).collect())
    });
    let columns = [("date", "When"), ("", "What happened"), ("", "Stream"), ("", "By"), ("ref", "Position")];
    view! {
        {arrivals(list, "event", "events")}
        {table(
            "ledger",
            "Events, newest first".to_owned(),
            columns.into_iter().map(|(class, title)| (class, title.to_owned())).collect(),
            drawn,
        )}
    }
}

/// An event in words; one that this browser cannot read yet by its type.
fn say(event: &EventView, locale: &Locale) -> Said {
    match decode(&event.event_type, event.schema, event.payload.as_bytes()) {
        Ok(known) => words::say_event(&known, event.currency, locale),
        Err(_) => Said { mark: Mark::Fix, text: event.event_type.clone(), note: None },
    }
}

fn event_row(event: &EventView, locale: &Locale, now: i64) -> Row {
    let Said { mark, text, note } = say(event, locale);
    let moment = links::moment(event.stream, event.version);
    let mut what = vec![Piece::Mark(mark), Piece::link("", text, moment.clone())];
    what.extend(note.map(|note| Piece::note("note", note)));
    let stream = format!("{} {}", event.stream.kind.name(), short_id(&event.stream.id.to_string()));
    Row {
        key: event.event_id.0.as_u128(),
        id: None,
        class: "",
        cells: vec![
            Cell::new(
                "date",
                "end",
                vec![Piece::Time {
                    text: ago(now.saturating_sub(event.recorded_at), event.recorded_at, locale),
                    exact: format!("{} UTC", locale.format_moment(event.recorded_at)),
                }],
            ),
            Cell::new("what", "lead", what),
            Cell::new("id", "sub", vec![Piece::link("id", stream, links::stream(event.stream))]),
            Cell::text("quiet small", "", event.actor_name.clone().unwrap_or_else(|| actor(event.actor))),
            Cell::new("ref", "side", vec![Piece::link("moment", locale.format_count(event.position.0), moment)]),
        ],
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
