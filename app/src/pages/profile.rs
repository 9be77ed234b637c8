//! One's own name, password and session.

use leptos::prelude::*;

use crate::{api::AppError, islands::CommandForm};

use super::{
    Sheet, Visit,
    fields::{Field, hidden},
    refusal::Refusal,
    show,
};

pub fn profile() -> AnyView {
    show(page)
}

async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let refusal = Refusal::read(&visit.asked, "/change_password", &["old", "new"], None, &visit.locale);
    let changed = visit.asked.query("changed").is_some();
    let role = if visit.viewer.is_admin() { "Administrator" } else { "Customer" };
    let old = Field {
        name: "old",
        label: "Password now",
        kind: "password",
        autocomplete: "current-password",
        ..Field::default()
    };
    let new = Field {
        name: "new",
        label: "New password",
        kind: "password",
        autocomplete: "new-password",
        hint: Some("10 to 200 characters. A few plain words are good."),
        ..Field::default()
    };
    let (old, new) = (old.view(&refusal), new.view(&refusal));
    let body = view! {
        <div class="head">
            <div class="head-text">
                <h1>{visit.viewer.name.clone()}</h1>
                <p>{role}</p>
            </div>
            <form method="post" action="/api/fn/sign_out">
                <button class="button">"Sign out"</button>
            </form>
        </div>
        {changed
            .then(|| {
                view! {
                    <div class="way-box" role="status">
                        <p>
                            <b>"Password changed."</b>
                            " You are signed out everywhere else."
                        </p>
                    </div>
                }
            })}
        <section class="slip" aria-labelledby="change-password">
            <div class="slip-head">
                <h2 id="change-password">"Change password"</h2>
            </div>
            <CommandForm locale=visit.locale done="Password changed".to_owned() nostrip:refused=refusal.whole()>
            <form class="form" method="post" action="/api/fn/change_password">
                {hidden("next", "/profile?changed=1".to_owned())} {old} {new}
                <p class="will">"You will be signed out everywhere else, at once."</p>
                <div class="slip-foot">
                    <button class="button main">"Change password"</button>
                </div>
            </form>
            </CommandForm>
        </section>
    };
    Ok(Sheet { title: "Profile".to_owned(), narrow: true, ..Sheet::of(body.into_any()) })
}
