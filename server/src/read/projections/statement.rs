//! The statement: what moved an account's balance, with the balance after each entry in order of versions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use app::{
    domain::{AccountId, EventId, TransferId, UserId, account::AccountEvent, transfer::TransferEvent},
    wire::{Event, StatementRow},
};
use async_trait::async_trait;

use super::{
    super::{
        changes::{Changed, Changes},
        columns::{choice, json_array, optional, position, text, version, word},
        sql::{DbError, Row, Tx, insert},
    },
    ApplyError, Decoded, Projection, Tables,
    entry::entry,
};

pub struct Statement;

#[async_trait]
impl Projection for Statement {
    fn name(&self) -> &'static str {
        "statement"
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &["statement", "statement_accounts", "statement_transfers"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("../../../../migrations/read/projections/statement.sql")
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        tables: Tables,
        events: &[&Decoded],
        changes: &mut Changes,
    ) -> Result<(), ApplyError> {
        let mut balances = load_balances(tx, tables, events).await?;
        let mut transfers = Descriptions::load(tx, tables, events).await?;
        let mut rows: Vec<StatementRow> = Vec::with_capacity(events.len());
        let mut opened = Vec::new();
        let mut by_event: HashMap<EventId, usize> = HashMap::new();
        let mut reversed: Vec<StatementRow> = Vec::new();

        for decoded in events {
            let envelope = &decoded.envelope;
            let event = match &decoded.event {
                Event::Account(event) => event,
                Event::Transfer(event) => {
                    transfers.apply(TransferId(envelope.stream.id), event);
                    continue;
                }
                Event::Session(_) | Event::Projection(_) => continue,
            };
            let account_id = AccountId(envelope.stream.id);
            if let AccountEvent::AccountOpened { owner, .. } = event {
                opened.push((account_id, *owner));
            }
            let Some(entry) = entry(event, envelope.recorded_at) else { continue };
            if let Some(target) = entry.reverses {
                let earlier = if let Some(&index) = by_event.get(&target) {
                    rows.get_mut(index)
                } else {
                    reversed.extend(load_entry(tx, tables, account_id, target).await?);
                    reversed.last_mut().filter(|row| row.event_id == target)
                };
                // Absent only where an admin had it skipped.
                if let Some(row) = earlier {
                    row.reversed_by = Some(envelope.event_id);
                    row.position = envelope.position;
                }
            }
            let balance = balances.entry(account_id).or_default();
            *balance = balance.saturating_add(entry.amount);
            by_event.insert(envelope.event_id, rows.len());
            let (transfer_id, counterparty) = entry.transfer.unzip();
            let description = entry.description.or_else(|| transfers.of(transfer_id?));
            rows.push(StatementRow {
                account_id,
                event_id: envelope.event_id,
                kind: entry.kind,
                amount: entry.amount,
                balance: *balance,
                effective_on: entry.effective_on,
                recorded_at: envelope.recorded_at,
                description: description.map(str::to_owned),
                transfer_id,
                counterparty,
                reverses: entry.reverses,
                reversed_by: None,
                version: envelope.version,
                entry_position: envelope.position,
                position: envelope.position,
            });
        }

        save_owners(tx, tables, &opened).await?;
        save(tx, tables, &rows).await?;
        for row in &reversed {
            mark_reversed(tx, tables, row).await?;
        }
        transfers.save(tx, tables).await?;
        if changes.are_kept() {
            rows.extend(reversed);
            rows.sort_by_key(|row| row.position);
            let owners = load_owners(tx, tables, &rows).await?;
            changes.add(|| {
                rows.into_iter().map(|view| Changed::Statement { owner: owners.get(&view.account_id).copied(), view })
            });
        }
        Ok(())
    }
}

async fn save_owners(tx: &mut Tx, tables: Tables, opened: &[(AccountId, UserId)]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables.text("INSERT INTO statement_accounts{next} (account_id, owner)"),
        "",
        opened.iter().map(|(account, owner)| [account.to_string().into(), owner.to_string().into()]),
    )
    .await?;
    Ok(())
}

