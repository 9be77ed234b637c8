//! The page around every page: head, name menu, banners, last line.

use leptos::prelude::*;

use crate::{
    components::{Icon, brand, icon},
    islands::{AsOf, LiveState, ThemeSwitch, document_title, mark_icon},
    ports::{Assets, Request, Theme, Viewer},
    wire::{Position, Seen},
    words::Said,
};

/// Where a page hangs in the main navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nav {
    Accounts,
    Transfers,
    Timeline,
    TrialBalance,
    /// Nowhere.
    Apart,
}

/// A page: what stands inside the frame, and what the frame has to say of it.
pub(super) struct Sheet {
    /// Of the browser's tab; ` · Daybook` is added.
    pub title: String,
    pub nav: Nav,
    /// For forms and prose.
    pub narrow: bool,
    /// Only looks: the feed, the time machine and the trial balance are in a module of their own, without forms.
    pub looks: bool,
    /// What the views behind it have seen.
    pub shown: Option<Shown>,
    /// What a form without JavaScript has just done, and where more is said of it.
    pub done: Option<(Said, String)>,
    /// Not here: there.
    pub go: Option<String>,
    pub body: AnyView,
}

impl Sheet {
    /// A page of this body; whatever else there is to say of it is filled in by the caller.
    pub fn of(body: AnyView) -> Self {
        let title = String::new();
        Self { title, nav: Nav::Apart, narrow: false, looks: false, shown: None, done: None, go: None, body }
    }

    /// No page, but the way to another.
    pub fn go(to: String) -> Self {
        Self { go: Some(to), ..Self::of(().into_any()) }
    }
}

/// The position that a page shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub position: Position,
    /// Something newer is stored, and this browser knows it.
    pub stale: bool,
}

impl<T> From<&Seen<T>> for Shown {
    fn from(seen: &Seen<T>) -> Self {
        Self { position: seen.position, stale: seen.stale }
    }
}

/// The whole document.
pub(super) fn document(request: &Request, assets: &Assets, sheet: Sheet) -> AnyView {
    let theme = request.theme.map(theme_name);
    let Sheet { title, nav, narrow, looks, shown, done, go: _, body } = sheet;
    let module = if looks { &assets.timeline } else { &assets.ledger };
    let main = match (&request.viewer, narrow) {
        (None, _) => "front",
        (Some(_), true) => "page narrow",
        (Some(_), false) => "page",
    };
    let late = shown.filter(|shown| shown.stale).map(|shown| late(request, shown));
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
                <meta name="color-scheme" content="light dark" />
                <title>{document_title(&title)}</title>
                <link rel="icon" href=assets.favicon.clone() type="image/svg+xml" />
                <link rel="stylesheet" href=assets.css.clone() />
                <script
                    type="module"
                    src=assets.loader.clone()
                    data-js=module.js.clone()
                    data-wasm=module.wasm.clone()
                    nonce=request.nonce.clone()
                ></script>
            </head>
            <body>
                <a class="skip" href="#main">
                    "To the content"
                </a>
                {request.insecure.then(insecure)}
                {request.viewer.as_ref().map(|viewer| mast(viewer, nav, shown, request))}
                <main class=main id="main" tabindex="-1">
                    {late} {done.map(told)}
                    {body}
                </main>
                {request.viewer.is_some().then(|| foot(request, shown))}
                {request.viewer.is_some().then(stay)}
            </body>
        </html>
    }
    .into_any()
}

/// Without JavaScript: the sides may be apart, and only the command side renews a session.
fn stay() -> AnyView {
    view! {
        <noscript>
            <img src="/api/v1/session/renew" alt="" width="0" height="0" />
        </noscript>
    }
    .into_any()
}

fn insecure() -> AnyView {
    view! {
        <div class="banner" data-tone="wait" role="region" aria-label="Warning">
            <p>
                {icon(Icon::Warn)} <b>"This connection is not encrypted."</b>
                " Anyone on the network between can read what is shown here."
            </p>
        </div>
    }
    .into_any()
}

fn theme_name(theme: Theme) -> &'static str {
    match theme {
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}

/// Stored, not visible here yet (R5).
fn late(request: &Request, shown: Shown) -> AnyView {
    let words = match request.seen.0.saturating_sub(shown.position.0) {
        0 => "The views are catching up: not everything is shown here yet.".to_owned(),
        1 => "Stored, not visible here yet. The view is 1 event behind.".to_owned(),
        behind => {
            let events = request.locale.format_count(behind);
            format!("Stored, not visible here yet. The view is {events} events behind.")
        }
    };
    view! {
        <p class="as-of" role="status">
            <span class="dot-wait">{words}</span>
        </p>
    }
    .into_any()
}

/// Stored, and visible here.
fn told((Said { mark, text, note }, more): (Said, String)) -> AnyView {
    view! {
        <p class="as-of" role="status">
            <span>
                <span class="mark" data-kind=mark.kind() inner_html=mark_icon(mark)></span>
                " "
                <b>{format!("{text}.")}</b>
                {note.map(|note| format!(" {note}"))}
            </span>
            <a href=more>"More of it"</a>
        </p>
    }
    .into_any()
}

fn mast(viewer: &Viewer, here: Nav, shown: Option<Shown>, request: &Request) -> AnyView {
    let admin = viewer.is_admin();
    let link = |nav, href: &'static str, word: &'static str| {
        view! { <a href=href aria-current=(nav == here).then_some("page")>{word}</a> }
    };
    let seen = shown.map_or(request.seen, |shown| shown.position);
    let theme = request.theme.map_or("auto", theme_name).to_owned();
    let role = if admin { "Administrator" } else { "Customer" };
    view! {
        <header class="mast-bar">
            <div class="mast">
                <a class="brand" href="/">
                    {brand()}
                    "Daybook"
                </a>
                <nav class="nav" aria-label="Main">
                    {link(Nav::Accounts, "/", "Accounts")} {link(Nav::Transfers, "/transfers", "Transfers")}
                    {link(Nav::Timeline, "/timeline", "Timeline")}
                    {admin.then(|| link(Nav::TrialBalance, "/trial-balance", "Trial balance"))}
                </nav>
                <div class="mast-end">
                    <LiveState seen expires_at=viewer.expires_at />
                    <details class="menu" name="menu">
                        <summary>
                            <span>{viewer.name.clone()}</span>
                        </summary>
                        <div class="menu-sheet">
                            <p class="menu-note">
                                <b>{viewer.name.clone()}</b>
                                {role}
                            </p>
                            <hr />
                            <a href="/profile">"Profile and password"</a>
                            <div class="menu-row">
                                <span>"Theme"</span>
                                <ThemeSwitch theme />
                            </div>
                            <hr />
                            <form method="post" action="/api/fn/sign_out">
                                <button class="plain">"Sign out"</button>
                            </form>
                        </div>
                    </details>
                </div>
            </div>
        </header>
    }
    .into_any()
}

fn foot(request: &Request, shown: Option<Shown>) -> AnyView {
    let locale = request.locale;
    let admin = request.viewer.as_ref().is_some_and(Viewer::is_admin);
    let position = shown.map(|shown| {
        let position = view! { <AsOf position=shown.position locale /> };
        if admin {
            return position.into_any();
        }
        view! {
            <details class="switch">
                <summary>"Technical details"</summary>
                {position}
            </details>
        }
        .into_any()
    });
    view! {
        <footer class="foot">
            <div>
                <span>{concat!("Daybook ", env!("CARGO_PKG_VERSION"))}</span>
                <a href="/api/docs">"API"</a>
                {position}
            </div>
        </footer>
    }
    .into_any()
}
