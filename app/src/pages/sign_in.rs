//! Sign in.

use leptos::prelude::*;
use leptos_axum::ResponseOptions;

use crate::{components::brand, links, ports::Assets};

use super::{
    Sheet,
    fields::{Field, whole},
    frame::document,
    refusal::Refusal,
    visit::{Stranger, see_other, stranger},
};

pub fn sign_in() -> AnyView {
    let Stranger { request, asked } = stranger();
    let next = asked.query("next").filter(|next| links::is_ours(next)).unwrap_or_else(|| "/".to_owned());
    if request.viewer.is_some() {
        see_other(&expect_context::<ResponseOptions>(), &next);
    }
    let refusal = Refusal::read(&asked, "/sign_in", &["email", "password"], None, &request.locale);
    let email = Field {
        name: "email",
        label: "E-mail",
        kind: "email",
        autocomplete: "username",
        value: asked.query("email").unwrap_or_default(),
        ..Field::default()
    };
    let password = Field {
        name: "password",
        label: "Password",
        kind: "password",
        autocomplete: "current-password",
        ..Field::default()
    };
    let ended = asked.query("ended").map(|_| {
        view! {
            <p class="hint" role="status">
                "Your session had ended, and nothing was done. Sign in, and the form comes back as you filled it in."
            </p>
        }
    });
    let body = view! {
        <div class="brand">{brand()} "Daybook"</div>
        <section class="slip">
            <div class="slip-head">
                <h1>"Sign in"</h1>
            </div>
            {ended}
            <form method="post" action="/api/fn/sign_in">
                {whole(&refusal)} <input type="hidden" name="next" value=next />
                {email.view(&refusal)} {password.view(&refusal)}
                <button class="button main">"Sign in"</button>
            </form>
        </section>
        <p class="quiet small">
            "There is no sign-up here. An administrator adds people with " <code>"daybook user add"</code> "."
        </p>
    };
    let sheet = Sheet { title: "Sign in".to_owned(), ..Sheet::of(body.into_any()) };
    document(&request, &expect_context::<Assets>(), sheet)
}