/// Whose accounts these entries are in.
async fn load_owners(
    tx: &mut Tx,
    tables: Tables,
    rows: &[StatementRow],
) -> Result<HashMap<AccountId, UserId>, ApplyError> {
    let accounts: BTreeSet<_> = rows.iter().map(|row| row.account_id).collect();
    let rows = tables
        .sql(
            "SELECT account_id, owner FROM statement_accounts{next}
         WHERE account_id IN (SELECT value FROM {keys})",
        )
        .bind(json_array(accounts))
        .fetch_all(tx)
        .await?;
    rows.iter().map(|row| Ok((text(row, "account_id")?, text(row, "owner")?))).collect()
}

/// Descriptions of transfers on their way.
struct Descriptions {
    known: BTreeMap<TransferId, String>,
    new: BTreeSet<TransferId>,
    ended: HashSet<TransferId>,
}

impl Descriptions {
    async fn load(tx: &mut Tx, tables: Tables, events: &[&Decoded]) -> Result<Self, ApplyError> {
        let touched: BTreeSet<_> = events
            .iter()
            .filter_map(|decoded| match &decoded.event {
                Event::Account(event) => entry(event, 0)?.transfer.map(|(id, _)| id),
                Event::Transfer(_) => Some(TransferId(decoded.envelope.stream.id)),
                Event::Session(_) | Event::Projection(_) => None,
            })
            .collect();
        let mut known = BTreeMap::new();
        if !touched.is_empty() {
            let rows = tables
                .sql(
                    "SELECT transfer_id, description FROM statement_transfers{next}
                 WHERE transfer_id IN (SELECT value FROM {keys})",
                )
                .bind(json_array(touched))
                .fetch_all(tx)
                .await?;
            for row in &rows {
                known.insert(text(row, "transfer_id")?, row.try_get("description")?);
            }
        }
        Ok(Self { known, new: BTreeSet::new(), ended: HashSet::new() })
    }

    fn apply(&mut self, id: TransferId, event: &TransferEvent) {
        match event {
            TransferEvent::TransferRequested { description, .. } => {
                if let Some(description) = description {
                    self.known.insert(id, description.clone());
                    self.new.insert(id);
                }
            }
            TransferEvent::TransferCompleted {} | TransferEvent::TransferFailed { .. } => {
                if self.known.contains_key(&id) && !self.new.remove(&id) {
                    self.ended.insert(id);
                }
            }
        }
    }

    fn of(&self, id: TransferId) -> Option<&str> {
        self.known.get(&id).map(String::as_str)
    }

    async fn save(self, tx: &mut Tx, tables: Tables) -> Result<(), ApplyError> {
        let new: Vec<_> = self.new.iter().filter_map(|id| Some((id, self.known.get(id)?))).collect();
        insert(
            tx,
            &tables.text("INSERT INTO statement_transfers{next} (transfer_id, description)"),
            "",
            new.iter().map(|(id, description)| [id.to_string().into(), description.as_str().into()]),
        )
        .await?;
        if !self.ended.is_empty() {
            tables
                .sql("DELETE FROM statement_transfers{next} WHERE transfer_id IN (SELECT value FROM {keys})")
                .bind(json_array(self.ended))
                .execute(tx)
                .await?;
        }
        Ok(())
    }
}

/// The balances that the accounts of the batch had before it.
async fn load_balances(
    tx: &mut Tx,
    tables: Tables,
    events: &[&Decoded],
) -> Result<HashMap<AccountId, i64>, ApplyError> {
    let touched: BTreeSet<_> = events
        .iter()
        .filter(|decoded| matches!(&decoded.event, Event::Account(event) if entry(event, 0).is_some()))
        .map(|decoded| AccountId(decoded.envelope.stream.id))
        .collect();
    let rows = tables
        .sql(
            "SELECT value AS account_id,
                (SELECT balance FROM statement{next} WHERE account_id = value ORDER BY version DESC LIMIT 1) AS balance
         FROM {keys}",
        )
        .bind(json_array(touched))
        .fetch_all(tx)
        .await?;
    rows.iter()
        .map(|row| {
            let balance: Option<i64> = row.try_get("balance")?;
            Ok((text(row, "account_id")?, balance.unwrap_or(0)))
        })
        .collect()
}

