//! Every form in a `CommandForm`, made better where there is JavaScript: same markup, same endpoint, same body.
//!
//! The element around it says what is known of it: `data-command` (the locale, as JSON), `data-currency`, `data-done`.

use std::rc::Rc;

use leptos::{
    prelude::{document, window},
    wasm_bindgen::{JsCast, JsValue},
};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Element, FormData, Headers, HtmlFormElement, HtmlInputElement, RequestInit, Response, UrlSearchParams};

use super::{
    html::Html,
    ledger::{icon, mark_path},
    manners::on_document,
    way::{Sent, Way},
};
use crate::{
    domain::Currency,
    links,
    live::tab::{self, News},
    locale::Locale,
    wire::{FromJson as _, Json, Position},
    words::Mark,
};

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

    /// The first event that was stored.
    fn event(&self) -> Option<String> {
        let first = js_sys::Reflect::get_u32(&self.field("events")?, 0).ok()?;
        js_sys::Reflect::get(&first, &"event_id".into()).ok()?.as_string()
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
pub fn better() {
    on_document("submit", move |event| {
        let form = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok());
        if let Some((command, form)) = form.and_then(|form| Some((Command::around(&form)?, form))) {
            event.prevent_default();
            // Busy: the first submit's answer is still to come.
            if !form.has_attribute("aria-busy") {
                submit(form, command);
            }
        }
    });
    tab::listen(Rc::new(|news| {
        if matches!(news, News::Expired)
            && let Some(form) = tab::typed()
        {
            session_ended(&form.unchecked_into());
        }
    }));
    on_document("input", move |event| {
        if let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) {
            typed(&input);
        }
    });
}

/// Shows how an amount is understood, and takes back what was said of the field before.
fn typed(input: &HtmlInputElement) {
    let (Ok(Some(field)), Some(command)) = (input.closest(".field"), Command::around(input)) else { return };
    accept(&field, input);
    if let Some(form) = input.form() {
        form.set_attribute(tab::TYPED, "").ok();
    }
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
    let sent = Sent::now(&command.locale);
    spawn_local(async move {
        let path = form.get_attribute("action").unwrap_or_default();
        let answer = post(&path, Some(&body)).await;
        form.remove_attribute("aria-busy").ok();
        take_back(&command.element);
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => {
                accepted(&form, &command, &answer, sent, &body);
            }
            Ok(answer) => refused(&form, answer),
            Err(_) => {
                let words = "No answer: it may be stored or not. Send it again: it is never done twice.";
                refuse_all(&form, words);
            }
        }
    });
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn accepted(form: &HtmlFormElement, command: &Command, answer: &Answer, sent: Sent, body: &FormData) {
    form.remove_attribute(tab::TYPED).ok();
    let next = named(form, "next");
    let Some(position) = answer.number("position").map(|position| Position(position as u64)) else {
        // Nothing was stored: signed in, or out.
        return tab::go(&next.map_or_else(|| "/".to_owned(), |next| next.value()));
    };
    tab::remember(position);
    if let Some(next) = next.filter(|next| next.has_attribute("data-go")) {
        // The other page waits for the position, says so if it takes long, and tells what was done.
        let next = next.value();
        return tab::go(&answer.event().map_or(next.clone(), |event| links::with_done(&next, event)));
    }
    let done = command.element.get_attribute("data-done").unwrap_or_else(|| "Done".to_owned());
    let money = body.get("amount").as_string().and_then(|amount| command.money(&amount));
    Way {
        done: money.map_or_else(|| format!("{done}."), |money| format!("{done} {money}.")),
        position,
        version: (answer.number("version").unwrap_or_default() as u64).to_string(),
        stream: answer.text("stream"),
        command_id: answer.text("command_id"),
    }
    .show(form, sent);
    match named(form, "amount").filter(|_| named(form, "to_id").is_some()) {
        // The next transfer may well go the same way.
        Some(amount) => amount.set_value(""),
        None => form.reset(),
    }
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
    if answer.status == 401 && named(form, "password").is_none() {
        return session_ended(form);
    }
    let (field, words) = answer
        .refusal
        .unwrap_or_else(|| (String::new(), "That did not work, and nothing was done. Try again.".to_owned()));
    match named(form, &field).and_then(|input| Some((input.closest(".field").ok()??, input))) {
        Some((field, input)) => refuse(&field, &input, &words),
        None => drop(refuse_all(form, &words)),
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
fn refuse_all(form: &HtmlFormElement, words: &str) -> Option<Element> {
    take_back(form);
    let note = refusal("refusal whole", words)?;
    note.set_attribute("role", "alert").ok();
    form.insert_before(&note, form.first_child().as_ref()).ok();
    note.last_element_child()
}

/// Takes back what was said of the form as a whole.
fn take_back(around: &Element) {
    if let Ok(Some(note)) = around.query_selector(".refusal.whole") {
        note.remove();
    }
}

/// What was typed stays, and there is a way to sign in that leaves this page as it is.
fn session_ended(form: &HtmlFormElement) {
    let words = "Your session has ended. What you typed is still here: sign in, then send it again. ";
    if let Some(note) = refuse_all(form, words) {
        let mut html = Html::default();
        html.text(words);
        let href = tab::sign_in_address();
        html.put("a", &[("href", &href), ("target", "_blank")], "Sign in in another tab");
        note.set_inner_html(&html.into_string());
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
