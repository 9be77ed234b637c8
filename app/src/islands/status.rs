//! In the head of every page: how this browser stands with the server, and the choice of light or dark.

use leptos::prelude::*;

use crate::{
    live::{self, State},
    wire::Position,
};

/// "live", "reconnecting", "offline since 14:02". Also renews the session while this tab is in use, and makes the page's
/// copy buttons work (`<button class="copy" data-copy="…">`).
///
/// `seen`: the position that this page shows; `expires_at`: when the session's token runs out, microseconds since 1970.
#[island]
pub fn LiveState(seen: Position, expires_at: i64) -> impl IntoView {
    let state = live::state();
    #[cfg(feature = "hydrate")]
    {
        live::start(seen);
        super::session::keep(expires_at);
        super::session::copy_buttons();
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (seen, expires_at);
    let (kind, more) = (state.clone(), state);
    let kind = move || match kind.get() {
        State::Live => "live",
        State::Behind => "behind",
        State::Connecting | State::Reconnecting => "reconnecting",
        State::Offline(_) => "offline",
    };
    let word = {
        let state = more.clone();
        move || match state.get() {
            State::Live => "live",
            State::Behind => "behind",
            State::Connecting => "connecting",
            State::Reconnecting => "reconnecting",
            State::Offline(_) => "offline",
        }
    };
    let more = move || match more.get() {
        State::Offline(since) => format!(" since {since}"),
        State::Connecting | State::Live | State::Behind | State::Reconnecting => String::new(),
    };
    view! {
        <span class="live" data-state=kind role="status">
            {word}
            <span class="live-more">{more}</span>
        </span>
    }
}

/// Above what a page shows, while offline: since when it is not known what has changed.
#[island]
pub fn OfflineNote() -> impl IntoView {
    let state = live::state();
    let hidden = {
        let state = state.clone();
        move || !matches!(state.get(), State::Offline(_))
    };
    let since = move || match state.get() {
        State::Offline(since) => since,
        State::Connecting | State::Live | State::Behind | State::Reconnecting => String::new(),
    };
    view! {
        <p class="as-of" hidden=hidden>
            "Offline since " {since} ", showing what was known then. It reconnects by itself."
        </p>
    }
}

/// System, light or dark. `theme`: the choice so far (`auto`, `light`, `dark`), from the cookie `daybook_theme`.
///
/// Without JavaScript the buttons post to `/api/fn/set_theme`.
#[island]
pub fn ThemeSwitch(theme: String) -> impl IntoView {
    let chosen = RwSignal::new(theme);
    let buttons = [("auto", "System"), ("light", "Light"), ("dark", "Dark")]
        .into_iter()
        .map(|(value, label)| {
            view! {
                <button
                    name="theme"
                    value=value
                    aria-pressed=move || if chosen.get() == value { "true" } else { "false" }
                    on:click=move |event| {
                        event.prevent_default();
                        #[cfg(feature = "hydrate")]
                        super::session::set_theme(value);
                        chosen.set(value.to_owned());
                    }
                >
                    {label}
                </button>
            }
        })
        .collect::<Vec<_>>();
    view! {
        <form class="choice" role="group" aria-label="Theme" method="post" action="/api/fn/set_theme">
            {buttons}
        </form>
    }
}
