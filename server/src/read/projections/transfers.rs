//! Transfers, where each of them stands, and who may see them.

use std::collections::{BTreeSet, HashMap};

use app::{
    domain::{
        AccountId, TransferId, UserId,
        account::AccountEvent as A,
        transfer::{TransferEvent as T, TransferEvent},
    },
    wire::{Envelope, Event, TransferState, TransferView},
};
use async_trait::async_trait;

use super::{
    super::{
        changes::{Changed, Changes},
        columns::{choice, json_array, optional, optional_choice, position, text, version, word},
        sql::{DbError, Row, Tx, insert},
    },
    ApplyError, Decoded, Projection, Tables,
};

pub struct Transfers;

/// A transfer with those who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRow {
    pub view: TransferView,
    pub from_owner: Option<UserId>,
    /// `None` until the destination has promised.
    pub to_owner: Option<UserId>,
}

#[async_trait]
impl Projection for Transfers {
    fn name(&self) -> &'static str {
        "transfers"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["transfers", "transfer_accounts"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("../../../../migrations/read/projections/transfers.sql")
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        tables: Tables,
        events: &[&Decoded],
        changes: &mut Changes,
    ) -> Result<(), ApplyError> {
        let mut owners = load_owners(tx, tables, events).await?;
        let mut rows = load_rows(tx, tables, events).await?;
        let mut opened = Vec::new();
        let mut changed = BTreeSet::new();
        for decoded in events {
            let envelope = &decoded.envelope;
            if let Event::Account(A::AccountOpened { owner, .. }) = &decoded.event {
                let account = AccountId(envelope.stream.id);
                owners.insert(account, *owner);
                opened.push((account, *owner));
            }
            let Some(id) = transfer_of(decoded) else { continue };
            if let Event::Transfer(event) = &decoded.event
                && let Some(row) = requested(id, event, envelope, &owners)
            {
                if rows.insert(id, row).is_some() {
                    return Err(ApplyError::event(decoded, format!("transfer {id} was requested before")));
                }
                changed.insert(id);
                continue;
            }
            let Some(row) = rows.get_mut(&id) else {
                return Err(ApplyError::event(decoded, format!("transfer {id} was never requested")));
            };
            if advance(row, decoded, &owners) {
                row.view.updated_at = envelope.recorded_at;
                row.view.position = envelope.position;
                changed.insert(id);
            }
        }
        save_owners(tx, tables, &opened).await?;
        let mut changed: Vec<_> = changed.iter().filter_map(|id| rows.remove(id)).collect();
        changed.sort_unstable_by_key(|row| row.view.position);
        save_rows(tx, tables, &changed).await?;
        changes.add(|| {
            changed.into_iter().map(|row| Changed::Transfer {
                view: row.view,
                from_owner: row.from_owner,
                to_owner: row.to_owner,
            })
        });
        Ok(())
    }
}

/// The transfer that an event is a step of.
fn transfer_of(decoded: &Decoded) -> Option<TransferId> {
    match &decoded.event {
        Event::Transfer(_) => Some(TransferId(decoded.envelope.stream.id)),
        Event::Account(event) => match event {
            A::FundsHeld { transfer_id, .. }
            | A::HoldDeclined { transfer_id, .. }
            | A::TransferExpected { transfer_id, .. }
            | A::TransferDeclined { transfer_id, .. }
            | A::HoldCaptured { transfer_id, .. }
            | A::TransferCredited { transfer_id, .. }
            | A::HoldReleased { transfer_id, .. } => Some(*transfer_id),
            A::AccountOpened { .. }
            | A::MoneyDeposited { .. }
            | A::MoneyWithdrawn { .. }
            | A::EntryReversed { .. }
            | A::OverdraftLimitChanged { .. }
            | A::AccountFrozen { .. }
            | A::AccountUnfrozen {}
            | A::AccountClosed {} => None,
        },
        Event::Session(_) | Event::Projection(_) => None,
    }
}

/// The row that a request begins.
fn requested(
    id: TransferId,
    event: &TransferEvent,
    envelope: &Envelope,
    owners: &HashMap<AccountId, UserId>,
) -> Option<TransferRow> {
    let T::TransferRequested { from, to, amount, currency, description } = event else { return None };
    Some(TransferRow {
        view: TransferView {
            id,
            from: *from,
            to: *to,
            amount: *amount,
            currency: *currency,
            description: description.clone(),
            state: TransferState::Requested,
            reason: None,
            requested_at: envelope.recorded_at,
            updated_at: envelope.recorded_at,
            version: envelope.version,
            requested_position: envelope.position,
            position: envelope.position,
        },
        from_owner: owners.get(from).copied(),
        to_owner: None,
    })
}

