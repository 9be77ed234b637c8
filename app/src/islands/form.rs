//! Any form that sends something, made better where there is JavaScript: same markup, same endpoint, same body.

use leptos::prelude::*;

use super::ledger::icon;
use crate::{
    domain::Currency,
    live,
    locale::Locale,
    wire::{Position, Version},
};

#[cfg(feature = "hydrate")]
mod browser;
#[cfg(feature = "hydrate")]
pub(super) use browser::post;

/// An accepted command on its way to this page.
#[derive(Clone, PartialEq)]
struct Way {
    /// "Deposited 9,300.00 CZK."
    done: String,
    /// The reader's clock.
    sent: String,
    stored_ms: u32,
    stream: String,
    version: Version,
    position: Position,
    command_id: String,
    /// When the stored command came back, milliseconds since the page was opened.
    stored_at: f64,
    /// Past 5 s.
    late: bool,
}

/// Around a `<form method="post" action="/api/fn/…">` rendered by the server. It
///
/// - shows how an amount was understood, in `.understood` beside any `<input data-amount>`;
/// - sends once however often it is submitted, under the hidden `command_id` that the form was shown with;
/// - shows a refusal beside the field that caused it (`.field` around `[name=…]`), keeping what was typed;
/// - shows the command's way: sent, stored, visible here; then takes a fresh `command_id`. Where the hidden field `next`
///   has `data-go`, or nothing was stored (signed in), it goes to that page.
///
/// `done`: what to say then ("Deposited"; the amount follows by itself). `refused`: what the form without JavaScript was
/// refused for, where no field is to blame.
#[island]
pub fn CommandForm(
    children: Children,
    locale: Locale,
    #[prop(optional)] currency: Option<Currency>,
    #[prop(optional)] done: Option<String>,
    #[prop(optional)] refused: Option<String>,
) -> impl IntoView {
    let refusal = RwSignal::new(refused);
    let way = RwSignal::new(None::<Way>);
    let sending = StoredValue::new(false);

    #[cfg(feature = "hydrate")]
    let (submit, input) = {
        let sender = browser::Sender { locale, currency, done: done.unwrap_or_default(), refusal, way, sending };
        let typed = sender.clone();
        (move |event| sender.submit(&event), move |event| typed.input(&event))
    };
    #[cfg(not(feature = "hydrate"))]
    let (submit, input) = {
        drop((locale, currency, done, way, sending));
        (|_: web_event::Submit| (), |_: web_event::Input| ())
    };

    view! {
        <div class="command" on:submit=submit on:input=input>
            {move || {
                refusal.get().map(|words| {
                    view! {
                        <p class="refusal whole" role="alert">
                            <span inner_html=stop_icon()></span>
                            <span>{words}</span>
                        </p>
                    }
                })
            }}
            {children()}
            {move || way.get().map(draw_way)}
        </div>
    }
}

/// Event types of the browser, by the names that both sides have.
#[cfg(not(feature = "hydrate"))]
mod web_event {
    pub(super) type Submit = leptos::ev::SubmitEvent;
    pub(super) type Input = leptos::ev::Event;
}

fn stop_icon() -> String {
    icon("M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5zM8 5v3.5M8 10.9v.1")
}

fn draw_way(way: Way) -> impl IntoView {
    let shown = live::position();
    let target = way.position;
    let stored_at = way.stored_at;
    // Milliseconds until this page showed it; once.
    let visible = Memo::new(move |last: Option<&Option<u32>>| {
        last.copied().flatten().or_else(|| (shown.get() >= target).then(|| since(stored_at)))
    });
    let late = way.late;
    let state = move || (late && visible.get().is_none()).then_some("late");
    let step = move || match (visible.get(), late) {
        (Some(_), _) => "done",
        (None, true) => "late",
        (None, false) => "now",
    };
    let word = move || if visible.get().is_none() && late { "Not visible here yet" } else { "Visible here" };
    let when = {
        let stored_ms = way.stored_ms;
        move || visible.get().map_or_else(String::new, |ms| format!("after {} ms", stored_ms + ms))
    };
    let headline = move || {
        if visible.get().is_none() && late {
            "Stored, not visible here yet. Nothing is lost.".to_owned()
        } else {
            way.done.clone()
        }
    };
    let facts = [
        ("Stream", way.stream),
        ("Version", way.version.to_string()),
        ("Position", target.to_string()),
        ("Command", way.command_id),
    ]
    .into_iter()
    .map(|(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> })
    .collect::<Vec<_>>();
    view! {
        <div class="way-box" role="status" data-state=state>
            <p>
                <b>{headline}</b>
            </p>
            <ol class="way">
                <li data-step="done"><span class="way-name">"Sent"</span><span class="way-when">{way.sent}</span></li>
                <li data-step="done">
                    <span class="way-name">"Stored"</span>
                    <span class="way-when">{format!("after {} ms", way.stored_ms)}</span>
                </li>
                <li data-step=step><span class="way-name">{word}</span><span class="way-when">{when}</span></li>
            </ol>
            <details class="switch">
                <summary>"Technical details"</summary>
                <dl class="facts">{facts}</dl>
            </details>
        </div>
    }
}

/// Milliseconds since a moment of this page's own clock.
fn since(moment: f64) -> u32 {
    #[cfg(feature = "hydrate")]
    return browser::millis(browser::now() - moment);
    #[cfg(not(feature = "hydrate"))]
    {
        drop(moment);
        0
    }
}
