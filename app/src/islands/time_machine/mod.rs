//! A stream's life, replayed in the browser with the ledger's own code: any moment, its state and what it changed.

mod replay;

use leptos::{either::Either, prelude::*};

use self::replay::{Chain, Stored, changes, evolve, replay, verify};
use super::{
    events::actor,
    ledger::{Cell, Piece, Row, draw, icon, mark_icon, short_id, table},
};
use crate::{
    domain::UserId,
    links,
    locale::Locale,
    wire::{Position, StreamId, Version},
    words::{self, Mark, Said},
};

/// As many entries are listed on either side of the one that is shown.
const AROUND: usize = 50;
/// More ticks than this cannot be told apart.
const MOST_TICKS: usize = 400;

/// The timeline of one stream. `children`: what the server shows of the moment `at` (`?at=`, the newest if absent), until
/// the events are here, and without JavaScript. `me`: the viewer, called by name where they did something.
#[island]
pub fn TimeMachine(
    children: Children,
    stream: StreamId,
    #[prop(optional)] at: Option<Version>,
    me: (UserId, String),
    position: Position,
    locale: Locale,
) -> impl IntoView {
    let events = RwSignal::new(Vec::<Stored>::new());
    // How many events have happened at the moment shown; all of them while following the newest.
    let chosen = RwSignal::new(at.and_then(|at| usize::try_from(at.0).ok()));
    #[cfg(feature = "hydrate")]
    browser::follow(stream, position, events);
    #[cfg(not(feature = "hydrate"))]
    drop((stream, position));

    let loaded = Memo::new(move |_| events.with(|events| !events.is_empty()));
    let mut waiting = Some(children);
    move || {
        if loaded.get() {
            Either::Left(machine(events, chosen, me.clone(), locale))
        } else {
            Either::Right(waiting.take().map(|children| children()))
        }
    }
}

fn machine(
    events: RwSignal<Vec<Stored>>,
    chosen: RwSignal<Option<usize>>,
    me: (UserId, String),
    locale: Locale,
) -> impl IntoView {
    let count = Memo::new(move |_| events.with(Vec::len));
    let at = Memo::new(move |_| chosen.get().unwrap_or(usize::MAX).clamp(1, count.get().max(1)));
    let choose = move |to: usize| {
        // At the end one follows: new events are shown as they come.
        chosen.set((to < count.get_untracked()).then_some(to));
        #[cfg(feature = "hydrate")]
        browser::address(to);
    };
    let seal = Memo::new(move |_| events.with(|events| verify(events)));
    let moment = Memo::new(move |_| {
        let at = at.get();
        events.with(|events| Moment::new(&events[..at.min(events.len())], &me, &locale))
    });
    let entries = Memo::new(move |_| {
        let at = at.get();
        events.with(|events| {
            let range = at.saturating_sub(AROUND)..(at + AROUND).min(events.len());
            let currency = replay(&events[..1.min(events.len())]).currency();
            events[range].iter().rev().map(|event| entry_row(event, currency, at, &locale)).collect()
        })
    });
    let ticks = Memo::new(move |_| events.with(|events| ticks(events)));
    let past = move || format!("{}%", percent(at.get() - 1, count.get()));

    view! {
        <p class="seal" data-state=move || match seal.get() {
            Chain::Unbroken => "ok",
            Chain::Broken(_) => "broken",
            Chain::Hidden => "checking",
        }>
            <span inner_html=icon("M8 1.8 13 4v4c0 3-2.2 5.2-5 6.2C5.2 13.2 3 11 3 8V4zM5.5 8 7.3 9.8 10.7 6.3")></span>
            {move || match seal.get() {
                Chain::Unbroken => format!("{} entries, chain verified in this browser", locale.format_count(count.get() as u64)),
                Chain::Broken(version) => format!("The chain is broken at entry {version}: what is stored was changed"),
                Chain::Hidden => "Chain not checked: not all of it is yours to see".to_owned(),
            }}
        </p>
        <div class="scrubber">
            <div class="scrub-line">
                <svg class="marks" aria-hidden="true">
                    <line class="base" x1="0" x2="100%" y1="16" y2="16"></line>
                    <line class="past" x1="0" x2=past y1="16" y2="16"></line>
                    <g inner_html=move || ticks.get()></g>
                </svg>
                <input
                    type="range"
                    min="1"
                    max=move || count.get().to_string()
                    prop:value=move || at.get().to_string()
                    aria-label="Entry"
                    aria-valuetext=move || format!("Entry {} of {}", at.get(), count.get())
                    on:input=move |event| choose(event_target_value(&event).parse().unwrap_or(1))
                />
            </div>
            <div class="scrub-tools">
                <button class="button" type="button" on:click=move |_| choose(at.get_untracked().saturating_sub(1).max(1))>"Back"</button>
                <button class="button" type="button" on:click=move |_| choose((at.get_untracked() + 1).min(count.get_untracked()))>"Next"</button>
                <output>{move || format!("Entry {} of {}", at.get(), count.get())}</output>
                <time>{move || moment.with(|moment| moment.recorded.clone())}</time>
            </div>
        </div>
        <div class="moments">
            <section class="moment-event">
                <h2>"What happened"</h2>
                <p class="said">
                    {move || moment.with(|moment| {
                        let note = moment.said.note.as_ref().map(|note| format!(" · {note}"));
                        view! {
                            <span class="mark" data-kind=moment.said.mark.kind() inner_html=mark_icon(moment.said.mark)></span>
                            {moment.said.text.clone()}
                            <span class="quiet">{note}</span>
                        }
                    })}
                </p>
                <dl class="facts">{move || moment.with(|moment| facts(&moment.about))}</dl>
                <details class="switch">
                    <summary>"As stored"</summary>
                    <pre class="json" tabindex="0">{move || moment.with(|moment| moment.stored.clone())}</pre>
                </details>
            </section>
            <section class="moment-change">
                <h2>"What it changed"</h2>
                <table class="change">
                    <tbody>
                        {move || moment.with(|moment| moment.changed.iter().cloned().map(|(name, was, now, by)| view! {
                            <tr data-changed="">
                                <th scope="row">{name}</th>
                                <td class="was">{was}</td>
                                <td class="to" aria-label="becomes">"→"</td>
                                <td class="now">{now}<span class="by">{by}</span></td>
                            </tr>
                        }).collect::<Vec<_>>())}
                    </tbody>
                </table>
            </section>
            <section class="moment-state">
                <h2>"The state then"</h2>
                <dl class="facts">{move || moment.with(|moment| facts(&moment.state))}</dl>
            </section>
        </div>
        <section class="section">
            <div class="section-head"><h2>"Entries"</h2></div>
            {table(
                "ledger",
                "Entries of this stream, newest first".to_owned(),
                [("ref", "Entry"), ("", "What happened"), ("date", "Recorded"), ("", "Hash")]
                    .into_iter()
                    .map(|(class, title)| (class, title.to_owned()))
                    .collect(),
                entries,
            )}
        </section>
    }
}

