//! The browser's half of [`super::CommandForm`]: reads the form, posts it, says what came of it.

use std::time::Duration;

use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, JsValue},
};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Element, Event, FormData, Headers, HtmlFormElement, HtmlInputElement, RequestInit, Response, SubmitEvent,
    UrlSearchParams,
};

use super::{Way, stop_icon};
use crate::{
    domain::Currency,
    live::browser as tab,
    locale::Locale,
    wire::{Position, Version},
};

/// What the server answered, as far as a form needs it.
pub(in crate::islands) struct Answer {
    status: u16,
    /// The field and the words of a refusal.
    refusal: Option<(String, String)>,
    json: JsValue,
}

impl Answer {
    fn field(&self, name: &str) -> Option<JsValue> {
        js_sys::Reflect::get(&self.json, &name.into()).ok()
    }

    pub(in crate::islands) fn number(&self, name: &str) -> Option<f64> {
        self.field(name)?.as_f64()
    }

    fn text(&self, name: &str) -> String {
        self.field(name).and_then(|text| text.as_string()).unwrap_or_default()
    }
}

/// Posts a form to a server function, as a plain submit would, but asks for JSON. `Err`: no answer.
pub(in crate::islands) async fn post(path: &str, form: Option<&FormData>) -> Result<Answer, JsValue> {
    let options = RequestInit::new();
    options.set_method("POST");
    let headers = Headers::new()?;
    headers.set("accept", "application/json")?;
    options.set_headers(&headers);
    if let Some(form) = form {
        options.set_body(UrlSearchParams::new_with_str_sequence_sequence(form)?.as_ref());
    } else {
        headers.set("content-type", "application/x-www-form-urlencoded")?;
    }
    let answer: Response = JsFuture::from(window().fetch_with_str_and_init(path, &options)).await?.unchecked_into();
    let refusal = answer.headers().get("x-refusal")?.map(|text| {
        let text = js_sys::decode_uri_component(&text).map_or(text, String::from);
        let (field, words) = text.split_once('\n').unwrap_or(("", &text));
        (field.to_owned(), words.to_owned())
    });
    let json = if answer.ok() { JsFuture::from(answer.json()?).await? } else { JsValue::NULL };
    Ok(Answer { status: answer.status(), refusal, json })
}

#[derive(Clone)]
pub(super) struct Sender {
    pub locale: Locale,
    pub currency: Option<Currency>,
    pub done: String,
    pub refusal: RwSignal<Option<String>>,
    pub way: RwSignal<Option<Way>>,
    pub sending: StoredValue<bool>,
}

impl Sender {
    /// Shows how an amount is understood while it is typed, and takes back what was said of the field before.
    pub(super) fn input(&self, event: &Event) {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        let Ok(Some(field)) = input.closest(".field") else { return };
        accept(&field, &input);
        if !input.has_attribute("data-amount") {
            return;
        }
        if let (Some(currency), Ok(Some(understood))) = (self.currency, field.query_selector(".understood")) {
            let value = input.value();
            let words = match self.locale.parse_amount(&value, currency) {
                _ if value.trim().is_empty() => String::new(),
                Ok(minor) => format!("Understood as {}", self.locale.format_money(minor, currency)),
                Err(_) => "Not an amount yet".to_owned(),
            };
            understood.set_text_content(Some(&words));
        }
    }

