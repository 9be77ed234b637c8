//! Passwords: Argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane), hashed away from the
//! async threads, and only so many at once that memory and processors stay bounded.

use std::{ops::RangeInclusive, sync::Arc};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use tokio::sync::Semaphore;

/// Characters in a password.
pub const PASSWORD_LENGTH: RangeInclusive<usize> = 10..=200;

/// How many may wait for each that is hashing.
const WAITING: usize = 16;

/// An Argon2id hash as PHC string. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedPassword(pub(super) String);

impl std::fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashedPassword(…)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has {} to {} characters", PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end())]
    Length,
    /// Too many are waiting already.
    #[error("too many passwords are being checked right now")]
    Busy,
    #[error("the password could not be hashed")]
    Hashing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    /// Everyone who is let in: hashing or waiting for it.
    admitted: Arc<Semaphore>,
    hashing: Arc<Semaphore>,
    /// What a password is checked against when there is no such person, so that it takes as long.
    nobody: HashedPassword,
}

impl Passwords {
    /// As many at once as there are processors. Takes as long as one hash.
    pub fn new() -> Result<Self, PasswordError> {
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| PasswordError::Hashing(Box::new(error)))?;
        Ok(Self {
            admitted: Arc::new(Semaphore::new(at_once * (1 + WAITING))),
            hashing: Arc::new(Semaphore::new(at_once)),
            nobody: hash(&random)?,
        })
    }

    /// Hashes a new password with a fresh salt.
    pub async fn hash(&self, password: &str) -> Result<HashedPassword, PasswordError> {
        if !PASSWORD_LENGTH.contains(&password.chars().count()) {
            return Err(PasswordError::Length);
        }
        let password = password.to_owned();
        self.work(move || hash(password.as_bytes())).await?
    }

    /// Whether `password` is the one that was hashed; `None` takes as long and is never right.
    pub async fn verify(&self, password: &str, hashed: Option<&HashedPassword>) -> Result<bool, PasswordError> {
        // Longer than anyone's password can be: not worth hashing, whoever it is.
        if password.chars().count() > *PASSWORD_LENGTH.end() {
            return Ok(false);
        }
        let (password, exists) = (password.to_owned(), hashed.is_some());
        let hashed = hashed.unwrap_or(&self.nobody).clone();
        let matches = self
            .work(move || Argon2::default().verify_password(password.as_bytes(), hashed.0.as_str()).is_ok())
            .await?;
        Ok(matches && exists)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let hashing = self.hashing.clone().acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        // The permits go along: a caller that gives up does not make room before the work is done.
        tokio::task::spawn_blocking(move || {
            let _permits = (admitted, hashing);
            work()
        })
        .await
        .map_err(|error| PasswordError::Hashing(Box::new(error)))
    }
}

fn hash(password: &[u8]) -> Result<HashedPassword, PasswordError> {
    let hashed = Argon2::default().hash_password(password).map_err(|error| PasswordError::Hashing(Box::new(error)))?;
    Ok(HashedPassword(hashed.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_matches_and_no_other_does() {
        let passwords = Passwords::new().unwrap();
        let hashed = passwords.hash("correct horse").await.unwrap();
        assert!(hashed.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashed.0);
        assert!(passwords.verify("correct horse", Some(&hashed)).await.unwrap());
        assert!(!passwords.verify("correct horsf", Some(&hashed)).await.unwrap());
        assert_ne!(hashed, passwords.hash("correct horse").await.unwrap(), "every hash has its own salt");
    }

    #[tokio::test]
    async fn a_password_too_short_or_too_long_is_refused() {
        let passwords = Passwords::new().unwrap();
        assert!(matches!(passwords.hash("ninechars").await, Err(PasswordError::Length)));
        assert!(matches!(passwords.hash(&"x".repeat(201)).await, Err(PasswordError::Length)));
        assert!(passwords.hash("žluťoučký1").await.is_ok());
    }

    #[tokio::test]
    async fn without_a_person_the_same_work_is_done_and_nothing_matches() {
        let passwords = Passwords::new().unwrap();
        let params = |hash: &HashedPassword| hash.0.split('$').nth(3).map(str::to_owned);
        assert_eq!(params(&passwords.nobody), params(&passwords.hash("correct horse").await.unwrap()));
        assert!(!passwords.verify("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn too_many_at_once_are_turned_away() {
        let passwords = Passwords::new().unwrap();
        let everyone = passwords.admitted.available_permits();
        let _full = passwords.admitted.clone().acquire_many_owned(u32::try_from(everyone).unwrap()).await.unwrap();
        assert!(matches!(passwords.verify("correct horse", None).await, Err(PasswordError::Busy)));
    }
}
