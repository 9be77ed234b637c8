//! The one tab that holds the stream for all tabs of its browser, for as long as it holds a Web Lock.
//!
//! Before it opens the stream it asks every tab what it wants, and begins where the one that has seen least stands: an
//! update that comes twice changes nothing. It reconnects by itself, later and later, and at once when the network is
//! back. Where locks or channels are missing, each tab leads itself.

use std::{cell::RefCell, time::Duration};

use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, JsValue, closure::Closure},
};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{EventSource, MessageEvent, RequestInit, Response};

use super::tab::{clock, say, tell, want};

/// As many queries as one stream may have.
const MOST_QUERIES: usize = 64;
/// Tabs answer within this time.
const ASKING: Duration = Duration::from_millis(60);
/// The server says something every 15 s: silence for longer than this is a dead connection.
const SILENCE_MS: f64 = 40_000.0;
/// A shorter break is no reason to say "offline".
const SHORT_BREAK_MS: f64 = 10_000.0;

#[derive(Default)]
struct Leader {
    leading: bool,
    wants: Vec<Want>,
    source: Option<EventSource>,
    /// Between asking the tabs and opening.
    asking: bool,
    /// Queries that the stream has no room for.
    left: Vec<String>,
    failures: u32,
    /// The session that the stream belonged to was ended; this browser may have another by now, or be given one just now.
    signed_out: bool,
    /// Since when there is no stream (the reader's clock, and milliseconds).
    broken: Option<(String, f64)>,
    heard_at: f64,
    /// Said last, for tabs that come later.
    state: String,
    listener: Option<Closure<dyn Fn(MessageEvent)>>,
}

/// What a tab wants: where it stands, and its queries.
struct Want {
    tab: String,
    position: u64,
    queries: Vec<String>,
}

impl Leader {
    /// In place of what the same tab wanted before.
    fn note(&mut self, want: Want) {
        self.wants.retain(|known| known.tab != want.tab);
        self.wants.push(want);
    }
}

thread_local! {
    static LEADER: RefCell<Leader> = RefCell::default();
}

fn with<R>(f: impl FnOnce(&mut Leader) -> R) -> R {
    LEADER.with_borrow_mut(f)
}

/// Waits for the lock and then leads. Without locks or without a channel to other tabs, leads at once.
pub(super) fn stand(channel: bool) {
    let locks = js_sys::Reflect::get(&window().navigator(), &"locks".into()).ok().filter(JsValue::is_object);
    let request = locks.as_ref().and_then(|locks| js_sys::Reflect::get(locks, &"request".into()).ok());
    let (Some(locks), Some(request), true) =
        (locks, request.and_then(|f| f.dyn_into::<js_sys::Function>().ok()), channel)
    else {
        return lead();
    };
    let granted = Closure::once_into_js(|| {
        lead();
        // Held until the tab is gone: this promise never ends.
        js_sys::Promise::new(&mut |_, _| {})
    });
    if request.call2(&locks, &"daybook-live".into(), &granted).is_err() {
        lead();
    }
}

fn lead() {
    with(|leader| leader.leading = true);
    ask();
    set_interval(watch, Duration::from_secs(10));
}

/// Messages of other tabs that concern the leader.
pub(super) fn hear(text: &str) {
    if !with(|leader| leader.leading) {
        return;
    }
    let mut lines = text.split('\n');
    match (lines.next(), lines.next()) {
        (Some("want"), Some(tab)) => {
            let position = lines.next().and_then(|position| position.parse().ok()).unwrap_or(0);
            let queries: Vec<String> = lines.map(str::to_owned).collect();
            let new = with(|leader| {
                let known = queries.iter().all(|query| leader.wants.iter().any(|want| want.queries.contains(query)));
                // Asked for by `who`, or already told all that came since: nothing to do.
                let up_to_date = super::tab::position().0 <= position;
                leader.note(Want { tab: tab.to_owned(), position, queries });
                !(leader.asking || known && up_to_date)
            });
            if new {
                ask();
            } else {
                say(&left());
                say(&with(|leader| leader.state.clone()));
            }
        }
        (Some("bye"), Some(tab)) => {
            let room = with(|leader| {
                leader.wants.retain(|want| want.tab != tab);
                !leader.left.is_empty()
            });
            if room {
                ask();
            }
        }
        _ => {}
    }
}

/// The network is back: no need to wait any longer.
pub(super) fn reconnect_now() {
    if with(|leader| leader.leading) {
        ask();
    }
}

/// Asks all tabs what they want, then opens the stream.
fn ask() {
    let asked = with(|leader| {
        leader.wants.clear();
        std::mem::replace(&mut leader.asking, true)
    });
    if !asked {
        say("who");
        set_timeout(open, ASKING);
    }
}

