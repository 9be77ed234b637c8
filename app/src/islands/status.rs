//! In the head of every page: how this browser stands with the server, and the choice of light or dark.

use serde::Serialize;

use super::{Part, html::Html, ledger::icon};
use crate::{
    live::State,
    locale::Locale,
    wire::{LiveQuery, Position, from_json},
};

/// "live", "reconnecting", "offline since 14:02".
///
/// It also does what a page does for its person from outside its parts: makes every form better ([`super`]), renews the
/// session while the page is in use, makes `<button data-copy="…">` copy, and lets Escape close.
#[derive(Serialize)]
pub struct LiveState {
    /// When the session's token runs out, microseconds since 1970.
    expires_at: i64,
    #[serde(skip)]
    state: Shown,
}

from_json! { LiveState { expires_at; state } }

/// The state as it is shown.
struct Shown(State);

impl Default for Shown {
    fn default() -> Self {
        Self(State::Connecting)
    }
}

impl LiveState {
    pub fn new(expires_at: i64) -> Self {
        Self { expires_at, state: Shown::default() }
    }
}

impl Part for LiveState {
    fn follows(&self) -> Vec<LiveQuery> {
        Vec::new()
    }

    fn draw(&self, html: &mut Html) {
        let (kind, word) = match &self.state.0 {
            State::Live => ("live", "live"),
            State::Behind => ("behind", "behind"),
            State::Crowded => ("behind", "not live: too many tabs"),
            State::Connecting => ("connecting", "connecting"),
            State::Reconnecting => ("reconnecting", "reconnecting"),
            State::Offline(_) => ("offline", "offline"),
        };
        html.el("span", &[("class", "live"), ("data-state", kind), ("role", "status")], |html| {
            html.text(word);
            if let State::Offline(since) = &self.state.0 {
                html.put("span", &[("class", "live-more")], &format!(" since {since}"));
            }
        });
    }

    fn on_state(&mut self, state: &State) -> bool {
        self.state.0 = state.clone();
        true
    }

    #[cfg(feature = "hydrate")]
    fn begin(&self, _stage: &std::rc::Rc<super::dom::Stage>) {
        super::session::keep(self.expires_at);
        super::session::copy_buttons();
        super::manners::begin();
        super::forms::better();
    }
}

/// Above what a page shows, while offline: since when it is not known what has changed.
#[derive(Default, Serialize)]
pub struct OfflineNote {
    #[serde(skip)]
    since: Option<String>,
}

from_json! { OfflineNote { ; since } }

impl Part for OfflineNote {
    fn follows(&self) -> Vec<LiveQuery> {
        Vec::new()
    }

    fn draw(&self, html: &mut Html) {
        if let Some(since) = &self.since {
            html.el("p", &[("class", "as-of"), ("role", "status")], |html| {
                icon(html, "M2 2l12 12M4 7a6 6 0 0 1 2-1.3M12 7a6 6 0 0 0-4-1.8M6.3 9.6A2.6 2.6 0 0 1 8 9M8 12.5v.1");
                let text = format!("Offline since {since}, showing what was known then. It reconnects by itself.");
                html.put("span", &[], &text);
            });
        }
    }

    fn on_state(&mut self, state: &State) -> bool {
        let since = match state {
            State::Offline(since) => Some(since.clone()),
            State::Connecting | State::Live | State::Behind | State::Crowded | State::Reconnecting => None,
        };
        std::mem::replace(&mut self.since, since) != self.since
    }
}

/// The position that everything on a page shows.
#[derive(Serialize)]
pub struct AsOf {
    pub position: Position,
    pub locale: Locale,
}

from_json! { AsOf { position, locale } }

impl Part for AsOf {
    fn follows(&self) -> Vec<LiveQuery> {
        Vec::new()
    }

    fn draw(&self, html: &mut Html) {
        html.put("span", &[], &format!("as of position {}", self.locale.format_count(self.position.0)));
    }

    fn on_seen(&mut self, position: Position) -> bool {
        let newer = self.position.max(position);
        std::mem::replace(&mut self.position, newer) != newer
    }
}

/// System, light or dark; the server knows it by the cookie `daybook_theme`.
///
/// Without JavaScript the buttons post to `/api/fn/set_theme`.
#[derive(Serialize)]
pub struct ThemeSwitch {
    /// `auto`, `light` or `dark`.
    pub theme: String,
}

from_json! { ThemeSwitch { theme } }

impl Part for ThemeSwitch {
    fn follows(&self) -> Vec<LiveQuery> {
        Vec::new()
    }

    fn draw(&self, html: &mut Html) {
        let form = [
            ("class", "choice"),
            ("role", "group"),
            ("aria-label", "Theme"),
            ("method", "post"),
            ("action", "/api/fn/set_theme"),
        ];
        html.el("form", &form, |html| {
            for (value, label) in [("auto", "System"), ("light", "Light"), ("dark", "Dark")] {
                let pressed = if self.theme == value { "true" } else { "false" };
                let button = [("name", "theme"), ("value", value), ("aria-pressed", pressed), ("data-do", "theme")];
                html.put("button", &button, label);
            }
        });
    }

    fn on_use(&mut self, _what: &str, value: &str) -> bool {
        value.clone_into(&mut self.theme);
        #[cfg(feature = "hydrate")]
        super::session::set_theme(value);
        true
    }
}
