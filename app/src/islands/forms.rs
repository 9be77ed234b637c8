//! Every form in a `CommandForm`, made better where there is JavaScript: same markup, same endpoint, same body.
//!
//! The element around it says what is known of it: `data-command` (the locale, as JSON), `data-currency`, `data-done`.

use std::{cell::RefCell, rc::Rc, time::Duration};

use leptos::{
    prelude::{document, set_timeout, window},
    wasm_bindgen::{JsCast, JsValue, closure::Closure},
};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Element, Event, FormData, Headers, HtmlFormElement, HtmlInputElement, RequestInit, Response, UrlSearchParams,
};

use super::{
    dom::draw_into,
    html::Html,
    ledger::{fact, icon, mark_path},
};
use crate::{
    domain::Currency,
    live::tab::{self, News},
    locale::Locale,
    wire::{FromJson as _, Json, Position},
    words::Mark,
};

/// A stored command that is not visible after this time says so.
const LATE: Duration = Duration::from_secs(5);

/// What the server answered, as far as a form needs it.
pub(super) struct Answer {
    status: u16,
    /// The field and the words of a refusal.
    refusal: Option<(String, String)>,
    json: JsValue,
}

impl Answer {
    fn field(&self, name: &str) -> Option<JsValue> {
        js_sys::Reflect::get(&self.json, &name.into()).ok()
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.field(name)?.as_f64()
    }

    fn text(&self, name: &str) -> String {
        self.field(name).and_then(|text| text.as_string()).unwrap_or_default()
    }
}

/// Posts to a server function as a plain submit would, but asks for JSON. `Err`: no answer.
pub(super) async fn post(path: &str, form: Option<&FormData>) -> Result<Answer, JsValue> {
    let options = RequestInit::new();
    options.set_method("POST");
    let headers = Headers::new()?;
    headers.set("accept", "application/json")?;
    headers.set("content-type", "application/x-www-form-urlencoded;charset=UTF-8")?;
    options.set_headers(&headers);
    if let Some(form) = form {
        options.set_body(UrlSearchParams::new_with_str_sequence_sequence(form)?.as_ref());
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

/// What the element around a form says of it.
struct Command {
    element: Element,
    locale: Locale,
    currency: Option<Currency>,
}

impl Command {
    fn around(inside: &Element) -> Option<Self> {
        let element = inside.closest("[data-command]").ok()??;
        let locale = Locale::from_json(Json::parse(&element.get_attribute("data-command")?)?)?;
        let currency = element.get_attribute("data-currency").and_then(|code| code.parse().ok());
        Some(Self { element, locale, currency })
    }

    /// `None`: no amount (yet).
    fn money(&self, typed: &str) -> Option<String> {
        let currency = self.currency?;
        Some(self.locale.format_money(self.locale.parse_amount(typed, currency).ok()?, currency))
    }
}

/// Makes all forms of the page better, those that come later too.
pub(super) fn better() {
    listen("submit", move |event| {
        let form = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok());
        if let Some((command, form)) = form.and_then(|form| Some((Command::around(&form)?, form))) {
            event.prevent_default();
            // Busy: the first submit's answer is still to come.
            if !form.has_attribute("aria-busy") {
                submit(form, command);
            }
        }
    });
    listen("input", move |event| {
        if let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) {
            typed(&input);
        }
    });
}

fn listen(name: &str, handler: impl Fn(Event) + 'static) {
    let handler = Closure::<dyn Fn(Event)>::new(handler);
    document().add_event_listener_with_callback(name, handler.as_ref().unchecked_ref()).ok();
    handler.forget();
}

/// Shows how an amount is understood, and takes back what was said of the field before.
fn typed(input: &HtmlInputElement) {
    let (Ok(Some(field)), Some(command)) = (input.closest(".field"), Command::around(input)) else { return };
    accept(&field, input);
    if let (true, Ok(Some(understood))) = (input.has_attribute("data-amount"), field.query_selector(".understood")) {
        let value = input.value();
        let words = match command.money(&value) {
            _ if value.trim().is_empty() => String::new(),
            Some(money) => format!("Understood as {money}"),
            None => "Not an amount yet".to_owned(),
        };
        understood.set_text_content(Some(&words));
    }
}

