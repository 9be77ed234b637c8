//! A stream replayed: the same `evolve` as the server's, over the stored events.

use crate::{
    domain::{
        AccountId, CommandId, Currency, EventId,
        account::{self, Account},
        transfer::{self, Transfer, TransferStatus},
    },
    islands::ledger::short_id,
    locale::Locale,
    wire::{
        Actor, Envelope, Event, FromJson, GENESIS, Hash, Json, Position, StreamId, Version, event_hash, read_event,
    },
    words,
};

/// A stored event as `/api/v1/streams/…` gives it: `payload` and `metadata` are the stored text.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub position: Position,
    pub event_id: EventId,
    pub stream: StreamId,
    pub version: Version,
    pub event_type: String,
    pub schema: u32,
    pub recorded_at: i64,
    pub payload: String,
    /// Absent where the viewer may not see who did it.
    pub metadata: Option<String>,
    pub hash: Hash,
    pub correlation_id: CommandId,
    pub causation_id: Option<EventId>,
}

impl FromJson for Stored {
    fn from_json(json: Json<'_>) -> Option<Self> {
        Some(Self {
            position: json.field("position")?,
            event_id: json.field("event_id")?,
            stream: json.field("stream")?,
            version: json.field("version")?,
            event_type: json.field("type")?,
            schema: json.field("schema")?,
            recorded_at: json.field("recorded_at")?,
            payload: json.get("payload")?.raw().to_owned(),
            metadata: json.get("metadata").map(|metadata| metadata.raw().to_owned()),
            hash: json.field("hash")?,
            correlation_id: json.field("correlation_id")?,
            causation_id: json.field("causation_id")?,
        })
    }
}

impl Stored {
    /// `None`: written by a newer Daybook.
    pub(super) fn event(&self) -> Option<Event> {
        read_event(&self.event_type, self.schema, &self.payload)
    }

    /// The entry that this one undoes.
    pub(super) fn reverses(&self) -> Option<EventId> {
        match self.event()? {
            Event::Account(account::AccountEvent::EntryReversed { event_id, .. }) => Some(event_id),
            Event::Account(_) | Event::Transfer(_) | Event::Session(_) | Event::Projection(_) => None,
        }
    }

    /// Who did it, where the viewer may see that.
    pub(super) fn actor(&self) -> Option<Actor> {
        Json::parse(self.metadata.as_ref()?)?.field("actor")
    }
}

/// What the chain of hashes says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Chain {
    #[default]
    Unbroken,
    /// The first event whose hash does not follow.
    Broken(Version),
    /// The viewer does not see all that is hashed.
    Hidden,
}

/// Recomputes every hash of a stream, from its first event.
pub(super) fn verify(events: &[Stored]) -> Chain {
    let mut previous = GENESIS;
    for event in events {
        let Some(metadata) = &event.metadata else { return Chain::Hidden };
        let envelope = Envelope {
            position: event.position,
            event_id: event.event_id,
            stream: event.stream,
            version: event.version,
            event_type: event.event_type.clone(),
            schema: event.schema,
            payload: event.payload.clone().into_bytes(),
            metadata: metadata.clone().into_bytes(),
            recorded_at: event.recorded_at,
            hash: event.hash,
        };
        if event_hash(&envelope, &previous) != event.hash {
            return Chain::Broken(event.version);
        }
        previous = event.hash;
    }
    Chain::Unbroken
}

/// The state of a stream's aggregate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    account: Account,
    transfer: Transfer,
}

/// The state after `events`, each read and evolved.
pub(super) fn replay(events: &[Stored]) -> State {
    events.iter().filter_map(Stored::event).fold(State::default(), |state, event| evolve(state, &event))
}

pub(super) fn evolve(mut state: State, event: &Event) -> State {
    match event {
        Event::Account(event) => state.account = account::evolve(state.account, event),
        Event::Transfer(event) => state.transfer = transfer::evolve(state.transfer, event),
        // These have no state to show.
        Event::Session(_) | Event::Projection(_) => {}
    }
    state
}

impl State {
    /// In which the event's amounts are.
    pub(super) fn currency(&self) -> Option<Currency> {
        self.account.currency.or(self.transfer.currency)
    }

