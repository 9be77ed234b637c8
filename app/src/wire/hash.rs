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
