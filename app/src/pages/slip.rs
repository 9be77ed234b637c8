//! The slips: one form a command, beside the account it is about. The same form works with JavaScript and without.

use std::str::FromStr;

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon, id_copied, short_id},
    domain::{AccountId, EventId, IdError, TEXT_MAX, account::Status},
    islands::CommandForm,
    links,
    ports::{AccountsFilter, EventsFilter},
    wire::{AccountView, EventView},
    words::describe_event,
};

use super::{
    Visit,
    fields::{Field, amount, hidden},
    refusal::Refusal,
};

/// A form about an account, as named in its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slip {
    Deposit,
    Withdraw,
    Transfer,
    Freeze,
    Close,
    Unfreeze,
    Limit,
    Reverse,
}

impl FromStr for Slip {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        const ALL: [Slip; 8] = [
            Slip::Deposit,
            Slip::Withdraw,
            Slip::Transfer,
            Slip::Freeze,
            Slip::Close,
            Slip::Unfreeze,
            Slip::Limit,
            Slip::Reverse,
        ];
        ALL.into_iter().find(|slip| slip.name() == text).ok_or_else(|| IdError(text.to_owned()))
    }
}

impl Slip {
    fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdraw => "withdraw",
            Self::Transfer => "transfer",
            Self::Freeze => "freeze",
            Self::Close => "close",
            Self::Unfreeze => "unfreeze",
            Self::Limit => "limit",
            Self::Reverse => "reverse",
        }
    }

    pub fn address(self, account: AccountId) -> String {
        format!("{}/{}", links::account(account), self.name())
    }

    pub fn admins_only(self) -> bool {
        matches!(self, Self::Unfreeze | Self::Limit | Self::Reverse)
    }

    /// In one word, as on a button.
    pub fn title(self) -> &'static str {
        match self {
            Self::Deposit => "Deposit",
            Self::Withdraw => "Withdraw",
            Self::Transfer => "Transfer",
            Self::Freeze => "Freeze",
            Self::Close => "Close",
            Self::Unfreeze => "Unfreeze",
            Self::Limit => "Overdraft limit",
            Self::Reverse => "Reverse",
        }
    }

    /// In a few words.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Freeze => "Freeze account",
            Self::Close => "Close account",
            Self::Unfreeze => "Unfreeze account",
            Self::Limit => "Change overdraft limit",
            Self::Reverse => "Reverse an entry",
            Self::Deposit | Self::Withdraw | Self::Transfer => self.title(),
        }
    }

    /// The server function that takes it.
    fn endpoint(self) -> &'static str {
        match self {
            Self::Deposit => "/api/fn/deposit_money",
            Self::Withdraw => "/api/fn/withdraw_money",
            Self::Transfer => "/api/fn/request_transfer",
            Self::Freeze => "/api/fn/freeze_account",
            Self::Close => "/api/fn/close_account",
            Self::Unfreeze => "/api/fn/unfreeze_account",
            Self::Limit => "/api/fn/change_overdraft_limit",
            Self::Reverse => "/api/fn/reverse_entry",
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Deposit | Self::Withdraw => &["amount", "description", "effective_on"],
            Self::Transfer => &["to", "to_id", "amount", "description"],
            Self::Freeze | Self::Reverse => &["reason"],
            Self::Limit => &["limit"],
            Self::Close | Self::Unfreeze => &[],
        }
    }

    /// What to say when it is done; an amount follows by itself.
    fn done(self) -> &'static str {
        match self {
            Self::Deposit => "Deposited",
            Self::Withdraw => "Withdrew",
            Self::Transfer => "Asked to transfer",
            Self::Freeze => "Frozen",
            Self::Close => "Closed",
            Self::Unfreeze => "Unfrozen",
            Self::Limit => "Overdraft limit changed",
            Self::Reverse => "Reversed",
        }
    }
}

