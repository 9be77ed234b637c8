//! What moved in and out of an account on each day, by effective date.

use std::collections::BTreeMap;

use app::{
    domain::{AccountId, Date},
    wire::{Event, Position, Version},
};
use async_trait::async_trait;

use super::{
    super::{
        changes::{Changed, Changes},
        columns::{json_array, text},
        sql::{Tx, insert},
    },
    ApplyError, Decoded, Projection, Tables,
    entry::entry,
};

pub struct DailyTotals;

#[derive(Default)]
struct Day {
    money_in: i64,
    money_out: i64,
    version: Version,
    position: Position,
}

type Days = BTreeMap<(AccountId, Date), Day>;

#[async_trait]
impl Projection for DailyTotals {
    fn name(&self) -> &'static str {
        "daily_totals"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["daily_totals"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("../../../../migrations/read/projections/daily_totals.sql")
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        tables: Tables,
        events: &[&Decoded],
        changes: &mut Changes,
    ) -> Result<(), ApplyError> {
        let mut days = Days::new();
        for decoded in events {
            let event = match &decoded.event {
                Event::Account(event) => event,
                Event::Transfer(_) | Event::Session(_) | Event::Projection(_) => continue,
            };
            let envelope = &decoded.envelope;
            let Some(entry) = entry(event, envelope.recorded_at) else { continue };
            let day = days.entry((AccountId(envelope.stream.id), entry.effective_on)).or_default();
            let side = if entry.amount < 0 { &mut day.money_out } else { &mut day.money_in };
            *side = side.saturating_add(entry.amount.saturating_abs());
            day.version = envelope.version;
            day.position = envelope.position;
        }
        add_earlier(tx, tables, &mut days).await?;
        save(tx, tables, &days).await?;
        let mut accounts: Vec<_> = days.into_keys().map(|(account, _)| account).collect();
        accounts.dedup();
        changes.add(|| accounts.into_iter().map(Changed::Day));
        Ok(())
    }
}

/// Adds what these days had before the batch.
async fn add_earlier(tx: &mut Tx, tables: Tables, days: &mut Days) -> Result<(), ApplyError> {
    let rows = tables
        .sql(
            "SELECT account_id, date, money_in, money_out
         FROM {pairs} JOIN daily_totals{next} ON account_id = value ->> 0 AND date = value ->> 1",
        )
        .bind(json_array(days.keys()))
        .fetch_all(tx)
        .await?;
    for row in &rows {
        let day = days.entry((text(row, "account_id")?, text(row, "date")?)).or_default();
        // Only ever growing, so that where a sum stops at the end of i64 does not depend on the batches.
        day.money_in = day.money_in.saturating_add(row.try_get("money_in")?);
        day.money_out = day.money_out.saturating_add(row.try_get("money_out")?);
    }
    Ok(())
}

async fn save(tx: &mut Tx, tables: Tables, days: &Days) -> Result<(), ApplyError> {
    let days: Vec<_> = days.iter().collect();
    insert(
        tx,
        &tables.text("INSERT INTO daily_totals{next} (account_id, date, money_in, money_out, version, position)"),
        " ON CONFLICT (account_id, date) DO UPDATE SET money_in = excluded.money_in,
                  money_out = excluded.money_out, version = excluded.version, position = excluded.position",
        days.iter().map(|((account, date), day)| {
            [
                account.to_string().into(),
                date.to_string().into(),
                day.money_in.into(),
                day.money_out.into(),
                day.version.as_i64().into(),
                day.position.as_i64().into(),
            ]
        }),
    )
    .await?;
    Ok(())
}