    pub(super) fn submit(&self, event: &SubmitEvent) {
        let Some(form) = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok()) else { return };
        event.prevent_default();
        if self.sending.get_value() {
            return;
        }
        let Ok(body) = FormData::new_with_form(&form) else { return };
        self.sending.set_value(true);
        form.set_attribute("aria-busy", "true").ok();
        let sender = self.clone();
        let (sent, started) = (tab::clock(), now());
        let amount = body.get("amount").as_string();
        spawn_local(async move {
            let path = form.get_attribute("action").unwrap_or_default();
            let answer = post(&path, Some(&body)).await;
            sender.sending.set_value(false);
            form.remove_attribute("aria-busy").ok();
            sender.refusal.set(None);
            match answer {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    sender.accepted(&form, &answer, sent, millis(now() - started), amount.as_deref());
                }
                Ok(answer) => sender.refused(&form, answer),
                Err(_) => sender.refusal.set(Some(
                    "No answer: it may have been stored or not. Send it again: it is never done twice.".to_owned(),
                )),
            }
        });
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn accepted(&self, form: &HtmlFormElement, answer: &Answer, sent: String, stored_ms: u32, amount: Option<&str>) {
        let next = named(form, "next");
        let Some(position) = answer.number("position").map(|position| Position(position as u64)) else {
            // Nothing was stored: signed in or out.
            tab::go(&next.map_or_else(|| "/".to_owned(), |next| next.value()));
            return;
        };
        tab::remember(position);
        let money = self.currency.zip(amount).and_then(|(currency, amount)| {
            Some(self.locale.format_money(self.locale.parse_amount(amount, currency).ok()?, currency))
        });
        let way = Way {
            done: money.map_or_else(|| format!("{}.", self.done), |money| format!("{} {money}.", self.done)),
            sent,
            stored_ms,
            stream: answer.text("stream"),
            version: Version(answer.number("version").unwrap_or_default() as u64),
            position,
            command_id: answer.text("command_id"),
            stored_at: now(),
            late: false,
        };
        self.way.set(Some(way));
        let shown = self.way;
        set_timeout(
            move || {
                shown.update(|way| {
                    if let Some(way) = way.as_mut().filter(|way| way.position == position) {
                        way.late = true;
                    }
                });
            },
            Duration::from_secs(5),
        );
        if let Some(next) = next.filter(|next| next.has_attribute("data-go")) {
            // The other page waits for the position by itself, and says so if it takes long.
            tab::go(&next.value());
            return;
        }
        form.reset();
        if let Ok(Some(understood)) = form.query_selector(".understood") {
            understood.set_text_content(None);
        }
        fresh_id(form);
    }

    fn refused(&self, form: &HtmlFormElement, answer: Answer) {
        if answer.status == 409 {
            // Sent before with something else in it: from now on it is another command.
            fresh_id(form);
        }
        let (field, words) = answer.refusal.unwrap_or_else(|| {
            let words = match answer.status {
                401 => "Your session has ended. Sign in again.",
                _ => "That did not work, and nothing was done. Try again.",
            };
            (String::new(), words.to_owned())
        });
        match named(form, &field).and_then(|input| Some((input.closest(".field").ok()??, input))) {
            Some((field, input)) => refuse(&field, &input, &words),
            None => self.refusal.set(Some(words)),
        }
    }
}

fn named(form: &HtmlFormElement, name: &str) -> Option<HtmlInputElement> {
    // Also for a select: what is used of it here, both have.
    form.query_selector(&format!("[name=\"{name}\"]")).ok()?.map(JsCast::unchecked_into)
}

/// Shows a refusal beside the field that caused it.
fn refuse(field: &Element, input: &HtmlInputElement, words: &str) {
    accept(field, input);
    let id = format!("{}-refusal", input.name());
    let Ok(note) = document().create_element("p") else { return };
    note.set_class_name("refusal");
    note.set_id(&id);
    note.set_inner_html(&stop_icon());
    note.append_with_str_1(words).ok();
    field.append_child(&note).ok();
    field.set_attribute("data-refused", "").ok();
    input.set_attribute("aria-invalid", "true").ok();
    input.set_attribute("aria-errormessage", &id).ok();
    input.focus().ok();
}

/// Takes a refusal back.
fn accept(field: &Element, input: &HtmlInputElement) {
    if let Ok(Some(note)) = field.query_selector(".refusal") {
        note.remove();
    }
    for (element, name) in [(field, "data-refused"), (input, "aria-invalid"), (input, "aria-errormessage")] {
        element.remove_attribute(name).ok();
    }
}

/// The form stands for a new command now.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn fresh_id(form: &HtmlFormElement) {
    let mut random = [0; 10];
    if let (Some(input), Ok(crypto)) = (named(form, "command_id"), window().crypto())
        && crypto.get_random_values_with_u8_array(&mut random).is_ok()
    {
        let id = uuid::Builder::from_unix_timestamp_millis(js_sys::Date::now() as u64, &random).into_uuid();
        input.set_value(&id.to_string());
    }
}

/// This page's own clock, milliseconds since it was opened.
pub(super) fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn millis(time: f64) -> u32 {
    time.round() as u32
}
