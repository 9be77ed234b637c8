//! What a projection is given of the feed: read events, in order, without what an admin had it skip.

use std::collections::HashMap;

use app::{
    domain::EventId,
    wire::{Envelope, Event, Position, ProjectionEvent, decode},
};

use super::{
    projections::Decoded,
    sql::{DbError, Sql, Tx},
};

/// An event of the feed that does not decode.
#[derive(Debug)]
pub struct Unreadable {
    pub position: Position,
    pub event_id: EventId,
    pub what: String,
}

/// Events as the feed has them, each read or not.
pub type Read = Vec<Result<Decoded, Unreadable>>;

/// Where an event is in the log, and which one it is.
pub fn place(event: &Result<Decoded, Unreadable>) -> (Position, EventId) {
    match event {
        Ok(decoded) => (decoded.envelope.position, decoded.envelope.event_id),
        Err(unreadable) => (unreadable.position, unreadable.event_id),
    }
}

pub fn decode_all(envelopes: Vec<Envelope>) -> Read {
    envelopes
        .into_iter()
        .map(|envelope| match decode(&envelope.event_type, envelope.schema, &envelope.payload) {
            Ok(event) => Ok(Decoded { envelope, event }),
            Err(error) => {
                let (position, event_id) = (envelope.position, envelope.event_id);
                Err(Unreadable { position, event_id, what: error.to_string() })
            }
        })
        .collect()
}

/// The type of a skip.
const SKIPPED: &str = "projection.event_skipped";

/// Which events which projection skips, by the log's own word.
#[derive(Debug, Default)]
pub struct Skips(HashMap<(String, Position), EventId>);

impl Skips {
    /// All skips in the feed, however much later than the event that they skip.
    pub async fn load(tx: &mut Tx) -> Result<Self, DbError> {
        let rows =
            Sql::new("SELECT event_type, schema, payload FROM feed WHERE event_type = 'projection.event_skipped'")
                .fetch_all(tx)
                .await?;
        let mut skips = HashMap::new();
        for row in &rows {
            // One that does not read parks every projection at its own position; it skips nothing.
            if let Ok(Event::Projection(ProjectionEvent::EventSkipped { projection, position, event_id, .. })) =
                decode(row.try_get("event_type")?, row.try_get("schema")?, row.try_get("payload")?)
            {
                skips.insert((projection, position), event_id);
            }
        }
        Ok(Self(skips))
    }

    /// All skips in the feed, if there is one among `stored`, which it holds already.
    pub async fn changed(tx: &mut Tx, stored: &[Envelope]) -> Result<Option<Self>, DbError> {
        if stored.iter().any(|envelope| envelope.event_type == SKIPPED) {
            return Self::load(tx).await.map(Some);
        }
        Ok(None)
    }

    pub fn hold(&self, projection: &str, position: Position, event: EventId) -> bool {
        !self.0.is_empty() && self.0.get(&(projection.to_owned(), position)) == Some(&event)
    }

    /// Whether the projection was told to go on at `position`.
    pub fn at(&self, projection: &str, position: Position) -> bool {
        self.0.contains_key(&(projection.to_owned(), position))
    }

    /// How many positions after `after`, up to `end`, the projection was told to skip.
    pub fn count(&self, projection: &str, after: Position, end: Position) -> u32 {
        let of_it =
            |(name, position): &&(String, Position)| name == projection && (after < *position && *position <= end);
        u32::try_from(self.0.keys().filter(of_it).count()).unwrap_or(u32::MAX)
    }
}

/// What stops a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// This event cannot be read or applied.
    Bad { position: Position, what: String },
    /// This position has not come yet.
    Hole { position: Position },
}

/// The next events for one projection.
#[derive(Debug)]
pub struct Batch<'a> {
    pub events: Vec<&'a Decoded>,
    /// The checkpoint that the batch begins at, and the one it leads to.
    pub after: Position,
    pub end: Position,
    pub stop: Option<Stop>,
}

impl<'a> Batch<'a> {
    /// What follows on `after` in `read`, up to `until`. R1: what the checkpoint covers is dropped, a hole ends it.
    pub fn of(
        projection: &str,
        read: impl IntoIterator<Item = &'a Result<Decoded, Unreadable>>,
        after: Position,
        until: Position,
        skips: &Skips,
    ) -> Self {
        let mut batch = Self { events: Vec::new(), after, end: after, stop: None };
        for event in read {
            let (position, event_id) = place(event);
            if position <= batch.end {
                continue;
            }
            if position > until {
                break;
            }
            if position != batch.end.next() {
                batch.stop = Some(Stop::Hole { position: batch.end.next() });
                break;
            }
            if !skips.hold(projection, position, event_id) {
                match event {
                    Ok(decoded) => batch.events.push(decoded),
                    Err(unreadable) => {
                        batch.stop = Some(Stop::Bad { position, what: unreadable.what.clone() });
                        break;
                    }
                }
            }
            batch.end = position;
        }
        batch
    }

