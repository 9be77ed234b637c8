//! People, sign-in, sessions and their ends.

use std::{net::IpAddr, sync::Arc};

use app::{
    api::AppError,
    domain::{
        AccountId, CommandId, UserId,
        account::AccountCommand,
        derive_uuid,
        session::{EndReason, SessionEvent},
    },
    ports::{Role, SessionPort as _, SignedIn, TokenCheck as _},
    wire::{Actor, Event, Metadata, StreamKind},
};
use server::{
    bus::{LogSource as _, PersonChange},
    token::{Revocations, TOKEN_LIFETIME, TokenVerifier, session_began},
    write::{
        identity::{NewPerson, Passwords, People, PeopleError, SESSION_AGE, SessionParts, Sessions, SignInLimits},
        keys::SigningKeys,
        log_source::WriteLog,
        writer::{Clock as _, Intent},
    },
};
use tokio_util::sync::CancellationToken;

use super::write_side::{NOW, WriteSide, read};

const PASSWORD: &str = "correct horse";
const MINUTE: i64 = 60_000_000;

struct House {
    side: WriteSide,
    people: Arc<People>,
    sessions: Arc<Sessions>,
    verifier: TokenVerifier,
}

impl House {
    async fn on(side: WriteSide) -> Self {
        let people = Arc::new(People::new(side.people_db().await));
        let keys = Arc::new(SigningKeys::from_seed([3; 32]));
        let revocations = Arc::new(Revocations::default());
        let verifier = TokenVerifier::new(keys.public().iter(), revocations.clone());
        let parts = SessionParts {
            people: people.clone(),
            passwords: Passwords::new().unwrap(),
            limits: SignInLimits::default(),
            keys,
            store: side.store.clone(),
            writer: side.writer.clone(),
            revocations,
            clock: side.clock.clone(),
        };
        let sessions = Arc::new(Sessions::start(parts).await.unwrap());
        Self { side, people, sessions, verifier }
    }

    async fn add(&self, email: &str, roles: &[Role]) -> UserId {
        let password = Passwords::new().unwrap().hash(PASSWORD).await.unwrap();
        let new =
            NewPerson { email: email.to_owned(), name: "Eva Nováková".to_owned(), roles: roles.to_vec(), password };
        self.people.add(new, NOW).await.unwrap()
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn, AppError> {
        self.sessions.sign_in(email, password, client()).await
    }

    /// Someone who is signed in.
    async fn eva(&self) -> SignedIn {
        self.add("eva@example.org", &[Role::Customer]).await;
        self.sign_in("eva@example.org", PASSWORD).await.unwrap()
    }

    fn is_good(&self, token: &str) -> bool {
        self.verifier.check_at(token, self.side.clock.now_micros()).is_some()
    }

    async fn session_events(&self) -> Vec<SessionEvent> {
        let session = |event| match read(event) {
            Event::Session(event) => Some(event),
            Event::Account(_) | Event::Transfer(_) | Event::Projection(_) => None,
        };
        self.side.log().await.iter().filter_map(session).collect()
    }

    /// Lets `run` tell the log what is due, until this session is ended.
    async fn until_ended(&self, session: &SignedIn) {
        let cancel = CancellationToken::new();
        let run = tokio::spawn({
            let (sessions, cancel) = (self.sessions.clone(), cancel.clone());
            async move { sessions.run(cancel).await }
        });
        self.verifier.revocations().until_ended(&session.viewer).await;
        cancel.cancel();
        run.await.unwrap();
    }
}

macro_rules! on_both_databases {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::on(super::WriteSide::new().await).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::on(super::WriteSide::on_postgres().await).await).await;
            })*
        }
    };
}

on_both_databases! {
    whoever_signs_in_gets_a_token_that_says_who_they_are
    every_failure_to_sign_in_looks_the_same
    too_many_tries_are_turned_away_before_any_password_is_looked_at
    a_session_in_use_is_renewed_for_half_a_day_and_no_longer
    signing_out_ends_the_session_at_once_and_twice_is_once
    a_session_can_be_signed_out_whatever_ids_are_used_up
    a_changed_password_ends_all_sessions_and_starts_a_new_one
    a_password_that_cannot_be_changed_stays_and_the_field_is_named
    changed_roles_a_disabled_and_a_forgotten_person_end_all_sessions
    an_end_that_the_log_was_not_told_before_a_crash_is_told_after_it
    after_a_restart_ended_sessions_are_still_ended
    a_sign_in_that_was_under_way_while_the_password_changed_gets_nothing_that_lasts
    nothing_about_who_a_person_is_gets_into_the_log
    an_email_belongs_to_one_person_whatever_its_case
    who_is_added_again_under_their_id_has_no_session_of_before
    a_change_by_another_process_is_noticed
    the_bus_hears_of_everyone_and_of_those_who_were_forgotten
}

