//! The timeline: an admin's is all of the log, a customer's the streams that they are a reader of.

use app::{
    ports::{EventsFilter, Viewer},
    wire::{Actor, EventView, Page, Position, StreamId},
};

use super::{
    super::{
        columns::{optional, unreadable},
        feed,
        projections::event_view,
        sql::{DbError, Row, Sql, Tx},
    },
    paging::{self, fetch},
};

pub(super) async fn list(
    tx: &mut Tx,
    viewer: &Viewer,
    filter: &EventsFilter,
    limit: usize,
) -> Result<Page<EventView>, DbError> {
    let direction = if filter.ascending { "" } else { " DESC" };
    let mut sql = select(viewer);
    // Which events, from narrow rows first: whole ones only of those that are shown.
    matching(&mut sql, viewer, filter);
    sql.push(" ORDER BY t.position").push(direction).push(" LIMIT ").push_bind(fetch(limit));
    sql.push(") ORDER BY t.position").push(direction);
    let views = rows(tx, viewer, sql).await?;
    Ok(paging::cut(views, limit, |view: &EventView| view.position.to_string()))
}

/// Events after `after`, and those of streams that the viewer may see only since then, in order; more than `most` if not
/// all of them are here. The newest `most` if that is `None`.
pub(super) async fn changed(
    tx: &mut Tx,
    viewer: &Viewer,
    stream: Option<StreamId>,
    after: Option<Position>,
    most: usize,
) -> Result<Vec<EventView>, DbError> {
    let Some(after) = after else {
        let filter = EventsFilter { stream, ..EventsFilter::default() };
        return Ok(list(tx, viewer, &filter, most).await?.items);
    };
    let mut sql = select(viewer);
    if viewer.is_admin() {
        sql.push("SELECT t.position FROM timeline t WHERE t.position > ").push_bind(after.as_i64());
    } else {
        sql.push("SELECT t.position FROM stream_readers r {then} timeline t ON t.stream = r.stream");
        sql.push(" AND t.position > CASE WHEN r.from_position > ").push_bind(after.as_i64());
        sql.push(" THEN 0 ELSE ").push_bind(after.as_i64());
        sql.push(" END WHERE r.user_id = ").push_bind(viewer.user_id.to_string());
    }
    if let Some(stream) = stream {
        sql.push(if viewer.is_admin() { " AND t.stream = " } else { " AND r.stream = " });
        sql.push_bind(stream.to_string());
    }
    sql.push(" ORDER BY t.position LIMIT ").push_bind(fetch(most)).push(") ORDER BY t.position");
    rows(tx, viewer, sql).await
}

/// Up to the opening of what the positions are in.
fn select(viewer: &Viewer) -> Sql<'_> {
    let mut sql = Sql::new(
        "SELECT f.position, f.event_id, f.stream, f.version, f.event_type, f.schema, f.payload, f.metadata,
             f.recorded_at, f.hash, t.currency, p.name AS actor_name, ",
    );
    causation(&mut sql, viewer);
    sql.push(
        " AS cause
         FROM timeline t JOIN feed f ON f.position = t.position LEFT JOIN people p ON p.id = substr(t.actor, 6)
         WHERE t.position IN (",
    );
    sql
}

async fn rows(tx: &mut Tx, viewer: &Viewer, sql: Sql<'_>) -> Result<Vec<EventView>, DbError> {
    let rows = sql.fetch_all(tx).await?;
    rows.iter().map(|row| view(row).map(|view| shown_to(viewer, view))).collect()
}

/// The cause of an event, unless it is in a stream that the viewer may not see.
fn causation(sql: &mut Sql<'_>, viewer: &Viewer) {
    if viewer.is_admin() {
        sql.push("f.causation_id");
        return;
    }
    sql.push(
        "(SELECT c.event_id FROM feed c JOIN stream_readers r ON r.stream = c.stream
          WHERE c.event_id = f.causation_id AND r.user_id = ",
    );
    sql.push_bind(viewer.user_id.to_string()).push(")");
}

fn matching(sql: &mut Sql<'_>, viewer: &Viewer, filter: &EventsFilter) {
    sql.push("SELECT t.position FROM ");
    let mut and = " WHERE ";
    let mut condition = |sql: &mut Sql<'_>, text: &'static str| {
        sql.push(and).push(text);
        and = " AND ";
    };
    if viewer.is_admin() {
        sql.push("timeline t");
    } else {
        // CROSS JOIN: from the viewer's streams to their events, never through everyone's.
        sql.push("stream_readers r {then} timeline t ON t.stream = r.stream");
        condition(sql, "r.user_id = ");
        sql.push_bind(viewer.user_id.to_string());
    }
    if let Some(after) = filter.after {
        condition(sql, if filter.ascending { "t.position > " } else { "t.position < " });
        sql.push_bind(after.as_i64());
    }
    if let Some(stream) = filter.stream {
        condition(sql, "t.stream = ");
        sql.push_bind(stream.to_string());
        if !viewer.is_admin() {
            condition(sql, "r.stream = ");
            sql.push_bind(stream.to_string());
        }
    }
    if let (Some(stream), Some(version)) = (filter.stream, filter.up_to) {
        condition(sql, "t.position <= (SELECT max(position) FROM feed WHERE stream = ");
        sql.push_bind(stream.to_string()).push(" AND version <= ").push_bind(version.as_i64()).push(")");
    }
    if let Some(event) = filter.event {
        condition(sql, "t.position = (SELECT position FROM feed WHERE event_id = ");
        sql.push_bind(event.to_string()).push(")");
    }
    if let Some(event_type) = &filter.event_type {
        // Behind a plus no index on types is used: among one's own streams that would be a walk through everyone's.
        condition(sql, if viewer.is_admin() { "t.event_type = " } else { "{unindexed}t.event_type = " });
        sql.push_bind(event_type.clone());
    }
    if let Some(correlation) = filter.correlation {
        condition(sql, "t.position IN (SELECT position FROM feed WHERE correlation_id = ");
        sql.push_bind(correlation.to_string()).push(")");
    }
    let text = filter.text.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    if let Some(text) = text {
        condition(sql, "{find}(t.search, ");
        sql.push_bind(text).push(") > 0");
    }
}

fn view(row: &Row) -> Result<EventView, DbError> {
    let envelope = feed::envelope(row)?;
    let metadata = serde_json::from_slice(&envelope.metadata).map_err(|error| unreadable("metadata", error))?;
    let view = event_view(&envelope, &metadata, optional(row, "currency")?);
    Ok(EventView { actor_name: row.try_get("actor_name")?, causation_id: optional(row, "cause")?, ..view })
}

/// `event` as this viewer may see it: who did it is known to admins, and to a customer where it was they themselves or
/// the process manager. Whether they may see the event at all is not asked here.
pub fn shown_to(viewer: &Viewer, event: EventView) -> EventView {
    if viewer.is_admin() {
        return event;
    }
    match event.actor {
        Some(Actor::User(id)) if id == viewer.user_id => EventView { actor_name: Some(viewer.name.clone()), ..event },
        Some(Actor::ProcessManager) => event,
        Some(Actor::User(_) | Actor::Operator) | None => {
            EventView { actor: None, actor_name: None, metadata: String::new(), ..event }
        }
    }
}