    /// Nothing in it moves the checkpoint.
    pub fn is_empty(&self) -> bool {
        self.end == self.after
    }

    /// Ends before the event at `position`, because of `what`.
    pub fn cut_before(&mut self, position: Position, what: String) {
        self.events.retain(|decoded| decoded.envelope.position < position);
        self.end = Position(position.0.saturating_sub(1)).max(self.after);
        self.stop = Some(Stop::Bad { position, what });
    }

    /// Keeps the first half of the events, one at least.
    pub fn halve(&mut self) {
        self.shorten(self.events.len().div_ceil(2).max(1));
    }

    /// Keeps at most so many events, the first ones.
    pub fn shorten(&mut self, most: usize) {
        if self.events.len() <= most {
            return;
        }
        self.events.truncate(most);
        if let Some(last) = self.events.last() {
            self.end = last.envelope.position;
        }
        self.stop = None;
    }
}

#[cfg(test)]
pub mod tests {
    use app::{
        domain::{CommandId, UserId},
        wire::{GENESIS, StreamId, Version},
    };

    use super::*;

    /// An event at this position; the one at 13 does not decode.
    pub fn envelope(position: u64) -> Envelope {
        Envelope {
            position: Position(position),
            event_id: EventId::derive(CommandId(uuid::Uuid::from_u128(u128::from(position))), 0),
            stream: StreamId::from(UserId(uuid::Uuid::nil())),
            version: Version(position),
            event_type: if position == 13 { "account.unheard_of" } else { "account.account_closed" }.to_owned(),
            schema: 1,
            payload: b"{}".to_vec(),
            metadata: vec![],
            recorded_at: 0,
            hash: GENESIS,
        }
    }

    fn read(positions: &[u64]) -> Read {
        decode_all(positions.iter().copied().map(envelope).collect())
    }

    fn positions(batch: &Batch<'_>) -> Vec<u64> {
        batch.events.iter().map(|decoded| decoded.envelope.position.0).collect()
    }

    fn skipping(position: u64) -> Skips {
        let event_id = EventId::derive(CommandId(uuid::Uuid::from_u128(u128::from(position))), 0);
        Skips(HashMap::from([(("accounts".to_owned(), Position(position)), event_id)]))
    }

    #[test]
    fn r1_what_the_checkpoint_covers_is_dropped_and_the_next_is_applied() {
        let read = read(&[3, 4, 5, 5, 4, 6]);
        let batch = Batch::of("accounts", &read, Position(4), Position(100), &Skips::default());
        assert_eq!((positions(&batch), batch.end, &batch.stop), (vec![5, 6], Position(6), &None));
        let none = Batch::of("accounts", &read, Position(6), Position(100), &Skips::default());
        assert!(none.is_empty() && none.events.is_empty());
    }

    #[test]
    fn r1_a_hole_ends_the_batch_and_is_named() {
        let read = read(&[5, 6, 8, 9]);
        let batch = Batch::of("accounts", &read, Position(4), Position(100), &Skips::default());
        assert_eq!((positions(&batch), batch.end), (vec![5, 6], Position(6)));
        assert_eq!(batch.stop, Some(Stop::Hole { position: Position(7) }));
        let batch = Batch::of("accounts", &read, Position(6), Position(100), &Skips::default());
        assert!(batch.is_empty());
        assert_eq!(batch.stop, Some(Stop::Hole { position: Position(7) }));
    }

    #[test]
    fn r2_what_does_not_decode_ends_the_batch_unless_it_is_skipped() {
        let read = read(&[11, 12, 13, 14]);
        let batch = Batch::of("accounts", &read, Position(10), Position(100), &Skips::default());
        assert_eq!((positions(&batch), batch.end), (vec![11, 12], Position(12)));
        assert!(matches!(batch.stop, Some(Stop::Bad { position: Position(13), .. })));
        let batch = Batch::of("accounts", &read, Position(10), Position(100), &skipping(13));
        assert_eq!((positions(&batch), batch.end), (vec![11, 12, 14], Position(14)));
        // A skip of another projection is none.
        assert_eq!(Batch::of("timeline", &read, Position(10), Position(100), &skipping(13)).end, Position(12));
    }

    #[test]
    fn a_batch_reaches_no_further_than_it_is_told_and_is_cut_where_it_must() {
        let read = read(&[1, 2, 3, 4, 5]);
        let mut batch = Batch::of("accounts", &read, Position(0), Position(4), &Skips::default());
        assert_eq!(batch.end, Position(4));
        batch.halve();
        assert_eq!((positions(&batch), batch.end), (vec![1, 2], Position(2)));
        batch.cut_before(Position(2), "bad".to_owned());
        assert_eq!((positions(&batch), batch.end), (vec![1], Position(1)));
        batch.cut_before(Position(1), "bad".to_owned());
        assert!(batch.is_empty());
    }
}
