//! The command side's signing key: Ed25519, kept in the data folder, readable by its owner only.
//!
//! Whoever checks a signature needs only [`PublicKeys`], by key id, and can sign nothing with them.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use app::wire::Hash;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 64;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is no signing key of Daybook", path = .0.display())]
    NotAKey(PathBuf),
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// The private key. Signs anchors and session tokens.
pub struct SigningKeys {
    key: SigningKey,
    key_id: String,
    /// Of before, and to come: their signatures count, too.
    others: PublicKeys,
}

impl SigningKeys {
    /// Reads the key in `file`; `None` if there is no such file.
    pub fn load(file: &Path) -> Result<Option<Self>, KeyError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyError::File { path: file.to_owned(), source }),
        };
        let seed = text.trim_end().strip_prefix("ed25519 ").and_then(|hex| hex.parse::<Hash>().ok());
        Ok(Some(Self::from_seed(seed.ok_or_else(|| KeyError::NotAKey(file.to_owned()))?.0)))
    }

    /// Reads the key in `file`; makes one on first use.
    pub fn load_or_create(file: &Path) -> Result<Self, KeyError> {
        if let Some(keys) = Self::load(file)? {
            return Ok(keys);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(KeyError::Random)?;
        Self::from_seed(seed).save(file)?;
        // Read back, since another process may have made it first.
        let missing = || KeyError::File { path: file.to_owned(), source: io::ErrorKind::NotFound.into() };
        Self::load(file)?.ok_or_else(missing)
    }

    /// Writes the key to `file`, readable by its owner only; a file that is there already is left alone.
    pub fn save(&self, file: &Path) -> Result<(), KeyError> {
        create_private(file, &format!("ed25519 {}\n", Hash(self.key.to_bytes())))
            .map_err(|source| KeyError::File { path: file.to_owned(), source })
    }

    /// The key that follows from these secret bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        Self { key_id: key_id(&key.verifying_key()), key, others: PublicKeys::default() }
    }

    /// The first eight hexadecimal digits of the SHA-256 of the public key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        self.key.sign(message).to_bytes()
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// While one key takes over from another, nodes sign with either: signatures of `others` count as its own.
    #[must_use]
    pub fn trusting(mut self, others: impl IntoIterator<Item = VerifyingKey>) -> Self {
        self.others.0.extend(others.into_iter().map(|key| (key_id(&key), key)));
        self
    }

    /// What is needed to check signatures that count.
    pub fn public(&self) -> PublicKeys {
        let mut keys = self.others.clone();
        keys.0.insert(self.key_id.clone(), self.key.verifying_key());
        keys
    }
}

/// Public keys by key id.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(BTreeMap<String, VerifyingKey>);

impl PublicKeys {
    /// This one; none at all if these bytes are no public key.
    pub fn of(public_key: &[u8; 32]) -> Self {
        let mut keys = Self::default();
        if !keys.add(public_key) {
            tracing::debug!("these bytes are no public key");
        }
        keys
    }

    /// Takes in a public key of 32 bytes; `false` if it is none.
    pub fn add(&mut self, public_key: &[u8; 32]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(public_key) else { return false };
        self.0.insert(key_id(&key), key);
        true
    }

    /// All of them, for checks that bring their own key id.
    pub fn iter(&self) -> impl Iterator<Item = VerifyingKey> {
        self.0.values().copied()
    }

    pub fn knows(&self, key_id: &str) -> bool {
        self.0.contains_key(key_id)
    }

    /// Whether the key `key_id` signed exactly this message.
    pub fn verify(&self, key_id: &str, message: &[u8], signature: &[u8]) -> bool {
        let (Some(key), Ok(signature)) = (self.0.get(key_id), Signature::from_slice(signature)) else { return false };
        key.verify_strict(message, &signature).is_ok()
    }
}

fn key_id(key: &VerifyingKey) -> String {
    let hash = Hash(Sha256::digest(key.as_bytes()).into());
    hash.to_string()[..8].to_owned()
}

/// Writes a file that only its owner can read, whole or not at all, durably; one that is there already is left alone.
pub(super) fn create_private(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Of this call alone: in containers that share a folder every process may have the same id.
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let draft = file.with_extension(format!("{:016x}.draft", u64::from_ne_bytes(random)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&draft)?;
    let written = out.write_all(text.as_bytes()).and_then(|()| out.sync_all());
    // A link, unlike a rename, never overwrites.
    let linked = written.and_then(|()| std::fs::hard_link(&draft, file));
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => File::open(folder)?.sync_all(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signing.key");
        let first = SigningKeys::load_or_create(&file).unwrap();
        let again = SigningKeys::load_or_create(&file).unwrap();
        assert_eq!(first.key_id(), again.key_id());
        assert_eq!(first.key_id().len(), 8);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_signature_holds_for_its_message_and_its_key_only() {
        let keys = SigningKeys::from_seed([7; 32]);
        let public = keys.public();
        let signature = keys.sign(b"hello");
        assert!(public.verify(keys.key_id(), b"hello", &signature));
        assert!(!public.verify(keys.key_id(), b"hullo", &signature));
        assert!(!public.verify(keys.key_id(), b"hello", &signature[1..]));
        assert!(!public.verify("00000000", b"hello", &signature));
        assert!(!SigningKeys::from_seed([8; 32]).public().verify(keys.key_id(), b"hello", &signature));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signing.key");
        std::fs::write(&file, "something else").unwrap();
        assert!(matches!(SigningKeys::load_or_create(&file), Err(KeyError::NotAKey(_))));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "something else");
    }
}