/// Takes a later step into account; false if it shows nothing new.
fn advance(row: &mut TransferRow, decoded: &Decoded, owners: &HashMap<AccountId, UserId>) -> bool {
    let view = &mut row.view;
    match &decoded.event {
        Event::Transfer(event) => {
            view.version = decoded.envelope.version;
            match event {
                T::TransferRequested { .. } => {}
                T::TransferCompleted {} => view.state = TransferState::Completed,
                T::TransferFailed { reason } => {
                    view.state = TransferState::Declined;
                    view.reason = Some(*reason);
                }
            }
        }
        Event::Account(event) => match event {
            A::FundsHeld { .. } => view.state = TransferState::Held,
            A::TransferExpected { .. } => {
                view.state = TransferState::Promised;
                row.to_owner = owners.get(&view.to).copied();
            }
            A::HoldCaptured { .. } => view.state = TransferState::InTransit,
            A::HoldDeclined { reason, .. } | A::HoldReleased { reason, .. } => {
                view.state = TransferState::Declined;
                view.reason = Some(*reason);
            }
            // Declined: the source still holds the money, and its owner is told a reason only when it is released.
            // Credited: the transfer itself says that it is completed.
            A::TransferDeclined { .. }
            | A::TransferCredited { .. }
            | A::AccountOpened { .. }
            | A::MoneyDeposited { .. }
            | A::MoneyWithdrawn { .. }
            | A::EntryReversed { .. }
            | A::OverdraftLimitChanged { .. }
            | A::AccountFrozen { .. }
            | A::AccountUnfrozen {}
            | A::AccountClosed {} => return false,
        },
        Event::Session(_) | Event::Projection(_) => return false,
    }
    true
}

async fn load_owners(
    tx: &mut Tx,
    tables: Tables,
    events: &[&Decoded],
) -> Result<HashMap<AccountId, UserId>, ApplyError> {
    let needed: BTreeSet<_> = events
        .iter()
        .filter_map(|decoded| match &decoded.event {
            Event::Transfer(T::TransferRequested { from, .. }) => Some(*from),
            Event::Account(A::TransferExpected { .. }) => Some(AccountId(decoded.envelope.stream.id)),
            Event::Transfer(_) | Event::Account(_) | Event::Session(_) | Event::Projection(_) => None,
        })
        .collect();
    if needed.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tables
        .sql(
            "SELECT account_id, owner FROM transfer_accounts{next}
         WHERE account_id IN (SELECT value FROM {keys})",
        )
        .bind(json_array(needed))
        .fetch_all(tx)
        .await?;
    rows.iter().map(|row| Ok((text(row, "account_id")?, text(row, "owner")?))).collect()
}

async fn load_rows(
    tx: &mut Tx,
    tables: Tables,
    events: &[&Decoded],
) -> Result<HashMap<TransferId, TransferRow>, ApplyError> {
    let touched: BTreeSet<_> = events.iter().filter_map(|decoded| transfer_of(decoded)).collect();
    if touched.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tables.sql(
        "SELECT id, from_account, to_account, amount, currency, description, state, reason, requested_at, updated_at,
                version, requested_position, position, from_owner, to_owner
         FROM transfers{next} WHERE id IN (SELECT value FROM {keys})",
    )
    .bind(json_array(touched))
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(|row| transfer(row).map(|row| (row.view.id, row))).collect::<Result<_, _>>()?)
}

/// A row of `transfers`, all columns by name.
pub fn transfer(row: &Row) -> Result<TransferRow, DbError> {
    Ok(TransferRow {
        view: TransferView {
            id: text(row, "id")?,
            from: text(row, "from_account")?,
            to: text(row, "to_account")?,
            amount: row.try_get("amount")?,
            currency: text(row, "currency")?,
            description: row.try_get("description")?,
            state: choice(row, "state")?,
            reason: optional_choice(row, "reason")?,
            requested_at: row.try_get("requested_at")?,
            updated_at: row.try_get("updated_at")?,
            version: version(row, "version")?,
            requested_position: position(row, "requested_position")?,
            position: position(row, "position")?,
        },
        from_owner: optional(row, "from_owner")?,
        to_owner: optional(row, "to_owner")?,
    })
}

async fn save_owners(tx: &mut Tx, tables: Tables, opened: &[(AccountId, UserId)]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables.text("INSERT INTO transfer_accounts{next} (account_id, owner)"),
        "",
        opened.iter().map(|(account, owner)| [account.to_string().into(), owner.to_string().into()]),
    )
    .await?;
    Ok(())
}

async fn save_rows(tx: &mut Tx, tables: Tables, rows: &[TransferRow]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables.text(
            "INSERT INTO transfers{next} (id, from_account, to_account, amount, currency, description, state, reason,
                 requested_at, updated_at, version, requested_position, position, from_owner, to_owner)",
        ),
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason,
                  updated_at = excluded.updated_at, version = excluded.version, position = excluded.position,
                  to_owner = excluded.to_owner",
        rows.iter().map(|row| {
            let view = &row.view;
            [
                view.id.to_string().into(),
                view.from.to_string().into(),
                view.to.to_string().into(),
                view.amount.into(),
                view.currency.code().into(),
                view.description.as_deref().into(),
                word(&view.state).into(),
                view.reason.as_ref().map(word).into(),
                view.requested_at.into(),
                view.updated_at.into(),
                view.version.as_i64().into(),
                view.requested_position.as_i64().into(),
                view.position.as_i64().into(),
                row.from_owner.map(|id| id.to_string()).into(),
                row.to_owner.map(|id| id.to_string()).into(),
            ]
        }),
    )
    .await?;
    Ok(())
}
