//! One tab's part: what it wants to be told, and what it is told, by whichever tab holds the stream.
//!
//! All tabs of a browser share one stream, since a browser allows six connections to a host over HTTP/1.1. Tabs talk on
//! a `BroadcastChannel`; each message is a text, its kind in the first line:
//!
//! ```text
//! want\n<tab>\n<position>\n<query>…   this tab shows these queries, all seen up to the position
//! bye\n<tab>                          this tab closes
//! who                                 every tab: say again what you want
//! state\n<live|behind|reconnecting|offline HH:MM>
//! rows\n<position>\n<JSON>            a `wire::Rows`; all queries of the stream are seen up to the position
//! seen\n<position>
//! left\n<query>…                     the stream has no room for these
//! end\n<signed_out|expired>
//! ```

use std::{cell::RefCell, rc::Rc};

use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, JsValue, closure::Closure},
};
use web_sys::{BroadcastChannel, Element, MessageEvent};

use super::{State, leader};
use crate::{
    links,
    wire::{ArrivedRows, Position},
};

/// What a part of the page is told.
pub(crate) enum News<'a> {
    Rows(&'a ArrivedRows<'a>),
    State(&'a State),
    /// [`position`] has grown.
    Seen,
    /// The session has run out, and the page stays since something was typed.
    Expired,
}

/// Is told all news; what does not concern it, it leaves.
pub(crate) type Listener = Rc<dyn Fn(&News<'_>)>;

struct Tab {
    id: String,
    queries: Vec<String>,
    listeners: Vec<Listener>,
    state: State,
    /// The stream has no room for some of the queries.
    crowded: bool,
    position: Position,
    /// A part has said where the page stands.
    placed: bool,
    channel: Option<BroadcastChannel>,
    started: bool,
}

thread_local! {
    static TAB: RefCell<Tab> = RefCell::new(Tab {
        id: format!("{:x}", js_sys::Math::random().to_bits()),
        queries: Vec::new(),
        listeners: Vec::new(),
        state: State::Connecting,
        crowded: false,
        position: Position(0),
        placed: false,
        channel: None,
        started: false,
    });
}

fn with<R>(f: impl FnOnce(&mut Tab) -> R) -> R {
    TAB.with_borrow_mut(f)
}

/// What all live queries of this page have seen.
pub(crate) fn position() -> Position {
    with(|tab| tab.position)
}

/// Takes part in the stream: `queries` from `from` on, which is where this page stands, are told to `listener`.
pub(crate) fn follow(queries: Vec<String>, from: Position, listener: Listener) {
    let first = with(|tab| {
        // Parts of one page are rendered at one position; should they differ, the lowest misses nothing.
        // What follows nothing stands nowhere.
        if from != Position(u64::MAX) {
            tab.position = if tab.placed { tab.position.min(from) } else { from };
            tab.placed = true;
        }
        tab.queries.extend(queries);
        tab.listeners.push(listener);
        !std::mem::replace(&mut tab.started, true)
    });
    if first {
        // After the other parts of this page have said what they follow.
        set_timeout(join, std::time::Duration::ZERO);
    }
}

/// Is told the state and the position, and nothing else.
pub(crate) fn listen(listener: Listener) {
    with(|tab| tab.listeners.push(listener));
}

fn told(news: &News<'_>) {
    // Copied first: a listener may well ask this tab something.
    let listeners = with(|tab| tab.listeners.clone());
    for listener in listeners {
        listener(news);
    }
}

fn join() {
    if let Ok(channel) = BroadcastChannel::new("daybook-live") {
        let heard = Closure::<dyn Fn(MessageEvent)>::new(|event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                hear(&text);
                leader::hear(&text);
            }
        });
        channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        heard.forget();
        with(|tab| tab.channel = Some(channel));
        window_event("pagehide", || say(&format!("bye\n{}", with(|tab| tab.id.clone()))));
        // Back from the browser's own cache of pages: what was missed meanwhile is asked for again.
        window_event("pageshow", || say(&want()));
        say(&want());
    }
    window_event("offline", || set_state(State::Offline(clock())));
    window_event("online", || {
        set_state(State::Reconnecting);
        leader::reconnect_now();
    });
    leader::stand(with(|tab| tab.channel.is_some()));
}

/// This tab's `want`.
pub(super) fn want() -> String {
    with(|tab| {
        let mut text = format!("want\n{}\n{}", tab.id, tab.position);
        for query in &tab.queries {
            text.push('\n');
            text.push_str(query);
        }
        text
    })
}