/// The entry that `event` wrote into `account`.
async fn load_entry(
    tx: &mut Tx,
    tables: Tables,
    account: AccountId,
    event: EventId,
) -> Result<Option<StatementRow>, ApplyError> {
    // The version by way of the feed, which has an index on event ids already.
    let row = tables
        .sql(
            "SELECT account_id, event_id, kind, amount, balance, effective_on, recorded_at, description, transfer_id,
                counterparty, reverses, reversed_by, version, entry_position, position
         FROM statement{next}
         WHERE account_id = ? AND version = (SELECT version FROM feed WHERE feed.event_id = ?)",
        )
        .bind(account.to_string())
        .bind(event.to_string())
        .fetch_optional(tx)
        .await?;
    Ok(row.as_ref().map(view).transpose()?.filter(|row| row.event_id == event))
}

/// A row of `statement`, all columns by name.
pub fn view(row: &Row) -> Result<StatementRow, DbError> {
    Ok(StatementRow {
        account_id: text(row, "account_id")?,
        event_id: text(row, "event_id")?,
        kind: choice(row, "kind")?,
        amount: row.try_get("amount")?,
        balance: row.try_get("balance")?,
        effective_on: text(row, "effective_on")?,
        recorded_at: row.try_get("recorded_at")?,
        description: row.try_get("description")?,
        transfer_id: optional(row, "transfer_id")?,
        counterparty: optional(row, "counterparty")?,
        reverses: optional(row, "reverses")?,
        reversed_by: optional(row, "reversed_by")?,
        version: version(row, "version")?,
        entry_position: position(row, "entry_position")?,
        position: position(row, "position")?,
    })
}

async fn save(tx: &mut Tx, tables: Tables, rows: &[StatementRow]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables.text(
            "INSERT INTO statement{next} (account_id, version, event_id, kind, amount, balance, effective_on,
                 recorded_at, description, transfer_id, counterparty, reverses, reversed_by, search, entry_position,
                 position)",
        ),
        "",
        rows.iter().map(|row| {
            [
                row.account_id.to_string().into(),
                row.version.as_i64().into(),
                row.event_id.to_string().into(),
                word(&row.kind).into(),
                row.amount.into(),
                row.balance.into(),
                row.effective_on.to_string().into(),
                row.recorded_at.into(),
                row.description.as_deref().into(),
                row.transfer_id.map(|id| id.to_string()).into(),
                row.counterparty.map(|id| id.to_string()).into(),
                row.reverses.map(|id| id.to_string()).into(),
                row.reversed_by.map(|id| id.to_string()).into(),
                search(row).into(),
                row.entry_position.as_i64().into(),
                row.position.as_i64().into(),
            ]
        }),
    )
    .await?;
    Ok(())
}

fn search(row: &StatementRow) -> String {
    let mut words = row.description.as_deref().map(str::to_lowercase).unwrap_or_default();
    let ids = [row.counterparty.map(|id| id.0), row.transfer_id.map(|id| id.0)];
    for id in ids.into_iter().flatten() {
        words.push(' ');
        words.push_str(&id.to_string());
    }
    words
}

async fn mark_reversed(tx: &mut Tx, tables: Tables, row: &StatementRow) -> Result<(), ApplyError> {
    tables
        .sql("UPDATE statement{next} SET reversed_by = ?, position = ? WHERE account_id = ? AND version = ?")
        .bind(row.reversed_by.map(|id| id.to_string()))
        .bind(row.position.as_i64())
        .bind(row.account_id.to_string())
        .bind(row.version.as_i64())
        .execute(tx)
        .await?;
    Ok(())
}