fn submit(form: HtmlFormElement, command: Command) {
    let Ok(body) = FormData::new_with_form(&form) else { return };
    // An id that was typed before one of the accounts was chosen is no longer shown.
    if body.get("to").as_string().is_some_and(|chosen| !chosen.is_empty()) {
        body.delete("to_id");
    }
    form.set_attribute("aria-busy", "true").ok();
    #[allow(clippy::cast_possible_truncation)]
    let sent = command.locale.format_time((js_sys::Date::now() * 1000.0) as i64);
    let started = now();
    spawn_local(async move {
        let path = form.get_attribute("action").unwrap_or_default();
        let answer = post(&path, Some(&body)).await;
        form.remove_attribute("aria-busy").ok();
        if let Ok(Some(note)) = command.element.query_selector(".refusal.whole") {
            note.remove();
        }
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => {
                accepted(&form, &command, &answer, sent, since(started), &body);
            }
            Ok(answer) => refused(&form, answer),
            Err(_) => refuse_all(&form, "No answer: it may be stored or not. Send it again: it is never done twice."),
        }
    });
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn accepted(form: &HtmlFormElement, command: &Command, answer: &Answer, sent: String, stored_ms: u32, body: &FormData) {
    let next = named(form, "next");
    let Some(position) = answer.number("position").map(|position| Position(position as u64)) else {
        // Nothing was stored: signed in, or out.
        return tab::go(&next.map_or_else(|| "/".to_owned(), |next| next.value()));
    };
    tab::remember(position);
    if let Some(next) = next.filter(|next| next.has_attribute("data-go")) {
        // The other page waits for the position, and says so if it takes long.
        return tab::go(&next.value());
    }
    let done = command.element.get_attribute("data-done").unwrap_or_else(|| "Done".to_owned());
    let money = body.get("amount").as_string().and_then(|amount| command.money(&amount));
    show_way(
        form,
        Way {
            done: money.map_or_else(|| format!("{done}."), |money| format!("{done} {money}.")),
            sent,
            stored_ms,
            stored_at: now(),
            visible_ms: None,
            late: false,
            position,
            version: (answer.number("version").unwrap_or_default() as u64).to_string(),
            stream: answer.text("stream"),
            command_id: answer.text("command_id"),
        },
    );
    form.reset();
    if let Ok(Some(understood)) = form.query_selector(".understood") {
        understood.set_text_content(None);
    }
    fresh_id(form);
}

fn refused(form: &HtmlFormElement, answer: Answer) {
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
        None => refuse_all(form, &words),
    }
}

fn named(form: &HtmlFormElement, name: &str) -> Option<HtmlInputElement> {
    // A select too: what is used of it here, both have.
    form.query_selector(&format!("[name=\"{name}\"]")).ok()?.map(JsCast::unchecked_into)
}

/// A note with the sign of a refusal.
fn refusal(class: &str, words: &str) -> Option<Element> {
    let note = document().create_element("p").ok()?;
    note.set_class_name(class);
    let mut html = Html::default();
    icon(&mut html, mark_path(Mark::Stop));
    html.put("span", &[], words);
    note.set_inner_html(&html.into_string());
    Some(note)
}

