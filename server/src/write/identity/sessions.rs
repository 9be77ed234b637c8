//! Signing in and out, and tokens. Only this side mints them.
//!
//! Guarantees: a failed sign-in says nothing about why and takes as long; a session lives at most [`SESSION_AGE`]; a
//! session that began before its person changed (password, roles, disabled) is void, whatever ran at the same time.

use std::{net::IpAddr, sync::Arc, time::Duration};

use app::{
    api::AppError,
    domain::{CommandId, SessionId, UserId, derive_uuid},
    ports::{SessionPort, SignedIn, Viewer},
    wire::{Actor, Receipt},
};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{
    HashedPassword, PASSWORD_LENGTH, PasswordError, Passwords, People, SignInLimits,
    ends::{Ends, people_failed},
};
use crate::bus::Person;
use crate::token::{self, KeyId, Revocations, TOKEN_LIFETIME};
use crate::write::{
    error::internal,
    following::Following,
    keys::SigningKeys,
    store::EventStore,
    writer::{Clock, SubmitError, Writer},
};

/// The longest that one sign-in lasts, however busy, microseconds.
pub const SESSION_AGE: i64 = 12 * 60 * 60 * 1_000_000;

/// An e-mail is cut to this before it is looked at: longer ones do not exist.
const EMAIL_MAX: usize = 254;
/// What is signed for the id of a sign-out begins with this, and nothing else that is signed does.
const SIGN_OUT: &[u8] = b"daybook/sign-out/1";
/// How often changes by another process are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What [`Sessions`] works with.
pub struct SessionParts {
    pub people: Arc<People>,
    pub passwords: Passwords,
    pub limits: SignInLimits,
    pub keys: Arc<SigningKeys>,
    pub store: Arc<dyn EventStore>,
    pub writer: Writer,
    /// Of this side's own token check.
    pub revocations: Arc<Revocations>,
    pub clock: Arc<dyn Clock>,
}

/// The command side's sessions.
pub struct Sessions {
    people: Arc<People>,
    passwords: Passwords,
    limits: SignInLimits,
    keys: Arc<SigningKeys>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
    ends: Arc<Ends>,
    /// Up to here the log was read for ends when this began.
    loaded: Following,
}

impl Sessions {
    /// Learns from the log which sessions ended lately, so that no token is checked before that.
    pub async fn start(parts: SessionParts) -> Result<Self, SubmitError> {
        let SessionParts { people, passwords, limits, keys, store, writer, revocations, clock } = parts;
        let ends = Arc::new(Ends::new(people.clone(), store, writer, revocations.clone()));
        let loaded = ends.load(clock.now_micros()).await?;
        Ok(Self { people, passwords, limits, keys, revocations, clock, ends, loaded })
    }

    /// Tells the log of ends that are due: those that a crash left behind, then those that `People` writes, here or by
    /// `daybook user` beside this process, whose changes it notices. Returns when cancelled.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut changes = self.people.changes();
        let work = async {
            loop {
                if let Err(error) = self.people.notice().await {
                    tracing::warn!(%error, "changes to people are noticed later");
                }
                changes.borrow_and_update();
                self.ends.tell_due().await;
                let changed = tokio::time::timeout(LOOK_EVERY, changes.changed()).await;
                if let Ok(Err(_)) = changed {
                    return;
                }
            }
        };
        let following = async {
            self.ends.follow(self.loaded, &*self.clock).await;
            std::future::pending::<()>().await;
        };
        let both = async {
            tokio::select! {
                () = work => {}
                () = following => {}
            }
        };
        cancel.run_until_cancelled(both).await;
    }
}

impl Sessions {
    /// Begins a session for someone whose password was just checked to be `password`.
    async fn begin(&self, user: UserId, password: &HashedPassword) -> Result<SignedIn, AppError> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|error| internal(&error))?;
        let now = self.clock.now_micros();
        let began = self.revocations.begins(user, now);
        // Only now is the person read: what changes after this ends the session.
        let known = self.people.by_id(user).await.map_err(people_failed)?;
        let known = known.filter(|row| !row.disabled && row.password == *password).ok_or(AppError::WrongCredentials)?;
        Ok(mint(&known.person, token::new_session_id(began, random), now, &self.keys))
    }

    async fn verify(&self, password: &str, hashed: Option<&HashedPassword>) -> Result<bool, AppError> {
        self.passwords.verify(password, hashed).await.map_err(password_failed)
    }
}

