//! Session tokens: how they look, how either side checks them, and which of them are void before they run out.
//!
//! A token is base64url (no padding) of body and signature:
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | format: 1 |
//! | 4 | key id: the first bytes of the SHA-256 of the public key (elsewhere written as 8 hexadecimal digits) |
//! | 16 | user id |
//! | 16 | session id, a UUID v7: its time is when the session began |
//! | 8 | when the token runs out, microseconds since 1970, big-endian |
//! | 1 | roles: 1 customer, 2 admin, 3 both |
//! | 0 or more | the person's name, UTF-8 |
//! | 64 | Ed25519 signature over `daybook/token/1` and all of the above |
//!
//! Only the command side has a private key; a checker has public keys and mints nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use app::{
    domain::{SessionId, UserId, session::SessionEvent},
    ports::{Role, TokenCheck, Viewer},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use uuid::Uuid;

/// How long a token is good for, microseconds.
pub const TOKEN_LIFETIME: i64 = 15 * 60 * 1_000_000;
/// For how long an ended session is remembered, microseconds of the log's time: no token of it lives that long. The
/// extra minute covers a renewal that was under way, and clocks that differ.
pub const REMEMBER: i64 = TOKEN_LIFETIME + 60 * 1_000_000;

/// Clocks of command nodes may differ by so much, microseconds: one says when a session began, another when all of a person's
/// ended.
const CLOCKS_DIFFER: i64 = 10_000_000;

const FORMAT: u8 = 1;
const SIGNED_PREFIX: &[u8] = b"daybook/token/1";
const FIXED: usize = 1 + 4 + 16 + 16 + 8 + 1;
const SIGNATURE: usize = 64;
const ROLES: [(Role, u8); 2] = [(Role::Customer, 1), (Role::Admin, 2)];

/// Names a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    pub fn of(key: &VerifyingKey) -> Self {
        let mut id = [0; 4];
        id.copy_from_slice(&Sha256::digest(key.as_bytes())[..4]);
        Self(id)
    }
}

/// The token that says `viewer`, signed with the key `key` by `sign`.
pub fn seal(viewer: &Viewer, key: KeyId, sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE]) -> String {
    let roles = ROLES.iter().filter(|(role, _)| viewer.roles.contains(role)).fold(0, |bits, (_, bit)| bits | bit);
    let mut message = SIGNED_PREFIX.to_vec();
    message.push(FORMAT);
    message.extend(key.0);
    message.extend(viewer.user_id.0.as_bytes());
    message.extend(viewer.session_id.0.as_bytes());
    message.extend(viewer.expires_at.to_be_bytes());
    message.push(roles);
    message.extend(viewer.name.as_bytes());
    let signature = sign(&message);
    message.extend(signature);
    URL_SAFE_NO_PAD.encode(&message[SIGNED_PREFIX.len()..])
}

/// A session id that says when the session began (microseconds, kept to the millisecond).
pub fn new_session_id(began: i64, random: [u8; 10]) -> SessionId {
    let millis = u64::try_from(began / 1000).unwrap_or(0);
    SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// When a session began, microseconds since 1970.
pub fn session_began(session: SessionId) -> i64 {
    let mut millis = [0; 8];
    millis[2..].copy_from_slice(&session.0.as_bytes()[..6]);
    i64::from_be_bytes(millis) * 1000
}

/// Checks tokens. Each side has one of its own, with [`Revocations`] that it keeps up to date from the log.
pub struct TokenVerifier {
    keys: HashMap<KeyId, VerifyingKey>,
    revocations: Arc<Revocations>,
}

impl TokenVerifier {
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>, revocations: Arc<Revocations>) -> Self {
        Self { keys: keys.into_iter().map(|key| (KeyId::of(&key), key)).collect(), revocations }
    }

    /// What `token` says at the moment `now` (microseconds since 1970), if it is to be believed.
    pub fn check_at(&self, token: &str, now: i64) -> Option<Viewer> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (body, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        let (fixed, name) = body.split_at_checked(FIXED)?;
        let (&[FORMAT], rest) = fixed.split_first_chunk::<1>()? else { return None };
        let (key, rest) = rest.split_first_chunk::<4>()?;
        let key = self.keys.get(&KeyId(*key))?;
        key.verify_strict(&[SIGNED_PREFIX, body].concat(), &Signature::from_slice(signature).ok()?).ok()?;

        let (user, rest) = rest.split_first_chunk::<16>()?;
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let (expires, roles) = rest.split_first_chunk::<8>()?;
        let viewer = Viewer {
            user_id: UserId(Uuid::from_bytes(*user)),
            session_id: SessionId(Uuid::from_bytes(*session)),
            name: str::from_utf8(name).ok()?.to_owned(),
            roles: ROLES.iter().filter(|(_, bit)| roles[0] & bit != 0).map(|(role, _)| *role).collect(),
            expires_at: i64::from_be_bytes(*expires),
        };
        (now < viewer.expires_at && !self.revocations.ended(&viewer)).then_some(viewer)
    }

    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }
}

