//! Trial balance (admins): both sides of the book, per currency, read at one position.

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon},
    locale::Locale,
    wire::{Position, TrialBalanceLine},
};

use super::{Nav, Sheet, Visit, show};

pub fn trial_balance() -> AnyView {
    show(page)
}

async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let seen = visit.queries.trial_balance(&visit.viewer, visit.fresh()).await?;
    let locale = visit.locale;
    let lines = &seen.value.lines;
    let caption = format!("Trial balance at position {}", locale.format_count(seen.position.0));
    let body = view! {
        <div class="head">
            <div class="head-text">
                <h1>"Trial balance"</h1>
                <p>
                    "Both sides of the book, read at one moment. What is in accounts and under way must equal what came \
                     in less what went out, in every currency."
                </p>
            </div>
            {overall(lines, seen.position, locale)}
        </div>
        {if lines.is_empty() {
            view! {
                <div class="empty">
                    <div>
                        <h2>"Nothing here yet"</h2>
                        <p>"A line for every currency will stand here once there is an account."</p>
                    </div>
                </div>
            }
                .into_any()
        } else {
            table(caption, lines, locale).into_any()
        }}
    };
    Ok(Sheet {
        title: "Trial balance".to_owned(),
        nav: Nav::TrialBalance,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
}

/// What the two sides come to. Wider than what they are made of, so that nothing is hidden by an overflow.
fn sides(line: &TrialBalanceLine) -> (i128, i128) {
    let together = i128::from(line.balances) + i128::from(line.in_transit);
    let difference = i128::from(line.deposits) - i128::from(line.withdrawals);
    (together, difference)
}

fn overall(lines: &[TrialBalanceLine], position: Position, locale: Locale) -> AnyView {
    let equal = lines.iter().all(|line| {
        let (together, difference) = sides(line);
        together == difference
    });
    let position = locale.format_count(position.0);
    seal(
        equal,
        if equal { format!("Equal at position {position}") } else { format!("Not equal at position {position}") },
    )
}

fn seal(ok: bool, word: String) -> AnyView {
    let (state, shape) = if ok { ("ok", Icon::Seal) } else { ("broken", Icon::Warn) };
    view! { <span class="seal" data-state=state>{icon(shape)} {word}</span> }.into_any()
}

fn table(caption: String, lines: &[TrialBalanceLine], locale: Locale) -> AnyView {
    let columns = [
        ("", "Currency"),
        ("money", "Balances"),
        ("money", "In transit"),
        ("money balance", "Together"),
        ("money balance", "Deposits"),
        ("money", "Withdrawals"),
        ("money balance", "Difference"),
        ("ref", "Proof"),
    ];
    let head = columns.map(|(class, name)| view! { <th scope="col" class=class>{name}</th> }).collect_view();
    let rows = lines.iter().map(|line| row(line, locale)).collect_view();
    view! {
        <div class="ledger-wrap">
            <table class="ledger stack">
                <caption class="sr">{caption}</caption>
                <thead>
                    <tr>{head}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(line: &TrialBalanceLine, locale: Locale) -> AnyView {
    let (together, difference) = sides(line);
    let equal = together == difference;
    let cell = |class: &'static str, label: &'static str, amount: i128| {
        // Sums of one side stay within what the ledger holds; past it, the plain number is still true.
        let text = i64::try_from(amount)
            .map_or_else(|_| format!("{amount} minor units"), |amount| locale.format_amount(amount, line.currency));
        view! { <td class=class data-label=label>{text}</td> }
    };
    view! {
        <tr>
            <th scope="row" class="what">
                <strong>{line.currency.code()}</strong>
                " "
                <span class="note">{line.currency.name()}</span>
            </th>
            {cell("money", "Balances", line.balances.into())}
            {cell("money", "In transit", line.in_transit.into())}
            {cell("money balance strong", "Together", together)}
            {cell("money balance", "Deposits", line.deposits.into())}
            {cell("money", "Withdrawals", line.withdrawals.into())}
            {cell("money balance strong", "Difference", difference)}
            <td class="ref" data-label="Proof">
                {seal(equal, if equal { "equal" } else { "not equal" }.to_owned())}
            </td>
        </tr>
    }
    .into_any()
}