/// Tells the other tabs.
pub(super) fn say(text: &str) {
    if let Some(channel) = with(|tab| tab.channel.clone()) {
        // Fails only on a closed channel, which this one never is.
        channel.post_message(&JsValue::from_str(text)).ok();
    }
}

/// Tells every tab, this one too.
pub(super) fn tell(text: &str) {
    hear(text);
    say(text);
}

fn hear(text: &str) {
    let (kind, rest) = text.split_once('\n').unwrap_or((text, ""));
    match kind {
        "who" => say(&want()),
        "state" => set_state(match rest.split_once(' ').unwrap_or((rest, "")) {
            ("live", _) if with(|tab| tab.crowded) => State::Crowded,
            ("live", _) => State::Live,
            ("behind", _) => State::Behind,
            ("offline", since) => State::Offline(since.to_owned()),
            _ => State::Reconnecting,
        }),
        "rows" => {
            if let Some((position, json)) = rest.split_once('\n') {
                show(json);
                seen(position);
            }
        }
        "seen" => seen(rest),
        "left" => with(|tab| tab.crowded = rest.split('\n').any(|left| tab.queries.iter().any(|query| query == left))),
        // Its answer says what is next.
        "end" if form_with("aria-busy").is_some() => {}
        "end" if rest == "signed_out" => go(links::SIGN_IN),
        // What was typed is worth more than being told at once.
        "end" if typed().is_some() => told(&News::Expired),
        "end" => go(&sign_in_address()),
        _ => {}
    }
}

fn show(json: &str) {
    if let Some(rows) = ArrivedRows::read(json) {
        // One query may be further than all of them, and another node behind it: that one is to show nothing older.
        remember(rows.position);
        told(&News::Rows(&rows));
    }
}

fn seen(position: &str) {
    if let Ok(now) = position.parse::<Position>()
        && with(|tab| {
            let newer = tab.position < now;
            tab.position = tab.position.max(now);
            newer
        })
    {
        remember(now);
        told(&News::Seen);
    }
}

/// Keeps the highest position that this browser has seen in its cookie, which later pages wait for.
pub(crate) fn remember(position: Position) {
    let Some(document) = document().dyn_ref::<web_sys::HtmlDocument>().cloned() else { return };
    let known = document.cookie().unwrap_or_default();
    let known = known.split([';', ' ']).find_map(|cookie| cookie.strip_prefix("daybook_seen=")?.parse::<u64>().ok());
    if known < Some(position.0) {
        let secure = if window().location().protocol().as_deref() == Ok("https:") { "; Secure" } else { "" };
        document.set_cookie(&format!("daybook_seen={position}; Path=/; SameSite=Lax{secure}")).ok();
    }
}

fn set_state(state: State) {
    let now = with(|tab| tab.state.clone());
    // Without a network there is nothing to reconnect to, whatever the leader still tries.
    let lost = state == State::Reconnecting && !window().navigator().on_line();
    let state = if lost { State::Offline(clock()) } else { state };
    // There is more than one way to go offline: the first one's clock stays.
    let still_offline = matches!((&now, &state), (State::Offline(_), State::Offline(_)));
    if now != state && !still_offline {
        with(|tab| tab.state = state.clone());
        told(&News::State(&state));
    }
}

/// The reader's clock: "14:02".
pub(crate) fn clock() -> String {
    let now = js_sys::Date::new_0();
    format!("{:02}:{:02}", now.get_hours(), now.get_minutes())
}

/// Marks a form in which something was typed that was not sent yet.
pub(crate) const TYPED: &str = "data-typed";

/// The form of this page in which something was typed.
pub(crate) fn typed() -> Option<Element> {
    form_with(TYPED)
}

fn form_with(attribute: &str) -> Option<Element> {
    document().query_selector(&format!("form[{attribute}]")).ok()?
}

/// Where one signs in and comes back here.
pub(crate) fn sign_in_address() -> String {
    let here = window().location();
    let here = here.pathname().unwrap_or_default() + &here.search().unwrap_or_default();
    format!("{}?next={}", links::SIGN_IN, String::from(js_sys::encode_uri_component(&here)))
}

/// Leaves for another page.
pub(crate) fn go(path: &str) {
    window().location().assign(path).ok();
}

pub(crate) fn window_event(name: &str, handler: impl Fn() + 'static) {
    let handler = Closure::<dyn Fn()>::new(handler);
    window().add_event_listener_with_callback(name, handler.as_ref().unchecked_ref()).ok();
    handler.forget();
}
