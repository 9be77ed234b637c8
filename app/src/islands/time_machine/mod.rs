//! A stream's life, replayed in the browser with the ledger's own code: any moment, its state and what it changed.

mod replay;
#[cfg(feature = "ssr")]
mod still;

use serde::Serialize;

#[cfg(feature = "ssr")]
pub use self::still::Still;

use self::replay::{Chain, State, Stored, changes, evolve, replay, verify};
use super::{
    Part,
    events::actor,
    html::Html,
    ledger::{cell, cell_of, fact, icon, id, link, mark, row, said, table},
};
use crate::{
    domain::{Currency, UserId},
    links,
    locale::Locale,
    wire::{Actor, FromJson as _, Json, LiveQuery, StreamId, Version, from_json},
    words::{self, Mark, Said},
};

/// As many entries are listed on either side of the one that is shown.
const AROUND: usize = 50;
/// More ticks than this cannot be told apart.
const MOST_TICKS: usize = 400;

/// The timeline of one stream: a slider over its versions, the event there, what it changed, the state.
#[derive(Serialize)]
pub struct TimeMachine {
    stream: StreamId,
    /// How many events have happened at the moment shown; `None`: all of them, and each new one.
    at: Option<usize>,
    /// Those who are called by name where they did something.
    people: Vec<(UserId, String)>,
    locale: Locale,
    /// From the first on. The browser fetches them, once.
    #[serde(skip)]
    events: Vec<Stored>,
    #[serde(skip)]
    chain: Chain,
}

from_json! { TimeMachine { stream, at, people, locale; events, chain } }

impl TimeMachine {
    /// `at`: the version to stand at, the newest if absent.
    #[cfg(feature = "ssr")]
    pub fn new(stream: StreamId, at: Option<Version>, people: Vec<(UserId, String)>, locale: Locale) -> Self {
        let at = at.and_then(|at| usize::try_from(at.0).ok());
        Self { stream, at, people, locale, events: Vec::new(), chain: Chain::Unbroken }
    }

    /// How many events have happened at the moment shown, at least one.
    fn here(&self) -> usize {
        self.at.unwrap_or(usize::MAX).clamp(1, self.events.len().max(1))
    }

    /// Takes events as the API gives them, each version once, in order. Gives whether there are more.
    fn take(&mut self, json: &str) -> bool {
        if let Some(items) = Json::parse(json).and_then(|part| Vec::<Stored>::from_json(part.get("items")?)) {
            for event in items {
                // Two fetches may overlap.
                if event.version.0 == self.events.len() as u64 + 1 {
                    self.events.push(event);
                }
            }
            self.chain = verify(&self.events);
            return true;
        }
        false
    }
}

impl Part for TimeMachine {
    fn follows(&self) -> Vec<LiveQuery> {
        vec![LiveQuery::Stream(self.stream)]
    }

    fn reach(&self) -> u64 {
        self.events.last().map_or(0, |last| last.position.0)
    }

    #[cfg(feature = "hydrate")]
    fn begin(&self, stage: &std::rc::Rc<super::dom::Stage>) {
        browser::fetch(self.stream, stage.clone());
        let stage = stage.clone();
        let query = LiveQuery::Stream(self.stream).to_string();
        let stream = self.stream;
        crate::live::tab::listen(std::rc::Rc::new(move |news| {
            // What is new is read like the rest: as it was stored.
            if matches!(news, crate::live::tab::News::Rows(rows) if rows.query == query) {
                browser::fetch(stream, stage.clone());
            }
        }));
    }

    fn on_use(&mut self, what: &str, value: &str) -> bool {
        let to = match what {
            "events" => return self.take(value),
            "back" => self.here().saturating_sub(1),
            "next" => self.here() + 1,
            _ => value.parse().unwrap_or(1),
        };
        let to = to.clamp(1, self.events.len().max(1));
        // At the end one follows: new events are shown as they come.
        self.at = (to < self.events.len()).then_some(to);
        #[cfg(feature = "hydrate")]
        browser::address(to);
        true
    }

