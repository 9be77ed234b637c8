//! What a message of the events was: one of ours, whole or not, or none.

use app::{
    domain::EventId,
    wire::{Envelope, Hash, Position, StreamId, Version},
};
use rdkafka::message::{Headers as _, Message};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use super::wire::{HEADERS, SOURCE, header, rfc3339};

/// What a message of the events was.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Event(Box<Envelope>),
    /// Of ours, but not whole.
    Damaged(String),
    /// Someone else's.
    Foreign(String),
}

/// Reads an event. That its bytes are those which were hashed is left to whoever has the event before.
pub fn read(message: &impl Message) -> Read {
    match header(message, "ce_source") {
        Some(source) if source == SOURCE => {}
        Some(source) => return Read::Foreign(format!("its source is {source}")),
        None => return Read::Foreign("it says no source".to_owned()),
    }
    match read_event(message) {
        Ok(event) => Read::Event(Box::new(event)),
        Err(what) => Read::Damaged(what),
    }
}

fn read_event(message: &impl Message) -> Result<Envelope, String> {
    let mut values = [None; HEADERS.len()];
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        if let Some(at) = HEADERS.iter().position(|name| *name == header.key) {
            values[at] = header.value;
        }
    }
    let bytes = |name: &str| {
        let at = HEADERS.iter().position(|known| *known == name);
        at.and_then(|at| values[at]).ok_or_else(|| format!("it has no {name}"))
    };
    let text = |name: &str| str::from_utf8(bytes(name)?).map_err(|_| format!("its {name} is no text"));
    let unreadable = |name: &str| format!("its {name} does not read");
    if text("ce_specversion")? != "1.0" {
        return Err("it is not of CloudEvents 1.0".to_owned());
    }
    Ok(Envelope {
        position: Position::of_a_log(text("ce_position")?).ok_or_else(|| unreadable("ce_position"))?,
        event_id: EventId::parse(text("ce_id")?).map_err(|_| unreadable("ce_id"))?,
        stream: text("ce_subject")?.parse::<StreamId>().map_err(|_| unreadable("ce_subject"))?,
        version: Version::of_a_log(text("ce_version")?).ok_or_else(|| unreadable("ce_version"))?,
        event_type: text("ce_type")?.to_owned(),
        schema: text("ce_schemaversion")?.parse().map_err(|_| unreadable("ce_schemaversion"))?,
        payload: message.payload().ok_or("it has no payload")?.to_vec(),
        metadata: bytes("ce_metadata")?.to_vec(),
        recorded_at: micros(text("ce_time")?).ok_or_else(|| unreadable("ce_time"))?,
        hash: text("ce_hash")?.parse::<Hash>().map_err(|_| unreadable("ce_hash"))?,
    })
}

/// The exact reverse of [`rfc3339`]: no other way to write a time is taken, since the hash covers its value.
pub fn micros(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let small = |from: usize| number(from, from + 2).and_then(|number| u8::try_from(number).ok());
    let month = Month::try_from(small(5)?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(number(0, 4)?).ok()?, month, small(8)?).ok()?;
    let time = Time::from_hms_micro(small(11)?, small(14)?, small(17)?, number(20, 26)?).ok()?;
    let since = PrimitiveDateTime::new(date, time).assume_utc() - OffsetDateTime::UNIX_EPOCH;
    let micros = i64::try_from(since.whole_microseconds()).ok()?;
    (rfc3339(micros) == text).then_some(micros)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use app::wire::{GENESIS, StreamKind};
    use rdkafka::message::{OwnedHeaders, OwnedMessage, Timestamp};
    use uuid::Uuid;

    use super::{
        super::{sent::headers, wire::CONTENT_TYPE},
        *,
    };

    fn event() -> Envelope {
        Envelope {
            position: Position(41),
            event_id: EventId(Uuid::from_u128(7)),
            stream: StreamId::new(StreamKind::Account, Uuid::from_u128(8)),
            version: Version(3),
            event_type: "account.money_deposited".into(),
            schema: 1,
            payload: "{\"description\":\"Příjem\"}".into(),
            metadata: b"{\"actor\":\"operator\"}".to_vec(),
            recorded_at: 1_763_812_800_000_001,
            hash: GENESIS,
        }
    }

    fn message(payload: Option<Vec<u8>>, headers: OwnedHeaders) -> OwnedMessage {
        OwnedMessage::new(payload, None, "t".into(), Timestamp::NotAvailable, 0, 0, Some(headers))
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let read = read(&message(Some(event().payload), headers(&event(), Some("node"), Some("00-1"))));
        assert_eq!(read, Read::Event(Box::new(event())));
    }

    #[test]
    fn an_event_without_one_of_its_headers_is_damaged_and_without_a_source_foreign() {
        for missing in HEADERS.iter().filter(|name| **name != CONTENT_TYPE) {
            let whole = headers(&event(), None, None);
            let kept = whole.iter().filter(|header| header.key != *missing);
            let fewer = kept.fold(OwnedHeaders::new(), |all, header| all.insert(header));
            match read(&message(Some(event().payload), fewer)) {
                Read::Foreign(_) => assert_eq!(*missing, "ce_source"),
                Read::Damaged(what) => assert!(what.contains(missing), "{what}"),
                Read::Event(event) => panic!("{event:?} was read without {missing}"),
            }
        }
        assert!(matches!(read(&message(None, headers(&event(), None, None))), Read::Damaged(_)));
    }

    #[test]
    fn a_number_that_no_log_comes_to_is_damage() {
        for name in ["ce_position", "ce_version"] {
            let whole = headers(&event(), None, None);
            let altered = whole.iter().fold(OwnedHeaders::new(), |all, header| {
                let value = if header.key == name { Some(&b"9223372036854775808"[..]) } else { header.value };
                all.insert(rdkafka::message::Header { key: header.key, value })
            });
            assert!(
                matches!(read(&message(Some(event().payload), altered)), Read::Damaged(what) if what.contains(name))
            );
        }
    }

    #[test]
    fn times_are_exact() {
        for at in [0, 1, 999_999, 1_763_812_800_000_001, 253_402_300_799_999_999] {
            assert_eq!(micros(&rfc3339(at)), Some(at));
        }
        for text in ["", "2026-11-22T09:30:00Z", "2026-11-22T09:30:00.12345+Z", "2026-02-30T09:30:00.123456Z", "ěščř"]
        {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
