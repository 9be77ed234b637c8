//! Accounts as they stand: all, by id, by owner, by balance.

use std::collections::{BTreeSet, HashMap};

use app::{
    domain::{
        AccountId, Currency, UserId,
        account::{Account, AccountEvent, evolve},
    },
    wire::{AccountView, Event, Position, Version},
};
use async_trait::async_trait;

use super::{
    super::{
        changes::{Changed, Changes},
        columns::{choice, json_array, position, text, version, word},
        sql::{DbError, Row as DbRow, Tx, insert},
    },
    ApplyError, Decoded, Projection, Tables,
};

pub struct Accounts;

/// An account's row while a batch goes over it: the aggregate's own state, and what only the view has.
struct Row {
    owner: UserId,
    currency: Currency,
    state: Account,
    opened_at: i64,
    version: Version,
    position: Position,
}

#[async_trait]
impl Projection for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &["accounts"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("../../../../migrations/read/projections/accounts.sql")
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        tables: Tables,
        events: &[&Decoded],
        changes: &mut Changes,
    ) -> Result<(), ApplyError> {
        let mut rows = load(tx, tables, events).await?;
        for decoded in events {
            let event = match &decoded.event {
                Event::Account(event) => event,
                Event::Transfer(_) | Event::Session(_) | Event::Projection(_) => continue,
            };
            let envelope = &decoded.envelope;
            let id = AccountId(envelope.stream.id);
            if let AccountEvent::AccountOpened { owner, currency, .. } = event {
                let row = Row {
                    owner: *owner,
                    currency: *currency,
                    state: Account::default(),
                    opened_at: envelope.recorded_at,
                    version: envelope.version,
                    position: envelope.position,
                };
                if rows.insert(id, row).is_some() {
                    return Err(ApplyError::event(decoded, format!("account {id} is open already")));
                }
            }
            let Some(row) = rows.get_mut(&id) else {
                // An account that was never opened can still have declined a transfer.
                if let AccountEvent::HoldDeclined { .. } | AccountEvent::TransferDeclined { .. } = event {
                    continue;
                }
                return Err(ApplyError::event(decoded, format!("account {id} was never opened")));
            };
            row.state = evolve(std::mem::take(&mut row.state), event);
            row.version = envelope.version;
            row.position = envelope.position;
        }
        let mut views: Vec<_> = rows.into_iter().map(|(id, row)| row.into_view(id)).collect();
        views.sort_unstable_by_key(|view| view.position);
        save(tx, tables, &views).await?;
        changes.add(|| views.into_iter().map(Changed::Account));
        Ok(())
    }
}

impl Row {
    fn of(view: AccountView) -> Self {
        let state = Account {
            status: view.status,
            owner: Some(view.owner),
            name: view.name,
            currency: Some(view.currency),
            balance: view.balance,
            held: view.held,
            expected: view.expected,
            overdraft_limit: view.overdraft_limit,
            // What the view does not show: evolve only adds to these, nothing it shows depends on them.
            ..Account::default()
        };
        Self {
            owner: view.owner,
            currency: view.currency,
            state,
            opened_at: view.opened_at,
            version: view.version,
            position: view.position,
        }
    }

    fn into_view(self, id: AccountId) -> AccountView {
        AccountView {
            id,
            owner: self.owner,
            currency: self.currency,
            balance: self.state.balance,
            held: self.state.held,
            expected: self.state.expected,
            available: self.state.available(),
            overdraft_limit: self.state.overdraft_limit,
            status: self.state.status,
            name: self.state.name,
            opened_at: self.opened_at,
            version: self.version,
            position: self.position,
        }
    }
}

async fn load(tx: &mut Tx, tables: Tables, events: &[&Decoded]) -> Result<HashMap<AccountId, Row>, ApplyError> {
    let touched: BTreeSet<_> = events
        .iter()
        .filter(|decoded| matches!(decoded.event, Event::Account(_)))
        .map(|decoded| AccountId(decoded.envelope.stream.id))
        .collect();
    let rows = tables
        .sql(
            "SELECT id, owner, name, currency, balance, held, expected, available, overdraft_limit, status, opened_at,
                version, position
         FROM accounts{next} WHERE id IN (SELECT value FROM {keys})",
        )
        .bind(json_array(touched))
        .fetch_all(tx)
        .await?;
    Ok(rows.iter().map(|row| view(row).map(|view| (view.id, Row::of(view)))).collect::<Result<_, DbError>>()?)
}

/// A row of `accounts`, all columns by name.
pub fn view(row: &DbRow) -> Result<AccountView, DbError> {
    Ok(AccountView {
        id: text(row, "id")?,
        owner: text(row, "owner")?,
        name: row.try_get("name")?,
        currency: text(row, "currency")?,
        balance: row.try_get("balance")?,
        held: row.try_get("held")?,
        expected: row.try_get("expected")?,
        available: row.try_get("available")?,
        overdraft_limit: row.try_get("overdraft_limit")?,
        status: choice(row, "status")?,
        opened_at: row.try_get("opened_at")?,
        version: version(row, "version")?,
        position: position(row, "position")?,
    })
}

async fn save(tx: &mut Tx, tables: Tables, views: &[AccountView]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables.text(
            "INSERT INTO accounts{next} (id, owner, name, currency, balance, held, expected, available,
                 overdraft_limit, status, opened_at, version, position)",
        ),
        " ON CONFLICT (id) DO UPDATE SET balance = excluded.balance, held = excluded.held,
                  expected = excluded.expected, available = excluded.available,
                  overdraft_limit = excluded.overdraft_limit, status = excluded.status,
                  version = excluded.version, position = excluded.position",
        views.iter().map(|view| {
            [
                view.id.to_string().into(),
                view.owner.to_string().into(),
                view.name.as_str().into(),
                view.currency.code().into(),
                view.balance.into(),
                view.held.into(),
                view.expected.into(),
                view.available.into(),
                view.overdraft_limit.into(),
                word(&view.status).into(),
                view.opened_at.into(),
                view.version.as_i64().into(),
                view.position.as_i64().into(),
            ]
        }),
    )
    .await?;
    Ok(())
}