fn open() {
    let own = want();
    let url = with(|leader| {
        leader.asking = false;
        let mut lines = own.split('\n').skip(1).map(str::to_owned);
        let tab = lines.next().unwrap_or_default();
        let position = lines.next().and_then(|position| position.parse().ok()).unwrap_or(0);
        leader.note(Want { tab, position, queries: lines.collect() });

        let from = leader.wants.iter().map(|want| want.position).min().unwrap_or(0);
        let mut queries: Vec<&str> = Vec::new();
        for query in leader.wants.iter().flat_map(|want| &want.queries) {
            if !queries.contains(&query.as_str()) {
                queries.push(query);
            }
        }
        // A page with nothing alive on it still hears how it stands, and of its session's end.
        if queries.is_empty() {
            queries.push("accounts");
        }
        let left = queries.split_off(queries.len().min(MOST_QUERIES)).into_iter().map(str::to_owned).collect();
        // Queries are made of letters, digits, `:` and `-`: nothing to escape.
        let url = queries.iter().fold(format!("/live?from={from}"), |url, query| format!("{url}&q={query}"));
        leader.left = left;
        url
    });
    // Before any state: with some left out, "live" is not the whole truth.
    tell(&left());
    close();
    let Ok(source) = EventSource::new(&url) else { return failed(None) };
    with(|leader| {
        let listener = leader.listener.get_or_insert_with(|| Closure::new(|event: MessageEvent| on_event(&event)));
        for kind in ["open", "rows", "position", "behind", "end", "error"] {
            source.add_event_listener_with_callback(kind, listener.as_ref().unchecked_ref()).ok();
        }
        leader.heard_at = js_sys::Date::now();
        leader.source = Some(source);
    });
}

fn on_event(event: &MessageEvent) {
    // An event of a source that was closed meanwhile says nothing any more.
    let current = with(|leader| {
        let current =
            leader.source.as_ref().is_some_and(|source| event.target().as_ref() == Some(source.unchecked_ref()));
        if current {
            leader.heard_at = js_sys::Date::now();
        }
        current
    });
    if !current {
        return;
    }
    // `undefined` on "open" and "error", which are no messages.
    let text = |name: &str| {
        js_sys::Reflect::get(event, &name.into()).ok().and_then(|text| text.as_string()).unwrap_or_default()
    };
    match event.type_().as_str() {
        "open" => {
            with(|leader| {
                leader.failures = 0;
                leader.broken = None;
                leader.signed_out = false;
            });
            tell_state("live");
        }
        "rows" => tell(&format!("rows\n{}\n{}", text("lastEventId"), text("data"))),
        "position" => {
            tell_state("live");
            tell(&format!("seen\n{}", text("data")));
        }
        "behind" => tell_state("behind"),
        "end" => match text("data").as_str() {
            // The cookie has been renewed meanwhile, or the next try says that it was not.
            why @ ("signed_out" | "expired") => {
                close();
                with(|leader| {
                    leader.signed_out = why == "signed_out";
                    leader.failures = 0;
                });
                ask();
            }
            _ => failed(None),
        },
        _ => {
            // Closed for good: the server answered, and not with a stream.
            let source = with(|leader| leader.source.clone());
            failed(source.filter(|source| source.ready_state() == 2).map(|source| source.url()));
        }
    }
}

/// Tries again later. `refused`: an address that the server answered otherwise; it is asked why.
fn failed(refused: Option<String>) {
    close();
    let (failures, state) = with(|leader| {
        leader.failures += 1;
        let (since, broken_at) = leader.broken.get_or_insert_with(|| (clock(), js_sys::Date::now())).clone();
        let short = js_sys::Date::now() - broken_at < SHORT_BREAK_MS;
        (leader.failures, if short { "reconnecting".to_owned() } else { format!("offline {since}") })
    });
    tell_state(&state);
    // 0.5 s, 1 s, 2 s … 30 s, each give or take a half: a thousand browsers do not come back in one moment.
    let longest = f64::from(1u32 << failures.min(7)) / 4.0;
    let delay = longest.min(30.0) * (0.5 + js_sys::Math::random());
    set_timeout(
        || {
            if with(|leader| leader.source.is_none()) {
                ask();
            }
        },
        Duration::from_secs_f64(delay),
    );
    if let Some(url) = refused {
        spawn_local(ask_why(url));
    }
}

/// An `EventSource` does not say why it was refused.
async fn ask_why(url: String) {
    let options = RequestInit::new();
    options.set_method("HEAD");
    if let Ok(answer) = JsFuture::from(window().fetch_with_str_and_init(&url, &options)).await {
        let status = answer.unchecked_into::<Response>().status();
        match status {
            // A new password comes with a new session, whose cookie may be on its way: one more try.
            401 if with(|leader| leader.signed_out && leader.failures < 2) => {}
            401 if with(|leader| leader.signed_out) => tell("end\nsigned_out"),
            401 => tell("end\nexpired"),
            404 => tell("end\nsigned_out"),
            _ => {}
        }
    }
}

fn left() -> String {
    format!("left\n{}", with(|leader| leader.left.join("\n")))
}

fn tell_state(state: &str) {
    let text = format!("state\n{state}");
    with(|leader| leader.state.clone_from(&text));
    tell(&text);
}

fn close() {
    if let Some(source) = with(|leader| leader.source.take()) {
        source.close();
    }
}

/// Notices a connection that died without a word.
fn watch() {
    let dead = with(|leader| leader.source.is_some() && js_sys::Date::now() - leader.heard_at > SILENCE_MS);
    if dead {
        failed(None);
    }
}
