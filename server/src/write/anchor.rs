//! Anchors: what the log was at some moment, signed, to be kept elsewhere.
//!
//! The hash chain alone shows a change that did not recompute it. A rewritten and recomputed history, a removed tail or
//! a removed stream is found against an anchor that was taken before (W5).

use std::str::FromStr;

use app::wire::{Hash, Position};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    keys::{PublicKeys, SigningKeys},
    store::Head,
};
use crate::bus::{LogHead, head::head_message};

/// One line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    pub position: Position,
    /// The running hash over all events up to `position`.
    pub hash: Hash,
    /// When it was taken, microseconds since 1970.
    pub at: i64,
    pub key_id: String,
    /// Of the key that signed it, 32 bytes; older anchors have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Hash>,
    /// Ed25519 over [`message`], in URL-safe base64 without padding.
    pub signature: String,
}

/// Why a text is no anchor of this ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    #[error("not an anchor: {0}")]
    NotAnAnchor(String),
    #[error("the anchor was signed by key {0}, which is not this ledger's (--anchor-key, if it had another one then)")]
    UnknownKey(String),
    #[error(
        "the ledger's signing key is not here, and the anchor does not carry its public key (say it: --anchor-key)"
    )]
    NoKey,
    #[error("the anchor's signature does not hold: it was altered")]
    BadSignature,
}

impl Anchor {
    /// Signs `head` as it was at `at` (microseconds since 1970).
    pub fn sign(head: &Head, at: i64, keys: &SigningKeys) -> Self {
        let signature = keys.sign(message(head.position, &head.hash, at).as_bytes());
        Self {
            position: head.position,
            hash: head.hash,
            at,
            key_id: keys.key_id().to_owned(),
            public_key: Some(Hash(keys.verifying_key().to_bytes())),
            signature: BASE64_URL_SAFE_NO_PAD.encode(signature),
        }
    }

    /// Whether one of `keys` signed it.
    pub fn check(&self, keys: &PublicKeys) -> Result<(), AnchorError> {
        if !keys.knows(&self.key_id) {
            return Err(AnchorError::UnknownKey(self.key_id.clone()));
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(&self.signature).map_err(|_| AnchorError::BadSignature)?;
        let message = message(self.position, &self.hash, self.at);
        if keys.verify(&self.key_id, message.as_bytes(), &signature) { Ok(()) } else { Err(AnchorError::BadSignature) }
    }

    /// Whether the key that it carries itself signed it. Says nothing of whose key that is.
    pub fn check_by_itself(&self) -> Result<(), AnchorError> {
        self.check(&PublicKeys::of(&self.public_key.ok_or(AnchorError::NoKey)?.0))
    }

    /// The text that is kept: one line, without its end.
    ///
    /// # Panics
    /// Never: an anchor holds nothing that JSON cannot.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("an anchor holds nothing that JSON cannot")
    }
}

impl FromStr for Anchor {
    type Err = AnchorError;

    fn from_str(line: &str) -> Result<Self, AnchorError> {
        serde_json::from_str(line).map_err(|error| AnchorError::NotAnAnchor(error.to_string()))
    }
}

/// What is signed: the text that signed log heads on the bus have too.
fn message(position: Position, hash: &Hash, at: i64) -> String {
    head_message(&LogHead { position, hash: *hash, at })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn anchor() -> (Anchor, PublicKeys) {
        let keys = SigningKeys::from_seed([7; 32]);
        let head = Head { position: Position(40), hash: Hash([9; 32]), recorded_at: 1 };
        (Anchor::sign(&head, 1_760_000_000_000_000, &keys), keys.public())
    }

    #[test]
    fn an_anchor_survives_its_text() {
        let (anchor, keys) = anchor();
        let read: Anchor = anchor.to_line().parse().unwrap();
        assert_eq!(read, anchor);
        assert_eq!(read.check(&keys), Ok(()));
        assert_eq!(read.check_by_itself(), Ok(()));
        assert!(!anchor.to_line().contains('\n'));
    }

    #[test]
    fn an_anchor_of_before_they_carried_their_key_holds_against_the_ledgers() {
        let (anchor, keys) = anchor();
        let older = Anchor { public_key: None, ..anchor };
        let read: Anchor = older.to_line().parse().unwrap();
        assert_eq!((read.check(&keys), read.check_by_itself()), (Ok(()), Err(AnchorError::NoKey)));
    }

    #[test]
    fn an_altered_anchor_is_refused() {
        let (anchor, keys) = anchor();
        assert_eq!(Anchor { position: Position(39), ..anchor.clone() }.check(&keys), Err(AnchorError::BadSignature));
        assert_eq!(Anchor { hash: Hash([8; 32]), ..anchor.clone() }.check(&keys), Err(AnchorError::BadSignature));
        assert_eq!(Anchor { at: 0, ..anchor.clone() }.check(&keys), Err(AnchorError::BadSignature));
        assert_eq!(Anchor { at: 0, ..anchor.clone() }.check_by_itself(), Err(AnchorError::BadSignature));
        let stranger = Anchor::sign(&Head::EMPTY, 0, &SigningKeys::from_seed([8; 32]));
        assert_eq!(stranger.check(&keys), Err(AnchorError::UnknownKey(stranger.key_id.clone())));
        assert!(matches!("position 40".parse::<Anchor>(), Err(AnchorError::NotAnAnchor(_))));
    }
}