pub(super) async fn slip_view(visit: &Visit, slip: Slip, account: &AccountView) -> Result<AnyView, AppError> {
    let (id, currency, locale) = (account.id, account.currency, visit.locale);
    let refusal = Refusal::read(&visit.asked, slip.endpoint(), slip.fields(), Some(currency), &locale);
    let typed = |name| visit.asked.query(name).unwrap_or_default();
    let description = || {
        Field {
            name: "description",
            label: "Description",
            value: typed("description"),
            optional: true,
            max_length: Some(TEXT_MAX),
            ..Field::default()
        }
        .view(&refusal)
    };
    let fields = match slip {
        Slip::Deposit | Slip::Withdraw => {
            let today = visit.today().to_string();
            let effective = Field {
                name: "effective_on",
                label: "Date it took effect",
                kind: "date",
                value: visit.asked.query("effective_on").unwrap_or_else(|| today.clone()),
                max: Some(today),
                hint: Some("Today by UTC, or earlier. Never in the future."),
                ..Field::default()
            };
            (
                amount("amount", "Amount", currency, typed("amount"), &refusal, &locale),
                description(),
                effective.view(&refusal),
            )
                .into_any()
        }
        Slip::Transfer => {
            let to = destination(visit, account, &refusal).await?;
            (to, amount("amount", "Amount", currency, typed("amount"), &refusal, &locale), description()).into_any()
        }
        Slip::Freeze => reason(typed("reason"), &refusal),
        Slip::Limit => {
            let now = locale.format_amount(account.overdraft_limit, currency);
            let value = visit.asked.query("limit").unwrap_or(now);
            amount("limit", "Overdraft limit", currency, value, &refusal, &locale)
        }
        Slip::Reverse => (entry(visit, account).await?, reason(typed("reason"), &refusal)).into_any(),
        Slip::Close | Slip::Unfreeze => ().into_any(),
    };
    let back = links::account(id);
    let account_field = if slip == Slip::Transfer { "from" } else { "account_id" };
    Ok(view! {
        <section class="slip" aria-labelledby="slip">
            <div class="slip-head">
                <h2 id="slip">{if slip.will().is_empty() { slip.heading() } else { slip.question() }}</h2>
                <a href=back.clone()>"Close"</a>
            </div>
            <CommandForm locale currency done=slip.done().to_owned() nostrip:refused=refusal.whole()>
                <form method="post" action=slip.endpoint()>
                    {hidden("command_id", uuid::Uuid::now_v7().to_string())}
                    {hidden(account_field, id.to_string())} {hidden("currency", currency.code().to_owned())} {hidden("next", back.clone())} {fields} {will(slip)}
                    <div class="slip-foot">
                        <button class=slip.button_class()>{slip.button()}</button>
                        <a class="button bare" href=back.clone()>
                            {slip.keep()}
                        </a>
                    </div>
                </form>
            </CommandForm>
        </section>
    }
    .into_any())
}

impl Slip {
    /// What exactly will happen, where that is not plain.
    fn will(self) -> &'static [&'static str] {
        match self {
            Self::Freeze => &[
                "Nothing can be paid in, withdrawn or transferred from it.",
                "Transfers already on their way still arrive.",
                "Only an administrator can unfreeze it.",
            ],
            Self::Close => &[
                "It takes no more money and gives none.",
                "Its statement and timeline stay readable.",
                "It cannot be opened again.",
            ],
            Self::Unfreeze => &["It can be used again at once."],
            Self::Reverse => &[
                "A new entry takes the amount back; the old one stays, struck through.",
                "Both point at each other.",
                "An entry can be reversed once.",
            ],
            Self::Deposit | Self::Withdraw | Self::Transfer | Self::Limit => &[],
        }
    }

    fn question(self) -> &'static str {
        match self {
            Self::Freeze => "Freeze this account",
            Self::Close => "Close this account",
            Self::Unfreeze => "Unfreeze this account",
            Self::Reverse => "Reverse this entry",
            Self::Deposit | Self::Withdraw | Self::Transfer | Self::Limit => self.heading(),
        }
    }

    fn button(self) -> &'static str {
        match self {
            Self::Close => "Close account for good",
            Self::Reverse => "Reverse entry",
            Self::Limit => "Change limit",
            Self::Deposit | Self::Withdraw | Self::Transfer | Self::Freeze | Self::Unfreeze => self.heading(),
        }
    }

    fn button_class(self) -> &'static str {
        if matches!(self, Self::Freeze | Self::Close | Self::Reverse) { "button danger" } else { "button main" }
    }

    fn keep(self) -> &'static str {
        match self {
            Self::Freeze => "Keep it open",
            Self::Close => "Keep it",
            Self::Deposit | Self::Withdraw | Self::Transfer | Self::Unfreeze | Self::Limit | Self::Reverse => "Cancel",
        }
    }
}

fn will(slip: Slip) -> Option<AnyView> {
    let lines = slip.will();
    let class = if slip == Slip::Close { "will final" } else { "will" };
    (!lines.is_empty()).then(|| {
        view! { <ul class=class>{lines.iter().map(|line| view! { <li>{*line}</li> }).collect_view()}</ul> }.into_any()
    })
}