#[async_trait::async_trait]
impl TokenCheck for TokenVerifier {
    async fn until_ended(&self, viewer: &Viewer) {
        self.revocations.until_ended(viewer).await;
    }

    fn check(&self, token: &str) -> Option<Viewer> {
        // A clock before 1970 believes no token: i64::MAX is after every expiry.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(i64::MAX, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        self.check_at(token, now)
    }
}

/// What the log said of ended sessions, for as long as one of their tokens could still live.
///
/// Its owner applies the session events of the log in order, beginning at least [`REMEMBER`] before now.
#[derive(Default)]
pub struct Revocations {
    state: watch::Sender<Ended>,
}

#[derive(Default)]
struct Ended {
    sessions: HashMap<SessionId, i64>,
    /// When all of their sessions ended.
    users: HashMap<UserId, i64>,
    /// In the order of the log, so that the oldest are forgotten first.
    order: VecDeque<(i64, Subject)>,
}

#[derive(Clone, Copy)]
enum Subject {
    Session(SessionId),
    User(UserId),
}

impl Revocations {
    /// Takes in a session event of the log, with the time it was recorded. The same again changes nothing.
    pub fn apply(&self, event: &SessionEvent, recorded_at: i64) {
        self.state.send_modify(|state| {
            match *event {
                SessionEvent::SessionEnded { session_id, .. } => {
                    state.sessions.insert(session_id, recorded_at);
                    state.order.push_back((recorded_at, Subject::Session(session_id)));
                }
                SessionEvent::UserSessionsEnded { user_id, .. } => {
                    let ended = state.users.entry(user_id).or_insert(recorded_at);
                    *ended = recorded_at.max(*ended);
                    state.order.push_back((recorded_at, Subject::User(user_id)));
                }
            }
            state.forget_before(recorded_at - REMEMBER);
        });
    }

    /// Whether this session was ended before its tokens ran out.
    pub fn ended(&self, viewer: &Viewer) -> bool {
        self.state.borrow().covers(viewer)
    }

    /// Returns as soon as this session is ended; never, if it just runs out. For open streams.
    pub async fn until_ended(&self, viewer: &Viewer) {
        if self.state.subscribe().wait_for(|state| state.covers(viewer)).await.is_err() {
            // The sender lives as long as `self`: this is never reached, and must not look like an end.
            std::future::pending::<()>().await;
        }
    }

    /// When a session of this person that is not void has begun, at the moment `now`: past the last end of all of them, by a
    /// millisecond, since that is how exactly a session says it. Microseconds.
    pub fn begins(&self, user: UserId, now: i64) -> i64 {
        self.state.borrow().void_until(user).map_or(now, |until| now.max(until + 1000))
    }
}

impl Ended {
    fn covers(&self, viewer: &Viewer) -> bool {
        self.sessions.contains_key(&viewer.session_id)
            || self.void_until(viewer.user_id).is_some_and(|until| session_began(viewer.session_id) <= until)
    }

    fn void_until(&self, user: UserId) -> Option<i64> {
        self.users.get(&user).map(|ended| ended + CLOCKS_DIFFER)
    }