fn client() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

async fn whoever_signs_in_gets_a_token_that_says_who_they_are(house: House) {
    let id = house.add("eva@example.org", &[Role::Customer, Role::Admin]).await;
    let signed_in = house.sign_in(" Eva@Example.ORG ", PASSWORD).await.unwrap();
    let viewer = house.verifier.check_at(&signed_in.token, NOW).unwrap();
    assert_eq!(viewer, signed_in.viewer);
    assert_eq!((viewer.user_id, viewer.name.as_str()), (id, "Eva Nováková"));
    assert_eq!(viewer.roles, [Role::Customer, Role::Admin]);
    assert_eq!(viewer.expires_at, NOW + TOKEN_LIFETIME);
    assert_eq!(session_began(viewer.session_id), NOW);
    assert!(house.verifier.check(&signed_in.token).is_none(), "by the real clock it is not valid");
}

async fn every_failure_to_sign_in_looks_the_same(house: House) {
    house.add("eva@example.org", &[Role::Customer]).await;
    let disabled = house.add("jan@example.org", &[Role::Customer]).await;
    house.people.disable(disabled, Actor::Operator).await.unwrap();
    let forgotten = house.add("ota@example.org", &[Role::Customer]).await;
    house.people.forget(forgotten, Actor::Operator).await.unwrap();
    for (email, password) in [
        ("eva@example.org", "wrong horse"),
        ("eva@example.org", ""),
        ("eva@example.org", &"x".repeat(1_000_000)),
        ("nobody@example.org", PASSWORD),
        ("jan@example.org", PASSWORD),
        ("ota@example.org", PASSWORD),
        ("", PASSWORD),
        ("eva\0@example.org", PASSWORD),
    ] {
        assert_eq!(house.sign_in(email, password).await.unwrap_err(), AppError::WrongCredentials, "{email}");
    }
}

async fn too_many_tries_are_turned_away_before_any_password_is_looked_at(house: House) {
    house.add("eva@example.org", &[Role::Customer]).await;
    let mut tries = 0;
    while house.sign_in("eva@example.org", &"x".repeat(1000)).await.unwrap_err() == AppError::WrongCredentials {
        tries += 1;
    }
    assert_eq!(tries, 10);
    let refused = house.sign_in("EVA@example.org", PASSWORD).await.unwrap_err();
    assert!(matches!(refused, AppError::TooMany { retry_after: 1..=60 }), "{refused}");
}

async fn a_session_in_use_is_renewed_for_half_a_day_and_no_longer(house: House) {
    let mut session = house.eva().await;
    let began = session.viewer.session_id;
    let mut minutes = 0;
    loop {
        house.side.clock.advance(14 * MINUTE);
        minutes += 14;
        assert!(house.is_good(&session.token), "after {minutes} minutes");
        match house.sessions.renew(&session.viewer).await {
            Ok(renewed) => session = renewed,
            Err(error) => panic!("{error} after {minutes} minutes"),
        }
        assert_eq!(session.viewer.session_id, began);
        if session.viewer.expires_at == NOW + SESSION_AGE {
            break;
        }
    }
    house.side.clock.advance(NOW + SESSION_AGE - house.side.clock.now_micros());
    assert!(!house.is_good(&session.token));
    assert_eq!(house.sessions.renew(&session.viewer).await.unwrap_err(), AppError::NotSignedIn);
}

async fn signing_out_ends_the_session_at_once_and_twice_is_once(house: House) {
    let session = house.eva().await;
    let other = house.sign_in("eva@example.org", PASSWORD).await.unwrap();
    let ended = house.verifier.revocations().until_ended(&session.viewer);
    let receipt = house.sessions.sign_out(&session.viewer).await.unwrap();
    ended.await;
    assert!(!house.is_good(&session.token));
    assert!(house.is_good(&other.token), "another session of the same person goes on");
    assert_eq!(house.sessions.renew(&session.viewer).await.unwrap_err(), AppError::NotSignedIn);
    assert_eq!((receipt.stream.kind, receipt.stream.id), (StreamKind::Session, session.viewer.session_id.0));

    let again = house.sessions.sign_out(&session.viewer).await.unwrap();
    assert_eq!((again.position, again.repeated), (receipt.position, true));
    let (user_id, session_id) = (session.viewer.user_id, session.viewer.session_id);
    assert_eq!(house.session_events().await, [SessionEvent::SessionEnded { user_id, session_id }]);
}