#[async_trait]
impl SessionPort for Sessions {
    async fn sign_in(&self, email: &str, password: &str, client: IpAddr) -> Result<SignedIn, AppError> {
        let email: String = email.trim().chars().take(EMAIL_MAX).collect::<String>().to_lowercase();
        self.limits.check(client, &email).map_err(|retry_after| AppError::TooMany { retry_after })?;
        let row = self.people.by_email(&email).await.map_err(people_failed)?;
        let right = self.verify(password, row.as_ref().map(|row| &row.password)).await?;
        let row = row.filter(|_| right).ok_or(AppError::WrongCredentials)?;
        self.begin(row.person.id, &row.password).await
    }

    async fn sign_out(&self, viewer: &Viewer) -> Result<Receipt, AppError> {
        // The same each time, and known to nobody without the key: whoever has a stolen token cannot use the id up first.
        let secret = self.keys.sign(&[SIGN_OUT, viewer.session_id.0.as_bytes()].concat());
        self.ends.end_session(CommandId(derive_uuid("sign_out", &[&secret])), viewer).await
    }

    async fn renew(&self, viewer: &Viewer) -> Result<SignedIn, AppError> {
        let now = self.clock.now_micros();
        if self.revocations.ended(viewer) || now >= token::session_began(viewer.session_id) + SESSION_AGE {
            return Err(AppError::NotSignedIn);
        }
        let row = self.people.by_id(viewer.user_id).await.map_err(people_failed)?;
        let row = row.filter(|row| !row.disabled).ok_or(AppError::NotSignedIn)?;
        Ok(mint(&row.person, viewer.session_id, now, &self.keys))
    }

    async fn by_email(&self, email: &str) -> Result<Option<UserId>, AppError> {
        let row = self.people.by_email(email).await.map_err(people_failed)?;
        Ok(row.filter(|row| !row.disabled).map(|row| row.person.id))
    }

    async fn change_password(&self, viewer: &Viewer, old: &str, new: &str) -> Result<SignedIn, AppError> {
        let row = self.people.by_id(viewer.user_id).await.map_err(people_failed)?;
        let row = row.filter(|row| !row.disabled).ok_or(AppError::NotSignedIn)?;
        self.limits.check_email(&row.person.email).map_err(|retry_after| AppError::TooMany { retry_after })?;
        if !self.verify(old, Some(&row.password)).await? {
            return Err(AppError::invalid("old", "this is not your password"));
        }
        if old == new {
            return Err(AppError::invalid("new", "this is your password already"));
        }
        let hashed = self.passwords.hash(new).await.map_err(password_failed)?;
        self.people.set_password(viewer.user_id, &hashed, Actor::User(viewer.user_id)).await.map_err(people_failed)?;
        self.ends.tell_due().await;
        self.begin(viewer.user_id, &hashed).await
    }
}

/// A token for `person`, good until the token or the session is too old. `now`: microseconds since 1970.
pub fn mint(person: &Person, session_id: SessionId, now: i64, keys: &SigningKeys) -> SignedIn {
    let viewer = Viewer {
        user_id: person.id,
        session_id,
        name: person.name.clone(),
        roles: person.roles.clone(),
        expires_at: (now + TOKEN_LIFETIME).min(token::session_began(session_id) + SESSION_AGE),
    };
    let token = token::seal(&viewer, KeyId::of(&keys.verifying_key()), |message| keys.sign(message));
    SignedIn { token, viewer }
}

fn password_failed(error: PasswordError) -> AppError {
    match error {
        PasswordError::Length => AppError::invalid(
            "new",
            format!("a password has {} to {} characters", PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end()),
        ),
        PasswordError::Busy => AppError::Unavailable { retry_after: 1 },
        PasswordError::Hashing(_) => internal(&error),
    }
}