    /// Name and value of each part; amounts with what they are in minor units.
    pub(super) fn facts(&self, locale: &Locale) -> Vec<(&'static str, String, Option<i64>)> {
        let money = |minor: i64| {
            let text = match self.currency() {
                Some(currency) => locale.format_amount(minor, currency),
                None => minor.to_string(),
            };
            (text, Some(minor))
        };
        let text = |text: String| (text, None);
        let id = |id: Option<AccountId>| text(id.map_or_else(String::new, |id| short_id(&id.to_string())));
        let facts: Vec<(&'static str, (String, Option<i64>))> = if self.transfer == Transfer::default() {
            let account = &self.account;
            vec![
                ("State", text(words::account_status(account.status).to_owned())),
                ("Name", text(account.name.clone())),
                ("Balance", money(account.balance)),
                ("Held", money(account.held)),
                ("Available", money(account.available())),
                ("On its way here", money(account.expected)),
                ("Overdraft limit", money(account.overdraft_limit)),
            ]
        } else {
            let transfer = &self.transfer;
            let state = match transfer.status {
                TransferStatus::Absent => "Not there yet",
                TransferStatus::Requested => "Requested",
                TransferStatus::Completed => "Completed",
                TransferStatus::Failed => "Declined",
            };
            let reason = transfer.reason.map(|reason| words::decline(reason).to_owned());
            vec![
                ("State", text(state.to_owned())),
                ("From", id(transfer.from)),
                ("To", id(transfer.to)),
                ("Amount", money(transfer.amount)),
                ("Reason", text(reason.unwrap_or_default())),
            ]
        };
        facts.into_iter().map(|(name, (text, minor))| (name, text, minor)).collect()
    }
}

/// What a step changed: name, before, after, and the difference of amounts.
pub(super) fn changes(before: &State, after: &State, locale: &Locale) -> Vec<(&'static str, String, String, String)> {
    let before = before.facts(locale);
    after
        .facts(locale)
        .into_iter()
        .filter_map(|(name, now, minor)| {
            let (_, was, was_minor) = before.iter().find(|(known, ..)| *known == name).cloned().unwrap_or_default();
            let by = match (minor, was_minor.unwrap_or(0), after.currency()) {
                (Some(now), was, Some(currency)) => locale.format_signed(now.saturating_sub(was), currency),
                _ => String::new(),
            };
            (minor.unwrap_or(0) != was_minor.unwrap_or(0) || (minor.is_none() && now != was))
                .then_some((name, was, now, by))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode;

    /// Account events as a server would store them, chained.
    fn chain(payloads: &[(&str, &str)]) -> Vec<Stored> {
        let mut previous = GENESIS;
        let mut stored = Vec::new();
        for (index, (event_type, payload)) in payloads.iter().enumerate() {
            let version = Version(index as u64 + 1);
            let json = serde_json::json!({
                "position": version.0 + 10, "event_id": uuid::Uuid::nil(), "version": version, "type": event_type,
                "stream": format!("account-{}", uuid::Uuid::nil()), "schema": 1, "recorded_at": 5,
                "payload": {}, "metadata": {"x": 1}, "hash": "00".repeat(32), "correlation_id": uuid::Uuid::nil(),
            });
            let mut event = Stored::from_json(Json::parse(&json.to_string()).unwrap()).unwrap();
            (*payload).clone_into(&mut event.payload);
            let envelope = Envelope {
                position: event.position,
                event_id: event.event_id,
                stream: event.stream,
                version,
                event_type: event.event_type.clone(),
                schema: 1,
                payload: payload.as_bytes().to_vec(),
                metadata: event.metadata.clone().unwrap().into_bytes(),
                recorded_at: 5,
                hash: GENESIS,
            };
            event.hash = event_hash(&envelope, &previous);
            previous = event.hash;
            stored.push(event);
        }
        stored
    }

    fn life() -> Vec<Stored> {
        let id = uuid::Uuid::nil();
        let opened = format!(r#"{{"owner":"{id}","name":"Everyday","currency":"CZK","overdraft_limit":0}}"#);
        chain(&[
            ("account.account_opened", &opened),
            ("account.money_deposited", r#"{"amount":930000,"effective_on":"2026-11-22"}"#),
            ("account.account_frozen", r#"{ "reason": "card lost" }"#),
        ])
    }

    #[test]
    fn each_step_says_what_it_changed() {
        let events = life();
        let locale = Locale::default();
        let changed = changes(&replay(&events[..1]), &replay(&events[..2]), &locale);
        let balance = ("Balance", "0.00".to_owned(), "9,300.00".to_owned(), "+9,300.00".to_owned());
        assert_eq!(changed[0], balance);
        assert_eq!(changed.len(), 2, "balance and available: {changed:?}");
        let changed = changes(&replay(&events[..2]), &replay(&events), &locale);
        assert_eq!(changed, [("State", "Open".to_owned(), "Frozen".to_owned(), String::new())]);
    }

    #[test]
    fn the_chain_is_checked_over_the_stored_text() {
        let mut events = life();
        assert_eq!(verify(&events), Chain::Unbroken);
        // The same JSON, written otherwise, is not what was stored.
        r#"{"effective_on":"2026-11-22","amount":930000}"#.clone_into(&mut events[1].payload);
        assert_eq!(verify(&events), Chain::Broken(Version(2)));
        events[0].metadata = None;
        assert_eq!(verify(&events), Chain::Hidden);
    }

    #[test]
    fn what_the_server_encodes_is_read_here() {
        let event = life()[1].event().unwrap();
        assert_eq!(encode(&event).2, life()[1].payload.as_bytes());
    }
}