/// Shows a refusal beside the field that caused it.
fn refuse(field: &Element, input: &HtmlInputElement, words: &str) {
    accept(field, input);
    let Some(note) = refusal("refusal", words) else { return };
    let id = format!("{}-refusal", input.name());
    note.set_id(&id);
    // Said at once; also what makes it a valid `aria-errormessage`.
    note.set_attribute("role", "alert").ok();
    field.append_child(&note).ok();
    for (element, name, value) in
        [(field, "data-refused", "1"), (input, "aria-invalid", "true"), (input, "aria-errormessage", &id)]
    {
        element.set_attribute(name, value).ok();
    }
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

/// Shows a refusal that no field is to blame for.
fn refuse_all(form: &HtmlFormElement, words: &str) {
    if let Some(note) = refusal("refusal whole", words) {
        note.set_attribute("role", "alert").ok();
        form.insert_before(&note, form.first_child().as_ref()).ok();
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

/// An accepted command on its way to this page.
struct Way {
    /// "Deposited 9,300.00 CZK."
    done: String,
    /// "14:02:11 UTC", by the reader's clock.
    sent: String,
    stored_ms: u32,
    /// This page's own clock.
    stored_at: f64,
    /// After it was stored.
    visible_ms: Option<u32>,
    late: bool,
    position: Position,
    version: String,
    stream: String,
    command_id: String,
}

/// Below the form, in place of an earlier command's.
fn show_way(form: &HtmlFormElement, way: Way) {
    let holder = form.next_element_sibling().filter(|next| next.class_name() == "way-holder").or_else(|| {
        let holder = document().create_element("div").ok()?;
        holder.set_class_name("way-holder");
        // Said by a screen reader as it changes.
        holder.set_attribute("role", "status").ok()?;
        form.after_with_node_1(&holder).ok()?;
        Some(holder)
    });
    let Some(holder) = holder else { return };
    let command = way.command_id.clone();
    holder.set_attribute("data-command-id", &command).ok();
    let way = Rc::new(RefCell::new(way));
    let look = Rc::new(move |late: bool| {
        // Another command took its place.
        if holder.get_attribute("data-command-id").as_ref() != Some(&command) {
            return;
        }
        let mut way = way.borrow_mut();
        if way.visible_ms.is_none() && tab::position() >= way.position {
            way.visible_ms = Some(since(way.stored_at));
        }
        way.late |= late;
        draw_into(&holder, &|html| way.draw(html));
    });
    look(false);
    let seen = look.clone();
    tab::listen(Rc::new(move |news| {
        if matches!(news, News::Seen) {
            seen(false);
        }
    }));
    set_timeout(move || look(true), LATE);
}

impl Way {
    fn draw(&self, html: &mut Html) {
        let missing = self.late && self.visible_ms.is_none();
        let (state, step, word) = match self.visible_ms {
            Some(_) => ("", "done", "Visible here"),
            None if self.late => ("late", "late", "Not visible here yet"),
            None => ("", "now", "Visible here"),
        };
        html.el("div", &[("class", "way-box"), ("data-state", state)], |html| {
            html.el("p", &[], |html| {
                html.put("b", &[], if missing { "Stored, not visible here yet." } else { &self.done });
                html.text(if missing { " Nothing is lost." } else { "" });
            });
            html.el("ol", &[("class", "way")], |html| {
                let visible = self.visible_ms.map(|ms| format!("after {} ms", self.stored_ms + ms)).unwrap_or_default();
                let stored = format!("after {} ms", self.stored_ms);
                for (step, name, when) in
                    [("done", "Sent", &self.sent), ("done", "Stored", &stored), (step, word, &visible)]
                {
                    html.el("li", &[("data-step", step)], |html| {
                        html.put("span", &[("class", "way-name")], name);
                        html.put("span", &[("class", "way-when")], when);
                    });
                }
            });
            html.el("details", &[("class", "switch")], |html| {
                html.put("summary", &[], "Technical details");
                html.el("dl", &[("class", "facts")], |html| {
                    let position = self.position.to_string();
                    for (name, value) in [
                        ("Stream", &self.stream),
                        ("Version", &self.version),
                        ("Position", &position),
                        ("Command", &self.command_id),
                    ] {
                        fact(html, name, |html| html.text(value));
                    }
                });
            });
        });
    }
}

/// This page's own clock, milliseconds since it was opened.
fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn since(moment: f64) -> u32 {
    (now() - moment).round() as u32
}
