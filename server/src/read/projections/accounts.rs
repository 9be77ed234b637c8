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
use sqlx::{QueryBuilder, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    super::{
        changes::{Changed, Changes},
        columns::{choice, json_array, pieces, position, text, version, word},
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
        include_str!("../../../../migrations/read/sqlite/projections/accounts.sql")
    }

    async fn apply(
        &self,
        tx: &mut SqliteConnection,
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

async fn load(
    tx: &mut SqliteConnection,
    tables: Tables,
    events: &[&Decoded],
) -> Result<HashMap<AccountId, Row>, ApplyError> {
    let touched: BTreeSet<_> = events
        .iter()
        .filter(|decoded| matches!(decoded.event, Event::Account(_)))
        .map(|decoded| AccountId(decoded.envelope.stream.id))
        .collect();
    let rows = sqlx::query(tables.sql(
        "SELECT id, owner, name, currency, balance, held, expected, available, overdraft_limit, status, opened_at,
                version, position
         FROM accounts{next} WHERE id IN (SELECT value FROM json_each(?))",
    ))
    .bind(json_array(touched))
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(|row| view(row).map(|view| (view.id, Row::of(view)))).collect::<Result<_, sqlx::Error>>()?)
}

/// A row of `accounts`, all columns by name.
pub fn view(row: &SqliteRow) -> Result<AccountView, sqlx::Error> {
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

async fn save(tx: &mut SqliteConnection, tables: Tables, views: &[AccountView]) -> Result<(), ApplyError> {
    for piece in pieces(views) {
        QueryBuilder::new(tables.text(
            "INSERT INTO accounts{next} (id, owner, name, currency, balance, held, expected, available,
                 overdraft_limit, status, opened_at, version, position) ",
        ))
        .push_values(piece, |mut values, view| {
            values
                .push_bind(view.id.to_string())
                .push_bind(view.owner.to_string())
                .push_bind(view.name.as_str())
                .push_bind(view.currency.code())
                .push_bind(view.balance)
                .push_bind(view.held)
                .push_bind(view.expected)
                .push_bind(view.available)
                .push_bind(view.overdraft_limit)
                .push_bind(word(&view.status))
                .push_bind(view.opened_at)
                .push_bind(view.version.as_i64())
                .push_bind(view.position.as_i64());
        })
        .push(
            " ON CONFLICT (id) DO UPDATE SET balance = excluded.balance, held = excluded.held,
                  expected = excluded.expected, available = excluded.available,
                  overdraft_limit = excluded.overdraft_limit, status = excluded.status,
                  version = excluded.version, position = excluded.position",
        )
        .build()
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
