//! The hash chain: what is hashed, byte by byte.
//!
//! Each field goes in as its length (4 bytes, big-endian) and its bytes; numbers are 8 bytes, big-endian.
//!
//! ```text
//! event hash = SHA-256( "daybook/event/1", position, event id (16 bytes), stream ("account-<uuid>"), version,
//!                       type, schema, recorded_at, payload, metadata, hash of the stream's previous event )
//! log hash   = SHA-256( "daybook/log/1", previous log hash, event hash )
//! ```
//! Before the first event, both chains start from 32 zero bytes.

use sha2::{Digest, Sha256};

use super::{Envelope, Hash};

/// What stands in for the hash before the first.
pub const GENESIS: Hash = Hash([0; 32]);

/// The hash of `event` (whose own `hash` is not looked at) after `previous`, the hash of its stream's event before.
pub fn event_hash(event: &Envelope, previous: &Hash) -> Hash {
    digest(&[
        b"daybook/event/1",
        &event.position.0.to_be_bytes(),
        event.event_id.0.as_bytes(),
        event.stream.to_string().as_bytes(),
        &event.version.0.to_be_bytes(),
        event.event_type.as_bytes(),
        &u64::from(event.schema).to_be_bytes(),
        &event.recorded_at.to_be_bytes(),
        &event.payload,
        &event.metadata,
        &previous.0,
    ])
}

/// The running hash over all events in position order, after the event with hash `event`.
pub fn log_hash(previous: &Hash, event: &Hash) -> Hash {
    digest(&[b"daybook/log/1", &previous.0, &event.0])
}

fn digest(fields: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for field in fields {
        let length = u32::try_from(field.len()).expect("an event is at most 256 KiB");
        hash.update(length.to_be_bytes());
        hash.update(field);
    }
    Hash(hash.finalize().into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::EventId,
        wire::{Position, StreamId, StreamKind, Version},
    };

    fn event() -> Envelope {
        Envelope {
            position: Position(41),
            event_id: EventId::parse("0190f5fe-7c00-7a00-8000-000000000001").unwrap(),
            stream: StreamId::new(
                StreamKind::Account,
                Uuid::try_parse("0190f5fe-7c00-7a00-8000-0000000000aa").unwrap(),
            ),
            version: Version(1),
            event_type: "account.money_deposited".into(),
            schema: 1,
            payload: r#"{"amount":123450,"effective_on":"2026-11-22","description":"Příjem"}"#.into(),
            metadata: r#"{"command_id":"0190f5fe-7c00-7a00-8000-0000000000cc"}"#.into(),
            recorded_at: 1_763_812_800_000_000,
            hash: GENESIS,
        }
    }

    /// The values are those that `server/tests/hash_vector.py` prints.
    #[test]
    fn w5_the_byte_layout_is_the_documented_one() {
        let hash = event_hash(&event(), &GENESIS);
        assert_eq!(hash.to_string(), "a7a3760569c8558db01ab6c45009412a2014fae55bc161a20ef2ef03fc44e2c2");
        let log = log_hash(&GENESIS, &hash);
        assert_eq!(log.to_string(), "738c212b91e00e9c8d12110ae0df73f2123afcff7a0e7bff43e10a6f92d0441d");
    }

    #[test]
    fn w5_every_part_of_an_event_is_hashed() {
        let original = event_hash(&event(), &GENESIS);
        let changes: [fn(&mut Envelope); 9] = [
            |event| event.position = Position(42),
            |event| event.event_id = EventId(Uuid::nil()),
            |event| event.stream.kind = StreamKind::Transfer,
            |event| event.version = Version(2),
            |event| event.event_type.push('x'),
            |event| event.schema = 2,
            |event| event.payload.push(b' '),
            |event| event.metadata.push(b' '),
            |event| event.recorded_at += 1,
        ];
        for change in changes {
            let mut event = event();
            change(&mut event);
            assert_ne!(event_hash(&event, &GENESIS), original);
        }
        assert_ne!(event_hash(&event(), &original), original);
        // A byte moved over a field's border.
        let mut moved = event();
        moved.payload.push(moved.metadata.remove(0));
        assert_ne!(event_hash(&moved, &GENESIS), original);
    }
}