    fn draw(&self, html: &mut Html) {
        let here = self.here();
        let (earlier, rest) = self.events.split_at((here - 1).min(self.events.len()));
        let Some((last, _)) = rest.split_first() else { return };
        let before = replay(earlier);
        let after = after(&before, last);
        self.draw_seal(html);
        self.draw_scrubber(html, here, last);
        let reversed_by = self.events.iter().find(|event| event.reverses() == Some(last.event_id));
        let moment = Moment {
            event: last,
            before: &before,
            after: &after,
            previous: earlier.last(),
            reversed_by: reversed_by.map(|event| event.version),
        };
        self.draw_moment(html, &moment);
        let around = here.saturating_sub(AROUND)..(here + AROUND).min(self.events.len());
        self.draw_entries(html, self.events[around].iter().rev(), &moment);
    }
}

/// The state after an event; one that cannot be read changes nothing that is shown.
fn after(before: &State, event: &Stored) -> State {
    event.event().map_or_else(|| before.clone(), |event| evolve(before.clone(), &event))
}

/// An event of a stream with the states around it.
struct Moment<'a> {
    event: &'a Stored,
    before: &'a State,
    after: &'a State,
    /// The event before it.
    previous: Option<&'a Stored>,
    /// The entry that undid this one.
    reversed_by: Option<Version>,
}

impl TimeMachine {
    fn draw_moment(&self, html: &mut Html, moment: &Moment<'_>) {
        html.el("div", &[("class", "moments")], |html| {
            html.el("section", &[("class", "moment-event")], |html| {
                html.put("h2", &[], "What happened");
                self.draw_event(html, moment);
            });
            html.el("section", &[("class", "moment-change")], |html| {
                html.put("h2", &[], "What it changed");
                draw_changes(html, &changes(moment.before, moment.after, &self.locale));
            });
            html.el("section", &[("class", "moment-state")], |html| {
                html.put("h2", &[], "The state then");
                html.el("dl", &[("class", "facts")], |html| {
                    let facts = moment.after.facts(&self.locale).into_iter();
                    for (name, text, _) in facts.filter(|(_, text, _)| !text.is_empty()) {
                        fact(html, name, |html| html.text(&text));
                    }
                });
            });
        });
    }

    fn draw_seal(&self, html: &mut Html) {
        let count = self.locale.format_count(self.events.len() as u64);
        let (state, text) = match self.chain {
            Chain::Unbroken => ("ok", format!("{count} entries, chain verified in this browser")),
            Chain::Broken(version) => {
                ("broken", format!("The chain is broken at entry {version}: what is stored was changed"))
            }
            Chain::Hidden => ("checking", "Chain not checked: not all of it is yours to see".to_owned()),
        };
        html.el("p", &[("class", "seal"), ("data-state", state), ("role", "status")], |html| {
            icon(html, "M8 1.8 13 4v4c0 3-2.2 5.2-5 6.2C5.2 13.2 3 11 3 8V4zM5.5 8 7.3 9.8 10.7 6.3");
            html.put("span", &[], &text);
        });
    }

    fn draw_scrubber(&self, html: &mut Html, here: usize, last: &Stored) {
        let count = self.events.len();
        let (now, max) = (here.to_string(), count.to_string());
        let label = format!("Entry {here} of {count}");
        html.el("div", &[("class", "scrubber")], |html| {
            html.el("div", &[("class", "scrub-line")], |html| {
                html.el("svg", &[("class", "marks"), ("aria-hidden", "true")], |html| {
                    let past = format!("{}%", percent(here - 1, count));
                    for (class, end) in [("base", "100%"), ("past", past.as_str())] {
                        html.put("line", &[("class", class), ("x1", "0"), ("x2", end), ("y1", "16"), ("y2", "16")], "");
                    }
                    draw_ticks(html, &self.events, here);
                });
                let range = [("type", "range"), ("min", "1"), ("max", max.as_str()), ("value", now.as_str())];
                let named = [("aria-label", "Entry"), ("aria-valuetext", label.as_str()), ("data-do", "at")];
                html.open("input", &[range.as_slice(), &named].concat());
            });
            self.draw_tools(html, here, count, last.recorded_at);
        });
    }

