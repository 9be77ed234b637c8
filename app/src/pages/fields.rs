//! Fields of forms: a label, a control, and beside it either help or the refusal that is about it.

use leptos::prelude::*;

use crate::{
    components::{Icon, icon},
    domain::Currency,
    locale::Locale,
};

use super::refusal::Refusal;

/// A field of one line. `id` is the field's name too.
pub(super) struct Field {
    pub name: &'static str,
    pub label: &'static str,
    /// `text`, `password`, `email`, `date` …
    pub kind: &'static str,
    /// What was typed before.
    pub value: String,
    pub optional: bool,
    /// Not always shown: the server says that it is needed, since a browser holds a form back without a word over a field
    /// that it cannot point at.
    pub at_times: bool,
    pub autocomplete: &'static str,
    pub hint: Option<&'static str>,
    /// Characters.
    pub max_length: Option<usize>,
    /// The latest day.
    pub max: Option<String>,
}

impl Default for Field {
    fn default() -> Self {
        Self {
            name: "",
            label: "",
            kind: "text",
            value: String::new(),
            optional: false,
            at_times: false,
            autocomplete: "off",
            hint: None,
            max_length: None,
            max: None,
        }
    }
}

impl Field {
    pub fn view(self, refusal: &Refusal) -> AnyView {
        let Self { name, label, kind, value, optional, at_times, autocomplete, hint, max_length, max } = self;
        let refused = refusal.of(name);
        let red = refused.as_ref().map(|_| "");
        let invalid = red.map(|_| "true");
        let help = format!("{name}-help");
        let described = (refused.is_some() || hint.is_some()).then(|| help.clone());
        // Nobody opens a page to type a password at once; a refused one is typed again.
        let autofocus = refusal.points_at(name) && (kind != "password" || refused.is_some());
        // It would be typed blind, and once.
        let show = (autocomplete == "new-password").then(|| {
            view! {
                <button class="copy" type="button" data-show=name aria-pressed="false">
                    "Show password"
                </button>
            }
        });
        view! {
            <div class="field" data-refused=red>
                <label for=name>{label} {optional.then(|| view! { " " <small>"optional"</small> })}</label>
                {show}
                <input
                    id=name
                    name=name
                    type=kind
                    value=value
                    autocomplete=autocomplete
                    maxlength=max_length.map(|max| max.to_string())
                    max=max
                    required=!optional && !at_times
                    autofocus=autofocus
                    aria-describedby=described
                    aria-invalid=invalid
                />
                {help_line(help, refused, hint.map(str::to_owned))}
            </div>
        }
        .into_any()
    }
}

/// An amount with its currency. Islands show under it how it was understood.
pub(super) fn amount(
    name: &'static str,
    label: &'static str,
    currency: Currency,
    value: String,
    refusal: &Refusal,
    locale: &Locale,
) -> AnyView {
    let refused = refusal.of(name);
    let red = refused.as_ref().map(|_| "");
    let invalid = red.map(|_| "true");
    let help = format!("{name}-help");
    let described = refused.is_some().then(|| help.clone());
    view! {
        <div class="field" data-refused=red>
            <label for=name>{label}</label>
            <span class="amount-field">
                <span class="unit" aria-hidden="true">
                    {currency.code()}
                </span>
                <input
                    id=name
                    name=name
                    inputmode="decimal"
                    autocomplete="off"
                    value=value
                    placeholder=locale.format_amount(0, currency)
                    required
                    autofocus=refusal.points_at(name)
                    data-amount
                    aria-describedby=described
                    aria-invalid=invalid
                />
            </span>
            <p class="understood"></p>
            {help_line(help, refused, None)}
        </div>
    }
    .into_any()
}

fn help_line(id: String, refused: Option<String>, hint: Option<String>) -> AnyView {
    match (refused, hint) {
        (Some(why), _) => view! { <p class="refusal" id=id>{icon(Icon::Stop)} {why}</p> }.into_any(),
        (None, Some(hint)) => view! { <p class="hint" id=id>{hint}</p> }.into_any(),
        (None, None) => ().into_any(),
    }
}

pub(super) fn hidden(name: &'static str, value: String) -> impl IntoView {
    view! { <input type="hidden" name=name value=value /> }
}

/// A refusal that is about no single field.
pub(super) fn whole(refusal: &Refusal) -> Option<AnyView> {
    refusal.whole().map(|why| {
        view! {
            <p class="refusal whole" role="alert">
                {icon(Icon::Stop)}
                <span>{why}</span>
            </p>
        }
        .into_any()
    })
}
