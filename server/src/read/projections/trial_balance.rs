//! The trial balance: both sides of the book, by currency. Balances + in transit = deposits − withdrawals, always.

use std::collections::{BTreeMap, BTreeSet};

use app::{
    domain::{AccountId, Currency, account::AccountEvent},
    wire::{EntryKind, Event, Position, TrialBalanceLine},
};
use async_trait::async_trait;

use super::{
    super::{
        changes::{Changed, Changes},
        columns::{json_array, position, text},
        sql::{DbError, Row, Tx, insert},
    },
    ApplyError, Decoded, Projection, Tables,
    entry::entry,
};

pub struct TrialBalance;

/// Sums over any number of accounts: more than 64 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub balances: i128,
    pub in_transit: i128,
    pub deposits: i128,
    pub withdrawals: i128,
    pub position: Position,
}

impl Sums {
    /// As it is shown.
    pub fn line(&self, currency: Currency) -> TrialBalanceLine {
        let Self { balances, in_transit, deposits, withdrawals, position } = *self;
        TrialBalanceLine { currency, balances, in_transit, deposits, withdrawals, position }
    }

    fn add(&mut self, kind: EntryKind, amount: i64) {
        let amount = i128::from(amount);
        self.balances += amount;
        match kind {
            EntryKind::TransferOut | EntryKind::TransferIn => self.in_transit -= amount,
            EntryKind::Deposit => self.deposits += amount,
            // Money that goes out again was deposited; money that comes back was withdrawn.
            EntryKind::Reversal if amount < 0 => self.deposits += amount,
            EntryKind::Withdrawal | EntryKind::Reversal => self.withdrawals -= amount,
        }
    }
}

#[async_trait]
impl Projection for TrialBalance {
    fn name(&self) -> &'static str {
        "trial_balance"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["trial_balance", "trial_balance_accounts"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("../../../../migrations/read/projections/trial_balance.sql")
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        tables: Tables,
        events: &[&Decoded],
        changes: &mut Changes,
    ) -> Result<(), ApplyError> {
        let mut currencies = load_currencies(tx, tables, events).await?;
        let mut opened = Vec::new();
        let mut lines = load_lines(tx, tables).await?;
        let mut changed = BTreeSet::new();
        for decoded in events {
            let event = match &decoded.event {
                Event::Account(event) => event,
                Event::Transfer(_) | Event::Session(_) | Event::Projection(_) => continue,
            };
            let envelope = &decoded.envelope;
            let account = AccountId(envelope.stream.id);
            if let AccountEvent::AccountOpened { currency, .. } = event {
                currencies.insert(account, *currency);
                opened.push((account, *currency));
            }
            let Some(entry) = entry(event, envelope.recorded_at) else { continue };
            let Some(&currency) = currencies.get(&account) else {
                return Err(ApplyError::event(decoded, format!("account {account} was never opened")));
            };
            let line = lines.entry(currency).or_default();
            line.add(entry.kind, entry.amount);
            line.position = envelope.position;
            changed.insert(currency);
        }
        save_accounts(tx, tables, &opened).await?;
        let mut changed: Vec<_> = changed.into_iter().filter_map(|currency| lines.get_key_value(&currency)).collect();
        changed.sort_unstable_by_key(|(_, line)| line.position);
        save_lines(tx, tables, &changed).await?;
        changes.add(|| changed.iter().map(|(currency, line)| Changed::TrialBalance(line.line(**currency))));
        Ok(())
    }
}

async fn load_currencies(
    tx: &mut Tx,
    tables: Tables,
    events: &[&Decoded],
) -> Result<BTreeMap<AccountId, Currency>, ApplyError> {
    let touched: BTreeSet<_> = events
        .iter()
        .filter(|decoded| matches!(decoded.event, Event::Account(_)))
        .map(|decoded| AccountId(decoded.envelope.stream.id))
        .collect();
    let rows = tables
        .sql(
            "SELECT account_id, currency FROM trial_balance_accounts{next}
         WHERE account_id IN (SELECT value FROM {keys})",
        )
        .bind(json_array(touched))
        .fetch_all(tx)
        .await?;
    rows.iter().map(|row| Ok((text(row, "account_id")?, text(row, "currency")?))).collect()
}

async fn load_lines(tx: &mut Tx, tables: Tables) -> Result<BTreeMap<Currency, Sums>, ApplyError> {
    let rows = tables
        .sql("SELECT currency, balances, in_transit, deposits, withdrawals, position FROM trial_balance{next}")
        .fetch_all(tx)
        .await?;
    Ok(rows.iter().map(sums).collect::<Result<_, _>>()?)
}

/// A row of `trial_balance`, all columns by name.
pub fn sums(row: &Row) -> Result<(Currency, Sums), DbError> {
    let sums = Sums {
        balances: text(row, "balances")?,
        in_transit: text(row, "in_transit")?,
        deposits: text(row, "deposits")?,
        withdrawals: text(row, "withdrawals")?,
        position: position(row, "position")?,
    };
    Ok((text(row, "currency")?, sums))
}

async fn save_accounts(tx: &mut Tx, tables: Tables, opened: &[(AccountId, Currency)]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables.text("INSERT INTO trial_balance_accounts{next} (account_id, currency)"),
        "",
        opened.iter().map(|(account, currency)| [account.to_string().into(), currency.code().into()]),
    )
    .await?;
    Ok(())
}

async fn save_lines(tx: &mut Tx, tables: Tables, lines: &[(&Currency, &Sums)]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables
            .text("INSERT INTO trial_balance{next} (currency, balances, in_transit, deposits, withdrawals, position)"),
        " ON CONFLICT (currency) DO UPDATE SET balances = excluded.balances, in_transit = excluded.in_transit,
                  deposits = excluded.deposits, withdrawals = excluded.withdrawals, position = excluded.position",
        lines.iter().map(|(currency, sums)| {
            [
                currency.code().into(),
                sums.balances.to_string().into(),
                sums.in_transit.to_string().into(),
                sums.deposits.to_string().into(),
                sums.withdrawals.to_string().into(),
                sums.position.as_i64().into(),
            ]
        }),
    )
    .await?;
    Ok(())
}