/// All that is shown of one moment.
#[derive(Clone, PartialEq)]
struct Moment {
    said: Said,
    recorded: String,
    about: Vec<(&'static str, Piece)>,
    stored: String,
    changed: Vec<(&'static str, String, String, String)>,
    state: Vec<(&'static str, Piece)>,
}

impl Moment {
    /// The moment after the last of `events`, of which there is at least one.
    fn new(events: &[Stored], me: &(UserId, String), locale: &Locale) -> Self {
        let (last, earlier) = events.split_last().map_or((None, events), |(last, earlier)| (Some(last), earlier));
        let before = replay(earlier);
        let event = last.and_then(Stored::event);
        let after = event.as_ref().map_or_else(|| before.clone(), |event| evolve(before.clone(), event));
        let mut about = Vec::new();
        let mut stored = String::new();
        if let Some(last) = last {
            let by = last.metadata().map(|metadata| metadata.actor);
            let by = if by == Some(crate::wire::Actor::User(me.0)) { me.1.clone() } else { actor(by) };
            let related = format!("/timeline?correlation={}", last.correlation_id);
            about = vec![
                ("By", Piece::text(by)),
                ("Recorded", Piece::text(format!("{} UTC", locale.format_moment(last.recorded_at)))),
                ("Position", Piece::text(locale.format_count(last.position.0))),
                ("Type", Piece::text(format!("{} · {}", last.event_type, last.schema))),
                ("Hash", hash(&last.hash.to_string())),
                ("Together with", Piece::link("", "all that this command led to", related)),
            ];
            if let Some(previous) = earlier.last() {
                about.insert(5, ("Before it", hash(&previous.hash.to_string())));
            }
            if let Some(cause) = last.causation_id {
                about.push((
                    "Because of",
                    Piece::link("id", short_id(&cause.to_string()), format!("/timeline?event={cause}")),
                ));
            }
            stored = format!("{}\n\n{}", last.payload, last.metadata.as_ref().map_or("", |metadata| metadata.get()));
        }
        let said = event.map_or_else(
            || Said { mark: Mark::Fix, text: last.map(|last| last.event_type.clone()).unwrap_or_default(), note: None },
            |event| words::say_event(&event, after.currency(), locale),
        );
        Self {
            said,
            recorded: last.map(|last| locale.format_moment(last.recorded_at)).unwrap_or_default(),
            about,
            stored,
            changed: changes(&before, &after, locale),
            state: after.facts(locale).into_iter().map(|(name, text, _)| (name, Piece::text(text))).collect(),
        }
    }
}

fn hash(full: &str) -> Piece {
    Piece::Span { class: "hash", text: short_id(full), title: Some(full.to_owned()), state: None }
}

fn facts(facts: &[(&'static str, Piece)]) -> Vec<impl IntoView + use<>> {
    facts.iter().cloned().map(|(name, value)| view! { <div><dt>{name}</dt><dd>{draw(value)}</dd></div> }).collect()
}

fn entry_row(event: &Stored, currency: Option<crate::domain::Currency>, at: usize, locale: &Locale) -> Row {
    let said = event.event().map_or_else(
        || Said { mark: Mark::Fix, text: event.event_type.clone(), note: None },
        |event| words::say_event(&event, currency, locale),
    );
    let moment = links::moment(event.stream, event.version);
    let mut what = vec![Piece::Mark(said.mark), Piece::link("", said.text, moment.clone())];
    what.extend(said.note.map(|note| Piece::note("note", note)));
    Row {
        key: u128::from(event.version.0),
        id: None,
        class: if usize::try_from(event.version.0) == Ok(at) { "here" } else { "" },
        cells: vec![
            Cell::new("ref", "side", vec![Piece::link("moment", format!("#{}", event.version), moment)]),
            Cell::new("what", "lead", what),
            Cell::text("date", "sub", locale.format_moment(event.recorded_at)),
            Cell::new("", "end", vec![hash(&event.hash.to_string())]),
        ],
    }
}

/// Where the `index`-th of `count` stands on the line, in percent, two decimals.
fn percent(index: usize, count: usize) -> String {
    let hundredths = index * 10_000 / count.saturating_sub(1).max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// One tick an event, by its kind.
fn ticks(events: &[Stored]) -> String {
    let step = events.len().div_ceil(MOST_TICKS).max(1);
    let mut svg = String::new();
    for (index, event) in events.iter().enumerate().step_by(step) {
        let (kind, from, to) = match event.event_type.as_str() {
            "account.money_deposited" | "account.transfer_credited" => ("in", 6, 16),
            "account.money_withdrawn" | "account.hold_captured" => ("out", 16, 26),
            "account.account_opened" => ("open", 4, 28),
            name if name.ends_with("declined") || name.ends_with("failed") => ("stop", 9, 23),
            name if name.contains("hold") || name.contains("held") || name.contains("transfer") => ("move", 9, 23),
            _ => ("fix", 11, 21),
        };
        let x = percent(index, events.len());
        svg.push_str(&format!(
            "<line class=\"tick\" data-kind=\"{kind}\" x1=\"{x}%\" x2=\"{x}%\" y1=\"{from}\" y2=\"{to}\"/>"
        ));
    }
    svg
}

#[cfg(feature = "hydrate")]
mod browser {
    use leptos::{
        prelude::*,
        wasm_bindgen::{JsCast, JsValue},
    };
    use serde::Deserialize;
    use wasm_bindgen_futures::{JsFuture, spawn_local};

    use super::{Position, Stored, StreamId};
    use crate::{live::browser as tab, wire::LiveQuery};

    #[derive(Deserialize)]
    struct Part {
        items: Vec<Stored>,
        #[serde(default)]
        next: Option<String>,
    }

    /// Fetches the stream's events once, and new ones as they come.
    pub(super) fn follow(stream: StreamId, position: Position, events: RwSignal<Vec<Stored>>) {
        fetch(stream, events);
        // What is new is read like the rest, as it was stored.
        tab::follow(LiveQuery::Stream(stream).to_string(), position, Box::new(move |_, _| fetch(stream, events)));
    }

    fn fetch(stream: StreamId, events: RwSignal<Vec<Stored>>) {
        spawn_local(async move {
            loop {
                let after = events.with_untracked(|events| events.last().map_or(0, |last| last.position.0));
                let url = format!("/api/v1/streams/{stream}?limit=500&after={after}");
                let Some(part) = part(&url).await else { return };
                let more = part.next.is_some();
                events.update(|events| {
                    for event in part.items {
                        // Two fetches may overlap: each version is taken once, in order.
                        if event.version.0 == events.len() as u64 + 1 {
                            events.push(event);
                        }
                    }
                });
                if !more {
                    return;
                }
            }
        });
    }

    async fn part(url: &str) -> Option<Part> {
        let answer: web_sys::Response = JsFuture::from(window().fetch_with_str(url)).await.ok()?.unchecked_into();
        let text = JsFuture::from(answer.text().ok()?).await.ok()?.as_string()?;
        serde_json::from_str(&text).ok()
    }

    /// The address of this moment, to be shared.
    pub(super) fn address(at: usize) {
        if let Ok(history) = window().history() {
            let url = format!("?at={at}");
            history.replace_state_with_url(&JsValue::NULL, "", Some(&url)).ok();
        }
    }
}
