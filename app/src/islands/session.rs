//! What a page does for its person in the background: renews the session, remembers the theme, copies ids.

use std::{cell::Cell, time::Duration};

use leptos::{prelude::*, wasm_bindgen::JsCast};
use wasm_bindgen_futures::spawn_local;
use web_sys::Element;

use super::{forms::post, manners::on_document};

thread_local! {
    /// When this tab was last used, milliseconds since 1970.
    static USED: Cell<f64> = Cell::new(js_sys::Date::now());
    /// When the session runs out, milliseconds since 1970.
    static EXPIRES: Cell<f64> = const { Cell::new(0.0) };
}

/// Used within this time: the session goes on.
const IN_USE_MS: f64 = 10.0 * 60_000.0;
/// Renewed when less than this is left of its 15 minutes.
const LITTLE_LEFT_MS: f64 = 6.0 * 60_000.0;

/// Renews the session while the tab is in use.
#[allow(clippy::cast_precision_loss)]
pub(super) fn keep(expires_at: i64) {
    EXPIRES.set(expires_at as f64 / 1000.0);
    for event in ["pointerdown", "keydown"] {
        on_document(event, |_| USED.set(js_sys::Date::now()));
    }
    set_interval(
        || {
            let now = js_sys::Date::now();
            let left = EXPIRES.get() - now;
            if left < LITTLE_LEFT_MS && now - USED.get() < IN_USE_MS {
                // Not again before an answer would have come.
                EXPIRES.set(now + LITTLE_LEFT_MS + 30_000.0);
                spawn_local(async move {
                    if let Ok(answer) = post("/api/fn/renew_session", None).await
                        && let Some(expires_at) = answer.number("expires_at")
                    {
                        EXPIRES.set(expires_at / 1000.0);
                    } else {
                        EXPIRES.set(now + left);
                    }
                });
            }
        },
        Duration::from_secs(20),
    );
}

/// A click on `<button class="copy" data-copy="…">` copies.
pub(super) fn copy_buttons() {
    on_document("click", |event| {
        let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
        if let Ok(Some(button)) = target.closest("[data-copy]")
            && let Some(text) = button.get_attribute("data-copy")
        {
            // Off loopback and without TLS there is no clipboard: then nothing is said to be copied.
            let clipboard = window().navigator().clipboard();
            if clipboard.is_undefined() {
                return;
            }
            let copied = clipboard.write_text(&text);
            spawn_local(async move {
                if wasm_bindgen_futures::JsFuture::from(copied).await.is_ok() {
                    button.set_attribute("data-copied", "").ok();
                    set_timeout(move || drop(button.remove_attribute("data-copied")), Duration::from_secs(2));
                }
            });
        }
    });
}

/// Light, dark, or as the system has it; kept for a year.
pub(super) fn set_theme(theme: &str) {
    if let Some(root) = document().document_element() {
        root.set_attribute("data-theme", theme).ok();
    }
    if let Some(document) = document().dyn_ref::<web_sys::HtmlDocument>() {
        document.set_cookie(&format!("daybook_theme={theme}; Path=/; Max-Age=31536000; SameSite=Lax")).ok();
    }
}
