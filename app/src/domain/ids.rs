//! Identifiers: newtypes over UUIDs, so that an account can never be passed where a transfer is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The text was no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID (like 0190f5fe-7c00-7a00-8000-000000000001): {0:?}")]
pub struct IdError(pub String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses the hyphenated form.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    };
}

id!(/// An account.
    AccountId);
id!(/// A transfer between two accounts.
    TransferId);
id!(/// A person. Their name and e-mail are kept elsewhere, so that they can be forgotten.
    UserId);
id!(/// One signed-in session of a person.
    SessionId);
id!(/// What the sender of a command calls it; the same id again means the same command.
    CommandId);
id!(/// One event; follows from its command's id and its place among that command's events.
    EventId);

impl EventId {
    /// The id of the `index`-th event (from 0) that `command` led to.
    pub fn derive(command: CommandId, index: usize) -> Self {
        Self(beside(command.0, derive_uuid("event", &[command.0.as_bytes(), &(index as u64).to_be_bytes()])))
    }
}

/// `derived` with the first 48 bits of `origin`, where a version 7 id has its time: ids that are made together lie
/// together in an index, which is then written at its end instead of all over.
pub fn beside(origin: Uuid, derived: Uuid) -> Uuid {
    let mut bytes = derived.into_bytes();
    bytes[..6].copy_from_slice(&origin.as_bytes()[..6]);
    Uuid::from_bytes(bytes)
}

/// A UUID (version 8) that follows from its parts: the same parts always give the same id.
pub fn derive_uuid(purpose: &str, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in [b"daybook".as_slice(), purpose.as_bytes()].iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