    fn forget_before(&mut self, time: i64) {
        while let Some(&(recorded_at, subject)) = self.order.front()
            && recorded_at < time
        {
            self.order.pop_front();
            // An entry that was renewed meanwhile stays until its own place in the order.
            match subject {
                Subject::Session(id) if self.sessions.get(&id) == Some(&recorded_at) => {
                    self.sessions.remove(&id);
                }
                Subject::User(id) if self.users.get(&id) == Some(&recorded_at) => {
                    self.users.remove(&id);
                }
                Subject::Session(_) | Subject::User(_) => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use app::domain::session::EndReason;
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    const NOW: i64 = 1_790_000_000_000_000;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn viewer(began: i64) -> Viewer {
        Viewer {
            user_id: UserId(Uuid::from_u128(7)),
            session_id: new_session_id(began, [9; 10]),
            name: "Žofie 🦊".to_owned(),
            roles: vec![Role::Customer, Role::Admin],
            expires_at: NOW + TOKEN_LIFETIME,
        }
    }

    fn token(viewer: &Viewer, key: &SigningKey) -> String {
        seal(viewer, KeyId::of(&key.verifying_key()), |message| key.sign(message).to_bytes())
    }

    fn verifier() -> TokenVerifier {
        TokenVerifier::new([key(1).verifying_key(), key(2).verifying_key()], Arc::default())
    }

    #[test]
    fn a_token_says_who_signed_in_under_any_known_key() {
        for seed in [1, 2] {
            let viewer = viewer(NOW);
            assert_eq!(verifier().check_at(&token(&viewer, &key(seed)), NOW), Some(viewer));
        }
    }

    #[test]
    fn a_token_of_an_unknown_key_is_not_believed() {
        assert_eq!(verifier().check_at(&token(&viewer(NOW), &key(3)), NOW), None);
    }

    #[test]
    fn a_token_is_good_until_it_runs_out() {
        let token = token(&viewer(NOW), &key(1));
        assert!(verifier().check_at(&token, NOW + TOKEN_LIFETIME - 1).is_some());
        assert_eq!(verifier().check_at(&token, NOW + TOKEN_LIFETIME), None);
    }

    #[test]
    fn a_token_with_any_bit_changed_is_not_believed() {
        let good = URL_SAFE_NO_PAD.decode(token(&viewer(NOW), &key(1))).unwrap();
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            assert_eq!(verifier().check_at(&URL_SAFE_NO_PAD.encode(bad), NOW), None, "byte {index}");
        }
        for length in 0..good.len() {
            assert_eq!(verifier().check_at(&URL_SAFE_NO_PAD.encode(&good[..length]), NOW), None, "{length} bytes");
        }
        assert_eq!(verifier().check_at("no token at all", NOW), None);
    }

    #[test]
    fn an_ended_session_is_void_and_others_are_not() {
        let verifier = verifier();
        let (ended, other) = (viewer(NOW), viewer(NOW + 5_000));
        let event = SessionEvent::SessionEnded { user_id: ended.user_id, session_id: ended.session_id };
        verifier.revocations().apply(&event, NOW + 10_000);
        assert_eq!(verifier.check_at(&token(&ended, &key(1)), NOW), None);
        assert!(verifier.check_at(&token(&other, &key(1)), NOW).is_some());
    }

    #[test]
    fn ending_all_sessions_of_a_person_spares_those_that_begin_later_and_other_people() {
        let verifier = verifier();
        let fast = NOW + CLOCKS_DIFFER;
        let (before, mut after, mut somebody) = (viewer(fast), viewer(fast + 2_000), viewer(NOW));
        somebody.user_id = UserId(Uuid::from_u128(8));
        let event = SessionEvent::UserSessionsEnded { user_id: before.user_id, reason: EndReason::PasswordChanged };
        verifier.revocations().apply(&event, NOW + 1_999);
        assert_eq!(verifier.check_at(&token(&before, &key(1)), NOW), None);
        assert!(verifier.check_at(&token(&after, &key(1)), NOW).is_some());
        assert!(verifier.check_at(&token(&somebody, &key(1)), NOW).is_some());
        assert_eq!(verifier.revocations().begins(before.user_id, NOW), fast + 1_999 + 1_000);
        after.session_id = new_session_id(fast + 1_999, [1; 10]);
        assert_eq!(verifier.check_at(&token(&after, &key(1)), NOW), None);
    }

    #[test]
    fn ended_sessions_are_forgotten_when_no_token_of_theirs_can_live() {
        let revocations = Revocations::default();
        let user_id = UserId(Uuid::from_u128(7));
        for minute in 0..100 {
            let at = NOW + minute * 60_000_000;
            let event = SessionEvent::SessionEnded { user_id, session_id: new_session_id(at, [0; 10]) };
            revocations.apply(&event, at);
            revocations.apply(&SessionEvent::UserSessionsEnded { user_id, reason: EndReason::RolesChanged }, at);
        }
        let state = revocations.state.borrow();
        assert_eq!((state.sessions.len(), state.users.len(), state.order.len()), (17, 1, 34));
        assert_eq!(state.users[&user_id], NOW + 99 * 60_000_000);
    }

    #[tokio::test]
    async fn an_open_stream_learns_at_once_that_its_session_ended() {
        let revocations = Arc::new(Revocations::default());
        let viewer = viewer(NOW);
        let waiting = tokio::spawn({
            let (revocations, viewer) = (revocations.clone(), viewer.clone());
            async move { revocations.until_ended(&viewer).await }
        });
        let event = SessionEvent::SessionEnded { user_id: viewer.user_id, session_id: viewer.session_id };
        revocations.apply(&event, NOW);
        waiting.await.unwrap();
    }
}
