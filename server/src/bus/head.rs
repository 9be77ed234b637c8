//! Signed log heads: what the command side says of its log cannot be said by anyone else on the bus.
//!
//! The signed text is that of an anchor, so whoever keeps messages of the control topic keeps anchors.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::LogHead;

/// A log head with the command side's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    #[serde(flatten)]
    pub head: LogHead,
    /// The first eight hexadecimal digits of the SHA-256 of the public key.
    pub key_id: String,
    /// Ed25519 over [`head_message`], in URL-safe base64 without padding.
    pub signature: String,
}

/// What the command side signs with.
pub type SignHead = Arc<dyn Fn(LogHead) -> SignedHead + Send + Sync>;

/// The text that is signed: it names its purpose, so that no signature of another kind can pass for one.
pub fn head_message(head: &LogHead) -> String {
    format!("daybook/anchor/1\n{}\n{}\n{}", head.position, head.hash, head.at)
}

/// The command side's public keys, by key id.
#[derive(Debug, Clone, Default)]
pub struct HeadKeys(HashMap<String, VerifyingKey>);

impl HeadKeys {
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let digits = |key: &VerifyingKey| app::wire::Hash(Sha256::digest(key.as_bytes()).into()).to_string();
        Self(keys.into_iter().map(|key| (digits(&key)[..8].to_owned(), key)).collect())
    }

    /// Whether one of these keys signed it as it is.
    pub fn signed(&self, said: &SignedHead) -> bool {
        let Some(key) = self.0.get(&said.key_id) else { return false };
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(&said.signature) else { return false };
        let Ok(signature) = Signature::from_slice(&signature) else { return false };
        key.verify_strict(head_message(&said.head).as_bytes(), &signature).is_ok()
    }
}