    fn draw_tools(&self, html: &mut Html, here: usize, count: usize, recorded_at: i64) {
        html.el("div", &[("class", "scrub-tools")], |html| {
            for (what, text, to) in [("back", "Back", here.saturating_sub(1)), ("next", "Next", here + 1)] {
                let href = format!("?at={to}");
                let class = ("class", "button");
                if (1..=count).contains(&to) {
                    html.put("a", &[class, ("href", &href), ("data-do", what)], text);
                } else {
                    // Still reached by the keyboard: who has come to the end with it stays where they are.
                    html.put("a", &[class, ("role", "link"), ("aria-disabled", "true"), ("tabindex", "0")], text);
                }
            }
            html.put("output", &[], &format!("Entry {here} of {count}"));
            html.put("time", &[], &self.locale.format_moment(recorded_at));
        });
    }

    /// Who did it, by name where that is known.
    fn by(&self, who: Option<Actor>) -> String {
        let name = self.people.iter().find(|(id, _)| who == Some(Actor::User(*id)));
        name.map_or_else(|| actor(who), |(_, name)| name.clone())
    }

    fn draw_event(&self, html: &mut Html, moment: &Moment<'_>) {
        let last = moment.event;
        let words = say(last, moment.after.currency(), &self.locale);
        html.el("p", &[("class", "said")], |html| {
            mark(html, words.mark);
            html.text(&words.text);
            if let Some(note) = &words.note {
                html.put("span", &[("class", "quiet")], &format!(" · {note}"));
            }
        });
        html.el("dl", &[("class", "facts")], |html| {
            let by = self.by(last.actor());
            if !by.is_empty() {
                fact(html, "By", |html| html.text(&by));
            }
            fact(html, "Recorded", |html| html.text(&self.locale.format_moment(last.recorded_at)));
            fact(html, "Position", |html| html.text(&self.locale.format_count(last.position.0)));
            fact(html, "Type", |html| {
                html.put("span", &[("class", "code")], &format!("{} · {}", last.event_type, last.schema));
            });
            fact(html, "Hash", |html| id(html, "hash", &last.hash.to_string()));
            if let Some(previous) = moment.previous {
                fact(html, "Before it", |html| id(html, "hash", &previous.hash.to_string()));
            }
            fact(html, "Together with", |html| {
                link(html, "", &links::correlation(last.correlation_id), "all that this command led to");
            });
            if let Some(cause) = last.causation_id {
                // Transfers go back and forth between streams: what is not the event before it stands in another.
                let here = moment.previous.is_some_and(|previous| previous.event_id == cause);
                let words = if here { "the event before it" } else { "an event of another stream" };
                fact(html, "Because of", |html| link(html, "", &links::event(cause), words));
            }
            if let Some(reversed) = last.reverses() {
                fact(html, "Reverses", |html| link(html, "", &links::event(reversed), "an earlier entry"));
            }
            if let Some(by) = moment.reversed_by {
                fact(html, "Reversed by", |html| {
                    link(html, "", &links::moment(last.stream, by), &format!("entry {by}"));
                });
            }
        });
        html.el("details", &[("class", "switch")], |html| {
            html.put("summary", &[], "As stored");
            let metadata = last.metadata.as_deref().unwrap_or_default();
            html.put("pre", &[("class", "json"), ("tabindex", "0")], &format!("{}\n{metadata}", last.payload));
        });
    }

    /// `entries`: newest first.
    fn draw_entries<'a>(&self, html: &mut Html, entries: impl Iterator<Item = &'a Stored>, shown: &Moment<'_>) {
        let columns = [("ref", "Entry"), ("", "What happened"), ("date", "Recorded"), ("", "Hash")];
        html.el("section", &[("class", "section")], |html| {
            html.el("div", &[("class", "section-head")], |html| html.put("h2", &[], "Entries"));
            table(html, "ledger", "Entries of this stream, newest first", &columns, |html| {
                for event in entries {
                    let moment = links::moment(event.stream, event.version);
                    let class = if event.version == shown.event.version { "here" } else { "" };
                    row(html, u128::from(event.version.0), "", class, |html| {
                        cell_of(html, "ref", "side", |html| {
                            link(html, "moment", &moment, &format!("#{}", event.version));
                        });
                        cell_of(html, "what", "lead", |html| {
                            said(html, &say(event, shown.after.currency(), &self.locale), &moment);
                        });
                        cell(html, "date", "sub", &self.locale.format_moment(event.recorded_at));
                        cell_of(html, "", "end", |html| id(html, "hash", &event.hash.to_string()));
                    });
                }
            });
        });
    }
}

