//! The timeline: every event, what to find it by, and who may see it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use app::{
    domain::{Currency, UserId, account::AccountEvent, transfer::TransferEvent},
    wire::{Envelope, Event, EventView, Metadata, Position, StreamId, StreamKind},
};
use async_trait::async_trait;

use super::{
    super::{
        changes::{Changed, Changes},
        columns::{json_array, optional, text},
        feed,
        sql::{Tx, insert},
    },
    ApplyError, Decoded, Projection, Tables,
    words::search_text,
};

pub struct Timeline;

/// What later events of an account or a transfer do not say themselves.
#[derive(Debug, Clone, Copy)]
struct Subject {
    currency: Currency,
    /// Of an account.
    owner: Option<UserId>,
}

struct Row<'a> {
    envelope: &'a Envelope,
    metadata: Metadata,
    currency: Option<Currency>,
    search: String,
}

#[async_trait]
impl Projection for Timeline {
    fn name(&self) -> &'static str {
        "timeline"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["timeline", "stream_readers", "timeline_streams"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("../../../../migrations/read/projections/timeline.sql")
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        tables: Tables,
        events: &[&Decoded],
        changes: &mut Changes,
    ) -> Result<(), ApplyError> {
        let mut subjects = load_subjects(tx, tables, events).await?;
        let mut new_subjects = BTreeSet::new();
        let mut new_readers: BTreeMap<(StreamId, UserId), Position> = BTreeMap::new();
        let mut rows = Vec::with_capacity(events.len());
        for decoded in events {
            let envelope = &decoded.envelope;
            let mut sees = |stream, user| {
                new_readers.entry((stream, user)).or_insert(envelope.position);
            };
            match &decoded.event {
                Event::Account(AccountEvent::AccountOpened { owner, currency, .. }) => {
                    subjects.insert(envelope.stream, Subject { currency: *currency, owner: Some(*owner) });
                    new_subjects.insert(envelope.stream);
                    sees(envelope.stream, *owner);
                }
                Event::Account(AccountEvent::TransferExpected { transfer_id, .. }) => {
                    if let Some(owner) = subjects.get(&envelope.stream).and_then(|account| account.owner) {
                        sees((*transfer_id).into(), owner);
                    }
                }
                Event::Transfer(TransferEvent::TransferRequested { from, currency, .. }) => {
                    subjects.insert(envelope.stream, Subject { currency: *currency, owner: None });
                    new_subjects.insert(envelope.stream);
                    if let Some(owner) = subjects.get(&StreamId::from(*from)).and_then(|account| account.owner) {
                        sees(envelope.stream, owner);
                    }
                }
                Event::Account(_) | Event::Transfer(_) | Event::Session(_) | Event::Projection(_) => {}
            }
            let metadata: Metadata = serde_json::from_slice(&envelope.metadata)
                .map_err(|error| ApplyError::event(decoded, format!("its metadata does not read: {error}")))?;
            let currency = subjects.get(&envelope.stream).map(|subject| subject.currency);
            let search = search_text(envelope, &decoded.event, currency);
            rows.push(Row { envelope, metadata, currency, search });
        }
        save_rows(tx, tables, &rows).await?;
        save_subjects(tx, tables, &new_subjects, &subjects).await?;
        let joined = save_readers(tx, tables, &new_readers).await?;
        if changes.are_kept() {
            let told = told(tx, tables, &rows, &joined, &subjects).await?;
            changes.add(|| told);
        }
        Ok(())
    }
}

