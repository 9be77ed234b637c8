//! What one expects of any page: Escape closes, so does a click beside a menu, and a password can be looked at.

use leptos::{
    prelude::document,
    wasm_bindgen::{JsCast, closure::Closure},
};
use web_sys::{Element, Event, HtmlElement, HtmlInputElement, KeyboardEvent};

const OPEN_MENU: &str = "details.menu[open]";

pub(super) fn begin() {
    on_document("keydown", |event| {
        if let Some(key) = event.dyn_ref::<KeyboardEvent>().filter(|key| key.key() == "Escape" && !key.is_composing()) {
            escape(key);
        }
    });
    on_document("click", |event| {
        let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
        if let (Ok(Some(menu)), Ok(within)) = (document().query_selector(OPEN_MENU), target.closest(OPEN_MENU))
            && within.as_ref() != Some(&menu)
        {
            menu.remove_attribute("open").ok();
        }
        if let Ok(Some(button)) = target.closest("button[data-show]") {
            show_password(&button);
        }
    });
}

/// Closes the open menu, else the slip.
fn escape(event: &KeyboardEvent) {
    let find = |selectors: &str| document().query_selector(selectors).ok().flatten();
    if let Some(menu) = find(OPEN_MENU) {
        menu.remove_attribute("open").ok();
        if let Ok(Some(summary)) = menu.query_selector("summary") {
            summary.unchecked_into::<HtmlElement>().focus().ok();
        }
        event.prevent_default();
    } else if let Some(close) = find(".slip-head a") {
        close.unchecked_into::<HtmlElement>().click();
    }
}

/// The button names the field. Its word stays, so that a screen reader says "Show password, pressed".
fn show_password(button: &Element) {
    let field = button.get_attribute("data-show").and_then(|id| document().get_element_by_id(&id));
    if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlInputElement>().ok()) {
        let shown = field.type_() == "text";
        field.set_type(if shown { "password" } else { "text" });
        button.set_attribute("aria-pressed", if shown { "false" } else { "true" }).ok();
    }
}

pub(super) fn on_document(name: &str, handler: impl Fn(Event) + 'static) {
    let handler = Closure::<dyn Fn(Event)>::new(handler);
    document().add_event_listener_with_callback(name, handler.as_ref().unchecked_ref()).ok();
    handler.forget();
}