/// With a stolen token everything is known that the id of a sign-out could be made of, but for the key.
async fn a_session_can_be_signed_out_whatever_ids_are_used_up(house: House) {
    let session = house.eva().await;
    let id = CommandId(derive_uuid("sign_out", &[session.viewer.session_id.0.as_bytes()]));
    let open = AccountCommand::OpenAccount {
        owner: session.viewer.user_id,
        name: "Theirs".into(),
        currency: "CZK".parse().unwrap(),
        overdraft_limit: 0,
    };
    house.side.submit_as(id, AccountId(id.0), Intent::Account(open)).await.unwrap();
    house.sessions.sign_out(&session.viewer).await.unwrap();
    assert!(!house.is_good(&session.token));
}

async fn a_changed_password_ends_all_sessions_and_starts_a_new_one(house: House) {
    let session = house.eva().await;
    let other = house.sign_in("eva@example.org", PASSWORD).await.unwrap();
    let new = house.sessions.change_password(&session.viewer, PASSWORD, "battery staple").await.unwrap();
    assert!(!house.is_good(&session.token) && !house.is_good(&other.token));
    assert!(house.is_good(&new.token));
    let (user_id, reason) = (session.viewer.user_id, EndReason::PasswordChanged);
    assert_eq!(house.session_events().await, [SessionEvent::UserSessionsEnded { user_id, reason }]);
    let said: Metadata = serde_json::from_slice(&house.side.log().await[0].metadata).unwrap();
    assert_eq!(said.actor, Actor::User(user_id));

    assert_eq!(house.sign_in("eva@example.org", PASSWORD).await.unwrap_err(), AppError::WrongCredentials);
    let again = house.sign_in("eva@example.org", "battery staple").await.unwrap();
    assert!(house.is_good(&again.token));
}

async fn a_password_that_cannot_be_changed_stays_and_the_field_is_named(house: House) {
    let session = house.eva().await;
    for (old, new, culprit) in [
        ("wrong horse", "battery staple", "old"),
        (PASSWORD, PASSWORD, "new"),
        (PASSWORD, "too short", "new"),
        (PASSWORD, &"x".repeat(201), "new"),
    ] {
        match house.sessions.change_password(&session.viewer, old, new).await {
            Err(AppError::Invalid { field, .. }) => assert_eq!(field, culprit),
            other => panic!("{other:?}"),
        }
    }
    assert!(house.is_good(&session.token));
    assert!(house.session_events().await.is_empty());
}

async fn changed_roles_a_disabled_and_a_forgotten_person_end_all_sessions(house: House) {
    let mut expected = Vec::new();
    for (email, reason) in [
        ("a@example.org", EndReason::RolesChanged),
        ("b@example.org", EndReason::UserDisabled),
        ("c@example.org", EndReason::UserDisabled),
    ] {
        let user_id = house.add(email, &[Role::Customer]).await;
        let session = house.sign_in(email, PASSWORD).await.unwrap();
        match email.as_bytes()[0] {
            b'a' => house.people.set_roles(user_id, &[Role::Admin], Actor::Operator).await.unwrap(),
            b'b' => house.people.disable(user_id, Actor::Operator).await.unwrap(),
            _ => house.people.forget(user_id, Actor::Operator).await.unwrap(),
        }
        house.until_ended(&session).await;
        assert!(!house.is_good(&session.token), "{email}");
        assert_eq!(house.sessions.renew(&session.viewer).await.unwrap_err(), AppError::NotSignedIn);
        expected.push(SessionEvent::UserSessionsEnded { user_id, reason });
    }
    assert_eq!(house.session_events().await, expected);
    let promoted = house.sign_in("a@example.org", PASSWORD).await.unwrap();
    assert_eq!(promoted.viewer.roles, [Role::Admin]);
    assert!(house.is_good(&promoted.token));
}

async fn an_end_that_the_log_was_not_told_before_a_crash_is_told_after_it(house: House) {
    let session = house.eva().await;
    let password = Passwords::new().unwrap().hash("battery staple").await.unwrap();
    house.people.set_password(session.viewer.user_id, &password, Actor::Operator).await.unwrap();
    assert!(house.session_events().await.is_empty(), "it died before it told");

    let house = House::on(house.side.reopen().await).await;
    assert!(house.is_good(&session.token));
    house.until_ended(&session).await;
    assert!(!house.is_good(&session.token));
    assert_eq!(house.session_events().await.len(), 1);
}

async fn after_a_restart_ended_sessions_are_still_ended(house: House) {
    let (one, two) = (house.eva().await, house.sign_in("eva@example.org", PASSWORD).await.unwrap());
    for _ in 0..20 {
        house.side.open_account(one.viewer.user_id, "CZK", 5).await;
    }
    house.side.clock.advance(MINUTE);
    house.sessions.sign_out(&one.viewer).await.unwrap();
    house.side.clock.advance(MINUTE);
    for _ in 0..20 {
        house.side.open_account(one.viewer.user_id, "CZK", 5).await;
    }
    let house = House::on(house.side.reopen().await).await;
    assert!(!house.is_good(&one.token));
    assert!(house.is_good(&two.token));
}