/// The batch's events with their readers, after the earlier events of streams that someone new may see now.
async fn told(
    tx: &mut Tx,
    tables: Tables,
    rows: &[Row<'_>],
    joined: &BTreeSet<StreamId>,
    subjects: &HashMap<StreamId, Subject>,
) -> Result<Vec<Changed>, ApplyError> {
    let streams: BTreeSet<_> = rows.iter().map(|row| row.envelope.stream).chain(joined.iter().copied()).collect();
    let readers = load_readers(tx, tables, &streams).await?;
    let event = |envelope: &Envelope, metadata: &Metadata, currency| Changed::Event {
        view: view(envelope, metadata, currency),
        readers: readers.get(&envelope.stream).cloned().unwrap_or_default(),
    };
    let Some(first) = rows.first().map(|row| row.envelope.position) else { return Ok(vec![]) };
    let mut told = Vec::new();
    for stream in joined.iter().filter(|stream| stream.kind == StreamKind::Transfer) {
        for envelope in feed::read_stream_before(tx, *stream, first).await? {
            // The feed read it when it took it in.
            if let Ok(metadata) = serde_json::from_slice(&envelope.metadata) {
                told.push(event(&envelope, &metadata, subjects.get(stream).map(|subject| subject.currency)));
            }
        }
    }
    told.extend(rows.iter().map(|row| event(row.envelope, &row.metadata, row.currency)));
    Ok(told)
}

/// The event as the timeline shows it to those who may see all of it.
pub fn view(envelope: &Envelope, metadata: &Metadata, currency: Option<Currency>) -> EventView {
    EventView {
        position: envelope.position,
        event_id: envelope.event_id,
        stream: envelope.stream,
        version: envelope.version,
        event_type: envelope.event_type.clone(),
        schema: envelope.schema,
        recorded_at: envelope.recorded_at,
        payload: String::from_utf8_lossy(&envelope.payload).into_owned(),
        metadata: String::from_utf8_lossy(&envelope.metadata).into_owned(),
        hash: envelope.hash,
        currency,
        actor: Some(metadata.actor),
        actor_name: None,
        command_id: metadata.command_id,
        correlation_id: metadata.correlation_id,
        causation_id: metadata.causation_id,
    }
}

async fn load_subjects(
    tx: &mut Tx,
    tables: Tables,
    events: &[&Decoded],
) -> Result<HashMap<StreamId, Subject>, ApplyError> {
    let needed: BTreeSet<StreamId> = events
        .iter()
        .flat_map(|decoded| {
            let other: Option<StreamId> = match &decoded.event {
                Event::Transfer(TransferEvent::TransferRequested { from, .. }) => Some((*from).into()),
                Event::Account(AccountEvent::TransferExpected { transfer_id, .. }) => Some((*transfer_id).into()),
                Event::Account(_) | Event::Transfer(_) | Event::Session(_) | Event::Projection(_) => None,
            };
            [Some(decoded.envelope.stream), other]
        })
        .flatten()
        .collect();
    let rows = tables
        .sql(
            "SELECT stream, currency, owner FROM timeline_streams{next}
         WHERE stream IN (SELECT value FROM {keys})",
        )
        .bind(json_array(needed))
        .fetch_all(tx)
        .await?;
    rows.iter()
        .map(|row| {
            let subject = Subject { currency: text(row, "currency")?, owner: optional(row, "owner")? };
            Ok((text(row, "stream")?, subject))
        })
        .collect()
}

async fn load_readers(
    tx: &mut Tx,
    tables: Tables,
    streams: &BTreeSet<StreamId>,
) -> Result<HashMap<StreamId, Vec<UserId>>, ApplyError> {
    let rows = tables
        .sql(
            "SELECT stream, user_id FROM stream_readers{next}
         WHERE stream IN (SELECT value FROM {keys}) ORDER BY from_position, user_id",
        )
        .bind(json_array(streams))
        .fetch_all(tx)
        .await?;
    let mut readers: HashMap<StreamId, Vec<UserId>> = HashMap::new();
    for row in &rows {
        readers.entry(text(row, "stream")?).or_default().push(text(row, "user_id")?);
    }
    Ok(readers)
}

async fn save_rows(tx: &mut Tx, tables: Tables, rows: &[Row<'_>]) -> Result<(), ApplyError> {
    insert(
        tx,
        &tables.text(
            "INSERT INTO timeline{next} (position, stream, version, event_type, currency, actor, correlation_id,
                 search)",
        ),
        "",
        rows.iter().map(|row| {
            [
                row.envelope.position.as_i64().into(),
                row.envelope.stream.to_string().into(),
                row.envelope.version.as_i64().into(),
                row.envelope.event_type.as_str().into(),
                row.currency.map(Currency::code).into(),
                row.metadata.actor.to_string().into(),
                row.metadata.correlation_id.to_string().into(),
                row.search.as_str().into(),
            ]
        }),
    )
    .await?;
    Ok(())
}

async fn save_subjects(
    tx: &mut Tx,
    tables: Tables,
    new: &BTreeSet<StreamId>,
    subjects: &HashMap<StreamId, Subject>,
) -> Result<(), ApplyError> {
    let new: Vec<_> = new.iter().filter_map(|stream| Some((stream, subjects.get(stream)?))).collect();
    insert(
        tx,
        &tables.text("INSERT INTO timeline_streams{next} (stream, currency, owner)"),
        "",
        new.iter().map(|(stream, subject)| {
            [stream.to_string().into(), subject.currency.code().into(), subject.owner.map(|id| id.to_string()).into()]
        }),
    )
    .await?;
    Ok(())
}

/// Adds readers who were none yet; returns the streams that got one.
async fn save_readers(
    tx: &mut Tx,
    tables: Tables,
    readers: &BTreeMap<(StreamId, UserId), Position>,
) -> Result<BTreeSet<StreamId>, ApplyError> {
    let readers: Vec<_> = readers.iter().collect();
    let joined = insert(
        tx,
        &tables.text("INSERT INTO stream_readers{next} (user_id, stream, from_position)"),
        " ON CONFLICT DO NOTHING RETURNING stream",
        readers.iter().map(|((stream, user), position)| {
            [user.to_string().into(), stream.to_string().into(), position.as_i64().into()]
        }),
    )
    .await?;
    joined.iter().map(|row| Ok(text(row, "stream")?)).collect()
}
