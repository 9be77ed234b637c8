//! The envelope around each stored event.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

use crate::domain::{AccountId, CommandId, EventId, IdError, SessionId, TransferId, UserId};

/// Place in the whole log, from 1 without gaps; 0 is before the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

/// Place in one stream, from 1 without gaps; 0 is before the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

macro_rules! counter {
    ($name:ident) => {
        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// As text of elsewhere has it; `None` also for a number that no log comes to.
            pub fn of_a_log(text: &str) -> Option<Self> {
                text.parse().ok().filter(|number| i64::try_from(*number).is_ok()).map(Self)
            }

            /// As databases keep it; `i64::MAX` for more, which a log that counts by one never reaches.
            pub fn as_i64(self) -> i64 {
                i64::try_from(self.0).unwrap_or(i64::MAX)
            }

            /// From what a database kept; negative numbers read as 0.
            pub fn from_i64(number: i64) -> Self {
                Self(u64::try_from(number).unwrap_or(0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}
counter!(Position);
counter!(Version);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    Account,
    Transfer,
    Session,
    User,
    Projection,
}

impl StreamKind {
    pub const ALL: [Self; 5] = [Self::Account, Self::Transfer, Self::Session, Self::User, Self::Projection];

    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Transfer => "transfer",
            Self::Session => "session",
            Self::User => "user",
            Self::Projection => "projection",
        }
    }
}

/// A stream: one aggregate's events. Written `account-<uuid>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub kind: StreamKind,
    pub id: Uuid,
}

impl StreamId {
    pub fn new(kind: StreamKind, id: Uuid) -> Self {
        Self { kind, id }
    }
}

impl From<AccountId> for StreamId {
    fn from(id: AccountId) -> Self {
        Self::new(StreamKind::Account, id.0)
    }
}

impl From<TransferId> for StreamId {
    fn from(id: TransferId) -> Self {
        Self::new(StreamKind::Transfer, id.0)
    }
}

impl From<SessionId> for StreamId {
    fn from(id: SessionId) -> Self {
        Self::new(StreamKind::Session, id.0)
    }
}

impl From<UserId> for StreamId {
    fn from(id: UserId) -> Self {
        Self::new(StreamKind::User, id.0)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.name(), self.id)
    }
}

impl FromStr for StreamId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError(text.to_owned());
        let (kind, id) = text.split_once('-').ok_or_else(error)?;
        let kind = StreamKind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(error)?;
        Ok(Self::new(kind, Uuid::try_parse(id).map_err(|_| error())?))
    }
}

/// Who sent a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    User(UserId),
    ProcessManager,
    /// Whoever runs `daybook` on the machine itself.
    Operator,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user-{id}"),
            Self::ProcessManager => f.write_str("process_manager"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

impl FromStr for Actor {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "process_manager" => Ok(Self::ProcessManager),
            "operator" => Ok(Self::Operator),
            _ => {
                let id = text.strip_prefix("user-").ok_or_else(|| IdError(text.to_owned()))?;
                UserId::parse(id).map(Self::User)
            }
        }
    }
}

/// 32 bytes of SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each event that is written prints one: byte by byte through `write!` is ten times slower.
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect();
        f.write_str(&text)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits: {0:?}")]
pub struct HashError(String);

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let error = || HashError(text.to_owned());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(|_| error())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(from)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
as_text!(StreamId Actor Hash);

/// What is known about an event beside what happened. Stored as JSON bytes, which the hash covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub command_id: CommandId,
    pub actor: Actor,
    /// The command that the whole chain of causes began with.
    pub correlation_id: CommandId,
    /// The event that made a process manager send the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// SHA-256 over actor and command as sent: tells a repeated command from another under the same id.
    pub digest: Hash,
    /// The trace that it was stored in, as W3C's Trace Context writes it, where traces were on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A stored event. `payload` and `metadata` are the bytes that were stored and hashed, JSON in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub position: Position,
    pub event_id: EventId,
    pub stream: StreamId,
    pub version: Version,
    /// Such as `account.money_deposited`.
    pub event_type: String,
    /// Schema version of the payload, from 1.
    pub schema: u32,
    pub payload: Vec<u8>,
    pub metadata: Vec<u8>,
    /// Microseconds since 1970, never before the event in front of it.
    pub recorded_at: i64,
    pub hash: Hash,
}