fn reason(value: String, refusal: &Refusal) -> AnyView {
    Field { name: "reason", label: "Reason", value, max_length: Some(TEXT_MAX), ..Field::default() }.view(refusal)
}

/// Where a transfer goes: one of the owner's other accounts in this currency, or any account by its id.
async fn destination(visit: &Visit, from: &AccountView, refusal: &Refusal) -> Result<AnyView, AppError> {
    let filter = AccountsFilter { owner: Some(from.owner), limit: 500, ..AccountsFilter::default() };
    let others = visit.queries.accounts(&visit.viewer, filter, visit.fresh()).await?.value.items;
    let others = others
        .into_iter()
        .filter(|other| other.id != from.id && other.currency == from.currency && other.status == Status::Open);
    let others: Vec<_> = others.collect();
    let chosen = visit.asked.query("to").unwrap_or_default();
    let typed = visit.asked.query("to_id").unwrap_or_default();
    let refused = refusal.of("to");
    let elsewhere = others.is_empty() || !typed.is_empty();
    let options = others
        .iter()
        .map(|other| {
            let id = other.id.to_string();
            let selected = !elsewhere && chosen == id;
            let words = format!(
                "{} · {} {}",
                other.name,
                other.currency,
                visit.locale.format_amount(other.balance, other.currency)
            );
            view! {
                <option value=id selected=selected>
                    {words}
                </option>
            }
        })
        .collect_view();
    let field = Field {
        name: "to_id",
        label: "Account id",
        value: typed,
        at_times: !others.is_empty(),
        hint: Some("36 characters, as the other side sees it on their account."),
        max_length: Some(36),
        ..Field::default()
    };
    let chosen_refused = refused.filter(|_| !elsewhere);
    let typed_refusal = if elsewhere { refusal.moved("to", "to_id") } else { Refusal::default() };
    let select = (!others.is_empty()).then(|| {
        view! {
            <div class="field" data-refused=chosen_refused.as_ref().map(|_| "")>
                <label for="to">"To"</label>
                <select id="to" name="to" autofocus=!elsewhere && refusal.points_at("to")>
                    {options}
                    <option class="other-choice" value="" selected=elsewhere>
                        "Another account, by its id"
                    </option>
                </select>
                {chosen_refused
                    .clone()
                    .map(|why| {
                        view! {
                            <p class="refusal">
                                {icon(Icon::Stop)}
                                <span>{why}</span>
                            </p>
                        }
                    })}
            </div>
        }
    });
    let class = if others.is_empty() { "" } else { "other" };
    Ok(view! {
        {select}
        <div class=class>{field.view(&typed_refusal)}</div>
    }
    .into_any())
}

/// The entry that is to be reversed, in words.
async fn entry(visit: &Visit, account: &AccountView) -> Result<AnyView, AppError> {
    let id = visit.asked.query("event").and_then(|text| EventId::parse(&text).ok()).ok_or(AppError::NotFound)?;
    let event = visit.event(id).await?;
    if event.stream != account.id.into() {
        return Err(AppError::NotFound);
    }
    let said = said(visit, &event, account);
    Ok(view! {
        {hidden("event_id", id.to_string())}
        <dl class="facts">
            <div>
                <dt>"Entry"</dt>
                <dd>
                    <a href=links::moment(account.id, event.version)>{format!("#{}", event.version)}</a>
                    " "
                    {said}
                </dd>
            </div>
            <div>
                <dt>"Event"</dt>
                <dd>{id_copied(id.to_string())}</dd>
            </div>
        </dl>
    }
    .into_any())
}

fn said(visit: &Visit, event: &EventView, account: &AccountView) -> String {
    crate::wire::decode(&event.event_type, event.schema, event.payload.as_bytes()).map_or_else(
        |_| short_id(&event.event_id.to_string()),
        |read| describe_event(&read, Some(account.currency), &visit.locale),
    )
}

impl Visit {
    /// One event by its id, if it is there and the viewer may see it.
    pub async fn event(&self, id: EventId) -> Result<EventView, AppError> {
        let filter = EventsFilter { event: Some(id), limit: 1, ..EventsFilter::default() };
        let seen = self.queries.events(&self.viewer, filter, self.fresh()).await?;
        let absent = AppError::absent(seen.stale);
        seen.value.items.into_iter().next().ok_or(absent)
    }
}
