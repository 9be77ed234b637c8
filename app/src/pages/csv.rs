//! An account's statement as CSV (RFC 4180), oldest entry first, written as it is read: memory stays flat.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use futures_util::stream::{self, StreamExt as _};
use http::header;

use crate::{
    api::AppError,
    domain::{AccountId, Currency, Date, format_amount},
    ports::{Freshness, QueryPort, StatementFilter, Viewer},
    wire::{EntryKind, StatementRow},
};

const HEAD: &str = "entry,date,type,description,counterparty,amount,balance,currency,transfer,event,\
                    reverses,reversed_by,recorded_at\r\n";
/// Rows read at a time.
const BATCH: u32 = 500;

/// The download of `/accounts/{id}/statement.csv`. Whoever may not see the account gets [`AppError::NotFound`]. A
/// failure after the first rows cuts the download off, so that no one takes a part for the whole.
pub async fn statement_csv(
    queries: Arc<dyn QueryPort>,
    viewer: Viewer,
    id: AccountId,
    fresh: Freshness,
) -> Result<Response, AppError> {
    let account = queries.account(&viewer, id, fresh).await?.value;
    let (first, next) = batch(&*queries, &viewer, id, None, account.currency).await?;
    let rest = stream::unfold(next.map(|next| (queries, viewer, next)), move |rest| async move {
        let (queries, viewer, after) = rest?;
        match batch(&*queries, &viewer, id, Some(after), account.currency).await {
            Ok((rows, next)) => Some((Ok(rows), next.map(|next| (queries, viewer, next)))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let all = stream::iter([Ok(HEAD.to_owned()), Ok(first)]).chain(rest);
    let mut answer = Response::new(Body::from_stream(all));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(file) = http::HeaderValue::try_from(format!("attachment; filename=\"{}\"", file_name(&account.name, id)))
    {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(answer)
}

async fn batch(
    queries: &dyn QueryPort,
    viewer: &Viewer,
    id: AccountId,
    after: Option<String>,
    currency: Currency,
) -> Result<(String, Option<String>), AppError> {
    let filter = StatementFilter { after, limit: BATCH, ascending: true, ..StatementFilter::default() };
    let page = queries.statement(viewer, id, filter, Freshness::default()).await?.value;
    Ok((page.items.iter().map(|row| line(row, currency)).collect(), page.next))
}

fn line(row: &StatementRow, currency: Currency) -> String {
    let kind = match row.kind {
        EntryKind::Deposit => "deposit",
        EntryKind::Withdrawal => "withdrawal",
        EntryKind::TransferIn => "transfer_in",
        EntryKind::TransferOut => "transfer_out",
        EntryKind::Reversal => "reversal",
    };
    let id = |id: Option<String>| id.unwrap_or_default();
    let cells = [
        row.version.to_string(),
        row.effective_on.to_string(),
        kind.to_owned(),
        text(row.description.as_deref().unwrap_or_default()),
        id(row.counterparty.map(|id| id.to_string())),
        format_amount(row.amount, currency),
        format_amount(row.balance, currency),
        currency.code().to_owned(),
        id(row.transfer_id.map(|id| id.to_string())),
        row.event_id.to_string(),
        id(row.reverses.map(|id| id.to_string())),
        id(row.reversed_by.map(|id| id.to_string())),
        recorded(row.recorded_at),
    ];
    cells.join(",") + "\r\n"
}

/// `2026-11-22T14:02:11Z`. `micros` since 1970.
fn recorded(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000).rem_euclid(86_400);
    format!("{}T{:02}:{:02}:{:02}Z", Date::of_micros(micros), seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A file name that says whose statement it is: `statement-savings-019bd4f2.csv`.
fn file_name(name: &str, id: AccountId) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    let words: Vec<&str> = plain.split_whitespace().take(6).collect();
    let id = id.to_string();
    let parts = ["statement"].into_iter().chain(words).chain([&id[..8]]);
    format!("{}.csv", parts.collect::<Vec<_>>().join("-"))
}

/// Free text as a cell. Spreadsheets run what begins like a formula: an apostrophe in front keeps it text.
fn text(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { "'" } else { "" };
    if guard.is_empty() && !text.contains([',', '"', '\r', '\n']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::EventId,
        wire::{Position, Version},
    };

    #[test]
    fn a_file_is_named_after_its_account() {
        let id = AccountId(uuid::Uuid::nil());
        assert_eq!(file_name("Everyday account", id), "statement-everyday-account-00000000.csv");
        assert_eq!(file_name("\"../Účet", id), "statement-et-00000000.csv");
        assert_eq!(recorded(1_000_000_482_000), "1970-01-12T13:46:40Z");
    }

    #[test]
    fn an_entry_and_its_reversal_point_at_each_other() {
        let [entry, reversal] = [1, 2].map(|number| EventId(uuid::Uuid::from_u128(number)));
        let row = |event_id, kind, reverses, reversed_by| StatementRow {
            account_id: AccountId(uuid::Uuid::nil()),
            event_id,
            kind,
            amount: 100,
            balance: 100,
            effective_on: Date::of_micros(0),
            recorded_at: 0,
            description: None,
            transfer_id: None,
            counterparty: None,
            reverses,
            reversed_by,
            version: Version(1),
            entry_position: Position(1),
            position: Position(1),
        };
        let czk = "CZK".parse().expect("a currency");
        let cell = |row, name| {
            let at = HEAD.trim_end().split(',').position(|column| column == name).expect("a column");
            line(&row, czk).trim_end().split(',').nth(at).expect("a cell").to_owned()
        };
        let reversed = row(entry, EntryKind::Deposit, None, Some(reversal));
        assert_eq!(cell(reversed.clone(), "reversed_by"), reversal.to_string());
        assert_eq!(cell(reversed, "reverses"), "");
        let undoing = row(reversal, EntryKind::Reversal, Some(entry), None);
        assert_eq!(cell(undoing.clone(), "reverses"), entry.to_string());
        assert_eq!(cell(undoing.clone(), "reversed_by"), "");
        assert_eq!(cell(undoing, "recorded_at"), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn text_is_quoted_and_never_a_formula() {
        assert_eq!(text("salary"), "salary");
        assert_eq!(text("rent, \"May\""), "\"rent, \"\"May\"\"\"");
        assert_eq!(text("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        for formula in ["+1", "-1", "@SUM(A1)", "\t=1"] {
            assert!(text(formula).starts_with("\"'"), "{formula}");
        }
    }
}