async fn a_sign_in_that_was_under_way_while_the_password_changed_gets_nothing_that_lasts(house: House) {
    let session = house.eva().await;
    let (sign_in, changed) = tokio::join!(
        house.sign_in("eva@example.org", PASSWORD),
        house.sessions.change_password(&session.viewer, PASSWORD, "battery staple"),
    );
    assert!(house.is_good(&changed.unwrap().token));
    if let Ok(sneaked_in) = sign_in {
        assert!(!house.is_good(&sneaked_in.token));
        assert_eq!(house.sessions.renew(&sneaked_in.viewer).await.unwrap_err(), AppError::NotSignedIn);
    }
}

async fn nothing_about_who_a_person_is_gets_into_the_log(house: House) {
    let session = house.eva().await;
    let session = house.sessions.change_password(&session.viewer, PASSWORD, "battery staple").await.unwrap();
    house.sessions.sign_out(&session.viewer).await.unwrap();
    for event in house.side.log().await {
        let text = format!("{}{}", String::from_utf8_lossy(&event.payload), String::from_utf8_lossy(&event.metadata));
        for secret in ["eva", "example.org", "Nov", "argon2", "staple"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

async fn an_email_belongs_to_one_person_whatever_its_case(house: House) {
    let id = house.add("Eva@Example.org", &[Role::Customer]).await;
    let password = Passwords::new().unwrap().hash(PASSWORD).await.unwrap();
    let add = |email: &str, name: &str| {
        let new = NewPerson { email: email.into(), name: name.into(), roles: vec![], password: password.clone() };
        house.people.add(new, NOW)
    };
    assert!(matches!(add("eva@EXAMPLE.org", "Eve").await, Err(PeopleError::EmailTaken)));
    assert!(matches!(add("no address", "Eve").await, Err(PeopleError::Invalid { field: "email", .. })));
    assert!(matches!(add("a@b", " ").await, Err(PeopleError::Invalid { field: "name", .. })));
    let ida =
        NewPerson { email: "ida@example.org".into(), name: "Ida".into(), roles: vec![], password: password.clone() };
    assert!(matches!(house.people.add_as(id, ida, NOW, Actor::Operator).await, Err(PeopleError::IdTaken)));
    let listed = house.people.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].person.id, listed[0].person.email.as_str(), listed[0].disabled),
        (id, "eva@example.org", false)
    );
}

async fn who_is_added_again_under_their_id_has_no_session_of_before(house: House) {
    // Of a ledger whose older backup, which does not know her, is in use here.
    let before = House::on(WriteSide::new().await).await.eva().await;
    assert!(house.is_good(&before.token));
    let password = Passwords::new().unwrap().hash(PASSWORD).await.unwrap();
    let again = NewPerson { email: "eva@example.org".into(), name: "Eva".into(), roles: vec![], password };
    house.people.add_as(before.viewer.user_id, again, NOW, Actor::Operator).await.unwrap();
    house.until_ended(&before).await;
    assert!(!house.is_good(&before.token));
    let now = house.sign_in("eva@example.org", PASSWORD).await.unwrap();
    assert_eq!(now.viewer.user_id, before.viewer.user_id);
    assert!(house.is_good(&now.token));
}

async fn a_change_by_another_process_is_noticed(house: House) {
    let session = house.eva().await;
    let mut changes = house.people.changes();
    changes.mark_unchanged();
    People::new(house.side.people_db().await).disable(session.viewer.user_id, Actor::Operator).await.unwrap();
    assert!(!changes.has_changed().unwrap());
    house.until_ended(&session).await;
    assert!(changes.has_changed().unwrap());
    assert!(!house.is_good(&session.token));
}

async fn the_bus_hears_of_everyone_and_of_those_who_were_forgotten(house: House) {
    let mut changes = house.people.changes();
    let eva = house.add("eva@example.org", &[Role::Customer]).await;
    let jan = house.add("jan@example.org", &[Role::Admin]).await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    house.people.forget(eva, Actor::Operator).await.unwrap();
    assert!(changes.has_changed().unwrap());
    let log = WriteLog::new(house.side.store.clone(), house.people.clone());
    let published = log.people().await.unwrap();
    assert_eq!(published.len(), 2);
    assert!(published.contains(&PersonChange::Forgotten(eva)));
    assert!(published.iter().any(|change| matches!(change, PersonChange::Known(person) if person.id == jan)));
    assert!(matches!(house.people.forget(eva, Actor::Operator).await, Err(PeopleError::Unknown)));
    house.add("eva@example.org", &[Role::Customer]).await;
}
