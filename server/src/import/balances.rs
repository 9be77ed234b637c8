//! Compares the file's balances with the statement's: each at the version of the account that its row wrote, so that
//! a row imported long ago is checked like one imported just now.

use std::{collections::BTreeMap, sync::Arc};

use app::{
    domain::{AccountId, Currency},
    wire::{Position, Version},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;

use super::{Ledger, Plan, Row, Sample, StatementError, rows::money};

/// Rows compared together: enough for the statement to be read in long pages.
const BATCH: usize = 20_000;
/// Statements read at the same time.
const READERS: usize = 8;
/// Rows of a page.
const PAGE: u32 = 500;

/// A row that was stored, to be looked up in the statement.
pub(super) struct Expected {
    pub row: Row,
    pub balance: i64,
    pub version: Version,
    pub position: Position,
}

#[derive(Debug, Default)]
pub(super) struct Compared {
    pub checked: u64,
    pub disagreements: Sample,
}

/// Compares all that comes in. Rows of one account come in the order of their versions.
pub(super) async fn compare(
    ledger: Arc<dyn Ledger>,
    plan: Plan,
    mut incoming: mpsc::Receiver<Expected>,
) -> Result<Compared, StatementError> {
    let mut compared = Compared::default();
    let mut batch = Vec::new();
    loop {
        let more = incoming.recv_many(&mut batch, BATCH).await;
        if more > 0 && batch.len() < BATCH {
            continue;
        }
        if batch.is_empty() {
            return Ok(compared);
        }
        let mut accounts: BTreeMap<AccountId, Vec<Expected>> = BTreeMap::new();
        let position = batch.iter().map(|expected| expected.position).max().unwrap_or_default();
        for expected in batch.drain(..) {
            accounts.entry(plan.account_id(&expected.row.account)).or_default().push(expected);
        }
        let mut results = stream::iter(accounts)
            .map(|(account, expected)| compare_account(ledger.as_ref(), plan.currency, account, expected, position))
            .buffer_unordered(READERS);
        while let Some(of_account) = results.try_next().await? {
            compared.checked += of_account.checked;
            compared.disagreements.merge(of_account.disagreements);
        }
    }
}

async fn compare_account(
    ledger: &dyn Ledger,
    currency: Currency,
    account: AccountId,
    expected: Vec<Expected>,
    position: Position,
) -> Result<Compared, StatementError> {
    let mut compared = Compared::default();
    let versions = expected.iter().map(|expected| expected.version);
    let Some((first, last)) = versions.clone().min().zip(versions.max()) else { return Ok(compared) };
    let mut before = last.next();
    let mut balances = BTreeMap::new();
    let mut seen = Position(0);
    while before > first {
        let page = ledger.statement(account, before, PAGE, position).await?;
        if page.stale {
            // Waits as long as the views move at all.
            if page.position <= seen {
                let what = format!("the views stand still at position {}, {position} is stored", page.position);
                return Err(StatementError(what));
            }
            seen = page.position;
            continue;
        }
        balances.extend(page.value.items.iter().map(|row| (row.version, row.balance)));
        match page.value.items.last() {
            Some(row) => before = row.version,
            None => break,
        }
    }
    for Expected { row, balance, version, .. } in expected {
        compared.checked += 1;
        let found = balances.get(&version).copied();
        if found != Some(balance) {
            compared.disagreements.add(row.line, || {
                let found = found.map_or_else(|| "no entry".to_owned(), |found| money(found, currency));
                format!(
                    "line {} (transaction {}, account {}): the file says {}, the ledger {found}",
                    row.line,
                    row.transaction_id,
                    row.account,
                    money(balance, currency)
                )
            });
        }
    }
    Ok(compared)
}