/// An event in words; one that this browser cannot read yet by its type.
fn say(event: &Stored, currency: Option<Currency>, locale: &Locale) -> Said {
    event.event().map_or_else(
        || Said { mark: Mark::Fix, text: event.event_type.clone(), note: None },
        |event| words::say_event(&event, currency, locale),
    )
}

fn draw_changes(html: &mut Html, changes: &[(&str, String, String, String)]) {
    html.el("table", &[("class", "change")], |html| {
        html.el("tbody", &[], |html| {
            for (name, was, now, by) in changes {
                html.el("tr", &[("data-changed", "1")], |html| {
                    html.put("th", &[("scope", "row")], name);
                    html.put("td", &[("class", "was")], was);
                    html.put("td", &[("class", "to"), ("aria-label", "becomes")], "→");
                    html.el("td", &[("class", "now")], |html| {
                        html.text(now);
                        html.put("span", &[("class", "by")], by);
                    });
                });
            }
        });
    });
}

/// Where the `index`-th of `count` stands on the line, in percent, two decimals.
fn percent(index: usize, count: usize) -> String {
    let hundredths = index * 10_000 / count.saturating_sub(1).max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// One tick an event, by its kind.
fn draw_ticks(html: &mut Html, events: &[Stored], here: usize) {
    let step = events.len().div_ceil(MOST_TICKS).max(1);
    for (index, event) in events.iter().enumerate().step_by(step) {
        let (kind, from, to) = match event.event_type.as_str() {
            "account.money_deposited" | "account.transfer_credited" => ("in", "6", "16"),
            "account.money_withdrawn" | "account.hold_captured" => ("out", "16", "26"),
            "account.account_opened" => ("open", "4", "28"),
            name if name.ends_with("declined") || name.ends_with("failed") => ("stop", "9", "23"),
            name if name.contains("hold") || name.contains("held") || name.contains("transfer") => ("move", "9", "23"),
            _ => ("fix", "11", "21"),
        };
        let class = match (index + 1).cmp(&here) {
            std::cmp::Ordering::Less => "tick",
            std::cmp::Ordering::Equal => "tick here",
            std::cmp::Ordering::Greater => "tick ahead",
        };
        let x = format!("{}%", percent(index, events.len()));
        let line = [("class", class), ("data-kind", kind), ("x1", &x), ("x2", &x), ("y1", from), ("y2", to)];
        html.put("line", &line, "");
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use std::rc::Rc;

    use leptos::{
        prelude::window,
        wasm_bindgen::{JsCast, JsValue},
    };
    use wasm_bindgen_futures::{JsFuture, spawn_local};

    use super::StreamId;
    use crate::islands::dom::Stage;

    /// Fetches all events that are not here yet, and hands them to the part as they come.
    pub(super) fn fetch(stream: StreamId, stage: Rc<Stage>) {
        spawn_local(async move {
            loop {
                let after = stage.reach();
                let url = format!("/api/v1/streams/{stream}?limit=500&after={after}");
                let Some(json) = text(&url).await else { return };
                stage.used("events", &json);
                if stage.reach() == after {
                    return;
                }
            }
        });
    }

    async fn text(url: &str) -> Option<String> {
        let answer: web_sys::Response = JsFuture::from(window().fetch_with_str(url)).await.ok()?.unchecked_into();
        JsFuture::from(answer.text().ok()?).await.ok()?.as_string()
    }

    /// The address of this moment, to be shared.
    pub(super) fn address(at: usize) {
        if let Ok(history) = window().history() {
            history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("?at={at}"))).ok();
        }
    }
}
