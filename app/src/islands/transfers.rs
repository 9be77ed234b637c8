//! Transfers and where they stand.

use std::fmt::Write as _;

use leptos::prelude::*;

use super::{
    Names,
    ledger::{Cell, Piece, Row, draw, short_id, table},
    name_of,
    statement::arrivals,
};
use crate::{
    domain::{AccountId, Date},
    links,
    live::{Newcomers, use_rows},
    locale::Locale,
    wire::{LiveQuery, Position, TransferState, TransferView},
    words,
};

/// As styles know a state.
fn state_of(state: TransferState) -> &'static str {
    match state {
        TransferState::Requested | TransferState::Promised | TransferState::InTransit => "waiting",
        TransferState::Held => "held",
        TransferState::Completed => "done",
        TransferState::Declined => "failed",
    }
}

/// How many of the five steps are reached.
fn reached(transfer: &TransferView) -> usize {
    match transfer.state {
        TransferState::Requested => 1,
        // Where it was declined: at the destination it had been held before.
        TransferState::Declined if transfer.version.0 <= 2 => 2,
        TransferState::Held => 2,
        TransferState::Promised | TransferState::Declined => 3,
        TransferState::InTransit => 4,
        TransferState::Completed => 5,
    }
}

/// The five steps as a line of ticks.
fn track(transfer: &TransferView) -> String {
    let reached = reached(transfer);
    let done = transfer.state == TransferState::Completed;
    let mut svg = String::from("<svg viewBox=\"0 0 76 10\" aria-hidden=\"true\">");
    for step in 0..4 {
        let class = if step + 1 < reached || done { "on" } else { "" };
        let (from, to) = (50 + step * 165, 50 + (step + 1) * 165);
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<line x1=\"{}.{}\" x2=\"{}.{}\" y1=\"5\" y2=\"5\" class=\"{class}\"/>",
            from / 10,
            from % 10,
            to / 10,
            to % 10
        );
    }
    for step in 0..5 {
        let class = match (step + 1).cmp(&reached) {
            _ if done => "on",
            std::cmp::Ordering::Less => "on",
            std::cmp::Ordering::Equal if transfer.state == TransferState::Declined => "no",
            std::cmp::Ordering::Equal => "now",
            std::cmp::Ordering::Greater => "",
        };
        let x = 20 + step * 165;
        let _ = write!(
            svg,
            "<rect x=\"{}.{}\" y=\"2\" width=\"6\" height=\"6\" rx=\"3\" class=\"{class}\"/>",
            x / 10,
            x % 10
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The list of transfers, newest first. `live`: the newest page. `names`: the viewer's own accounts; money from one of
/// them is shown as leaving.
#[island]
pub fn TransferRows(
    transfers: Vec<TransferView>,
    names: Names,
    position: Position,
    locale: Locale,
    live: bool,
) -> impl IntoView {
    let newcomers = if live { Newcomers::Show } else { Newcomers::Count(Box::new(|_: &TransferView| true)) };
    let list = use_rows(vec![LiveQuery::Transfers], position, transfers, newcomers);
    let drawn = Memo::new(move |_| {
        list.rows.with(|rows| rows.iter().map(|transfer| transfer_row(transfer, &names, &locale)).collect())
    });
    let columns = [("date", "Asked"), ("", "From → to"), ("", "State"), ("money", "Amount"), ("", "Currency")];
    view! {
        {arrivals(list, "transfer", "transfers")}
        {table(
            "ledger link-rows",
            "Transfers, newest first".to_owned(),
            columns.into_iter().map(|(class, title)| (class, title.to_owned())).collect(),
            drawn,
        )}
    }
}

fn transfer_row(transfer: &TransferView, names: &Names, locale: &Locale) -> Row {
    let own = |id: AccountId| names.iter().any(|(known, _)| *known == id);
    let (class, amount) = match (own(transfer.from), own(transfer.to)) {
        (true, _) => ("money", locale.format_signed(-transfer.amount, transfer.currency)),
        (false, true) => ("money in", locale.format_signed(transfer.amount, transfer.currency)),
        (false, false) => ("money", locale.format_amount(transfer.amount, transfer.currency)),
    };
    let between = format!("{} → {}", name_of(names, transfer.from), name_of(names, transfer.to));
    let mut what = vec![Piece::link("", between, links::transfer(transfer.id))];
    what.extend(transfer.description.as_ref().map(|text| Piece::note("note", text)));
    Row {
        key: transfer.id.0.as_u128(),
        id: None,
        class: "",
        cells: vec![
            Cell::new(
                "date",
                "sub",
                vec![Piece::Time {
                    text: locale.format_day(Date::of_micros(transfer.requested_at)),
                    exact: locale.format_moment(transfer.requested_at),
                }],
            ),
            Cell::new("what", "lead", what),
            Cell::new(
                "",
                "end",
                vec![
                    Piece::Track(track(transfer)),
                    Piece::state(state_of(transfer.state), words::transfer_state(transfer.state, transfer.reason)),
                ],
            ),
            Cell::text(class, "side", amount),
            Cell::text("quiet small", "", transfer.currency.code()),
        ],
    }
}

/// A transfer's page below its crumbs: state, amount, parties, its way, technical details.
#[island]
pub fn TransferPage(transfer: TransferView, names: Names, position: Position, locale: Locale) -> impl IntoView {
    let rows =
        use_rows(vec![LiveQuery::Transfer(transfer.id)], position, vec![transfer.clone()], Newcomers::Ignore).rows;
    let now = Memo::new(move |_| rows.with(|rows| rows.first().cloned()).unwrap_or_else(|| transfer.clone()));
    let first = now.get_untracked();
    let amount = locale.format_amount(first.amount, first.currency);
    let state = move || now.with(|t| draw(Piece::state(state_of(t.state), words::transfer_state(t.state, t.reason))));
    let steps = move || {
        now.with(|t| {
            steps(t, &locale)
                .into_iter()
                .map(|(step, name, when, words)| {
                    view! {
                        <li data-step=step>
                            <b>{name}</b>
                            <span class="moment">{when}</span>
                            <p>{words}</p>
                        </li>
                    }
                })
                .collect::<Vec<_>>()
        })
    };
    let id = first.id.to_string();
    view! {
        <div class="head">
            <div class="head-text">
                <div class="head-line"><h1>"Transfer"</h1>{state}</div>
                <p class="figure"><span class="unit">{first.currency.code()}</span><span>{amount}</span></p>
                <p>{first.description.clone()}</p>
            </div>
        </div>
        <div class="parties">
            {party("From", first.from, &names)}
            <span class="quiet" aria-hidden="true">"→"</span>
            {party("To", first.to, &names)}
        </div>
        <div class="desk section">
            <section>
                <div class="section-head"><h2>"Its way"</h2></div>
                <ol class="steps">{steps}</ol>
            </section>
            <aside>
                <div class="section-head"><h2>"Technical details"</h2></div>
                <dl class="facts">
                    <div>
                        <dt>"Transfer"</dt>
                        <dd>
                            <span class="id" title=id.clone()>{short_id(&id)}</span>
                            " "
                            <button class="copy" type="button" data-copy=id.clone()>"Copy"</button>
                        </dd>
                    </div>
                    <div>
                        <dt>"Stream"</dt>
                        <dd><a class="id" href=links::stream(first.id.into())>{format!("transfer {}", short_id(&id))}</a></dd>
                    </div>
                    <div><dt>"Version"</dt><dd>{move || now.with(|t| t.version.to_string())}</dd></div>
                    <div><dt>"Position"</dt><dd>{move || now.with(|t| locale.format_count(t.position.0))}</dd></div>
                </dl>
            </aside>
        </div>
    }
}

fn party(side: &'static str, id: AccountId, names: &Names) -> impl IntoView + use<> {
    let full = id.to_string();
    let name = match names.iter().find(|(known, _)| *known == id) {
        Some((_, name)) => Piece::link("", name.clone(), links::account(id)),
        None => Piece::text("Another account"),
    };
    view! {
        <div>
            <span class="quiet">{side}</span>
            {draw(name)}
            <span class="id" title=full.clone()>{short_id(&full)}</span>
        </div>
    }
}

/// Each step: how it stands, its name, when, and what it means.
fn steps(transfer: &TransferView, locale: &Locale) -> Vec<(&'static str, String, String, &'static str)> {
    let reached = reached(transfer);
    let ended = matches!(transfer.state, TransferState::Completed | TransferState::Declined);
    let names = [
        ("Requested", "Asked for by the owner of the account it leaves."),
        ("Held", "Set aside at the source; it can no longer be spent."),
        ("Promised", "The other account is open, has the currency and will take it."),
        ("In transit", "The money has left the source. Nothing can refuse it any more."),
        ("Completed", "The other account has it."),
    ];
    let mut steps = Vec::new();
    for (index, (name, words)) in names.into_iter().enumerate() {
        let at = index + 1;
        let declined_here = transfer.state == TransferState::Declined && at == reached;
        let when = match at {
            1 => locale.format_moment(transfer.requested_at),
            _ if at == reached => locale.format_moment(transfer.updated_at),
            _ => String::new(),
        };
        if declined_here {
            let what = words::transfer_state(transfer.state, transfer.reason);
            steps.push(("failed", what, when, "Nothing has moved; what was held is free again."));
            break;
        }
        let step = if at < reached || (at == reached && ended) {
            "done"
        } else if at == reached {
            "now"
        } else {
            "ahead"
        };
        steps.push((step, name.to_owned(), when, words));
    }
    steps
}
