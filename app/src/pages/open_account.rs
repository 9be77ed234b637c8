//! Open an account.

use leptos::prelude::*;

use crate::{
    api::AppError,
    domain::{AccountId, Currency, NAME_MAX},
    islands::CommandForm,
    links,
};

use super::{
    Nav, Sheet, Visit, crumbs,
    fields::{Field, hidden},
    refusal::Refusal,
    show,
};

/// Offered in the list, the usual ones first. Any other of ISO 4217 can be had over the API.
const CURRENCIES: [&str; 18] = [
    "CZK", "EUR", "USD", "GBP", "CHF", "PLN", "HUF", "SEK", "NOK", "DKK", "RON", "JPY", "CNY", "INR", "CAD", "AUD",
    "TRY", "KWD",
];
const ENDPOINT: &str = "/api/fn/open_account";

pub fn open_account() -> AnyView {
    show(page)
}

async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let admin = visit.viewer.is_admin();
    let locale = visit.locale;
    let fields = ["name", "currency", "owner", "overdraft_limit"];
    // What is not shown cannot have a refusal beside it.
    let shown = if admin { &fields[..] } else { &fields[..2] };
    let refusal = Refusal::read(&visit.asked, ENDPOINT, shown, None, &locale);
    let chosen = visit.asked.query("currency");
    let options = CURRENCIES.iter().filter_map(|code| code.parse::<Currency>().ok()).map(|currency| {
        let code = currency.code();
        view! {
            <option value=code selected=chosen.as_deref() == Some(code)>
                {format!("{code} · {}", currency.name())}
            </option>
        }
    });
    let options = options.collect_view();
    let name = Field {
        name: "name",
        label: "Name",
        value: visit.asked.query("name").unwrap_or_default(),
        max_length: Some(NAME_MAX),
        ..Field::default()
    };
    // For someone else, and with an overdraft: admins only.
    let extra = admin.then(|| {
        let owner = Field {
            name: "owner",
            label: "Owner",
            value: visit.asked.query("owner").unwrap_or_default(),
            optional: true,
            hint: Some("The e-mail address (or the id) of the person it is for; yours if left empty."),
            max_length: Some(254),
            ..Field::default()
        };
        let limit = Field {
            name: "overdraft_limit",
            label: "Overdraft limit",
            value: visit.asked.query("overdraft_limit").unwrap_or_default(),
            optional: true,
            ..Field::default()
        };
        (owner.view(&refusal), limit.view(&refusal))
    });
    // Known beforehand, so that its page is where one arrives.
    let account = AccountId(uuid::Uuid::now_v7());
    let (name, refused, whole) = (name.view(&refusal), refusal.of("currency"), refusal.whole());
    let body = view! {
        {crumbs(&[("/", "Accounts")], Some("Open account"))}
        <div class="head">
            <div class="head-text">
                <h1>"Open account"</h1>
                <p>"An account keeps money in one currency. The name can be anything you will recognise."</p>
            </div>
        </div>
        <section class="slip">
            <CommandForm locale done="Opened".to_owned() nostrip:refused=whole>
                <form class="form" method="post" action=ENDPOINT>
                    {hidden("command_id", uuid::Uuid::now_v7().to_string())}
                    {hidden("account_id", account.to_string())}
                    <input type="hidden" name="next" value=links::account(account) data-go />
                    {name}
                    <div class="field" data-refused=refused.as_ref().map(|_| "")>
                        <label for="currency">"Currency"</label>
                        <select
                            id="currency"
                            name="currency"
                            autofocus=refusal.points_at("currency")
                            aria-describedby="currency-help"
                        >
                            {options}
                        </select>
                        <p class=if refused.is_some() { "refusal" } else { "hint" } id="currency-help">
                            {refused.clone().unwrap_or_else(|| "It cannot be changed later.".to_owned())}
                        </p>
                    </div>
                    {extra}
                    <div class="slip-foot">
                        <button class="button main">"Open account"</button>
                        <a class="button bare" href="/">
                            "Cancel"
                        </a>
                    </div>
                </form>
            </CommandForm>
        </section>
    };
    Ok(Sheet { title: "Open account".to_owned(), nav: Nav::Accounts, narrow: true, ..Sheet::of(body.into_any()) })
}
