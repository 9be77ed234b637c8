//! W5: what was altered behind the ledger's back is found, and what only an anchor can tell is found against one.

use std::{io, sync::Arc};

use app::wire::{Envelope, Position, Version};
use server::write::{
    anchor::Anchor,
    keys::SigningKeys,
    log_file::{LogFileError, write_csv, write_ndjson},
    store::{EventStore, Head, OpenError, SqliteStore},
    verify::{Finding, Verified, VerifyError, verify},
};
use sqlx::{Executor as _, SqliteConnection};

use super::import::Folder;
use crate::write_support::{Chain, TempLog, account, command, deposited, opened};

/// Ten events on three accounts: 1, 2, 3, 1, 2, 3, …
async fn ten(log: &TempLog) -> (Arc<SqliteStore>, Anchor) {
    let store = log.open().await;
    let head = write(&store, &ten_events(50)).await;
    (store, Anchor::sign(&head, 1, &SigningKeys::from_seed([7; 32])))
}

/// `amount` is what the fifth event deposits.
fn ten_events(amount: i64) -> (Vec<Envelope>, Head) {
    let mut chain = Chain::new();
    let events = (0..10)
        .map(|n| {
            let event = if n < 3 { opened(1) } else { deposited(if n == 4 { amount } else { 10 }) };
            chain.next(command(n), account(n % 3 + 1), event)
        })
        .collect();
    (events, chain.head)
}

async fn write(store: &SqliteStore, (events, head): &(Vec<Envelope>, Head)) -> Head {
    store.append(Position(0), events, head).await.unwrap();
    *head
}

async fn check(store: &SqliteStore, anchors: &[Anchor]) -> Result<Verified, Finding> {
    match verify(store, anchors, |_, _| {}).await {
        Ok(verified) => Ok(verified),
        Err(VerifyError::Bad(finding)) => Err(*finding),
        Err(VerifyError::Store(error)) => panic!("{error}"),
    }
}

/// A connection for which the triggers are gone.
async fn intruder(log: &TempLog) -> SqliteConnection {
    let mut raw = log.raw().await;
    let triggers: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetch_all(&mut raw).await.unwrap();
    for trigger in triggers {
        raw.execute(sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}"))).await.unwrap();
    }
    raw
}

#[tokio::test]
async fn a_ledger_of_a_version_before_is_verified_and_stays_as_it_is() {
    let log = TempLog::new();
    let (store, anchor) = ten(&log).await;
    store.close().await.unwrap();
    let mut raw = log.raw().await;
    raw.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .await
        .unwrap();
    let version = "SELECT max(version) FROM _sqlx_migrations";
    let before: i64 = sqlx::query_scalar(version).fetch_one(&mut raw).await.unwrap();
    let (store, _) = SqliteStore::read_only(&log.file()).await.unwrap();
    assert_eq!(check(&store, &[anchor]).await.unwrap().events, 10);
    assert_eq!(sqlx::query_scalar::<_, i64>(version).fetch_one(&mut raw).await.unwrap(), before);
    // To be copied it has to be of this one.
    let refused = SqliteStore::snapshot(&log.file()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Older { .. }), "{refused}");
}

#[tokio::test]
async fn w5_an_untouched_log_verifies_and_says_how_much() {
    let log = TempLog::new();
    let (store, anchor) = ten(&log).await;
    let mut told = Vec::new();
    let verified = verify(&*store, &[anchor], |at, of| told.push((at.0, of.0))).await.unwrap();
    assert_eq!((verified.events, verified.streams, verified.anchors, verified.unreadable), (10, 3, 1, 0));
    assert_eq!(told, [(10, 10)]);
    let nothing = TempLog::new();
    let empty = nothing.open().await;
    assert_eq!(check(&empty, &[]).await.unwrap().events, 0);
}

#[tokio::test]
async fn w5_any_altered_column_is_found_and_the_first_bad_event_is_named() {
    for change in [
        "payload = CAST(replace(CAST(payload AS TEXT), '50', '51') AS BLOB)",
        "metadata = CAST(replace(CAST(metadata AS TEXT), 'user', 'usen') AS BLOB)",
        "event_type = 'account.money_withdrawn'",
        "event_id = randomblob(16)",
        "schema = 2",
        "recorded_at = recorded_at + 1",
        "hash = randomblob(32)",
        "stream_id = randomblob(16)",
        "stream_kind = 2",
        "stream_kind = 9",
        "version = 20",
    ] {
        let log = TempLog::new();
        let (store, _) = ten(&log).await;
        let mut raw = intruder(&log).await;
        let sql = format!("UPDATE events SET {change} WHERE position IN (5, 8)");
        let both = raw.execute(sqlx::AssertSqlSafe(sql)).await;
        if both.is_err() {
            raw.execute(sqlx::AssertSqlSafe(format!("UPDATE events SET {change} WHERE position = 5"))).await.unwrap();
        }
        let finding = check(&store, &[]).await.unwrap_err();
        assert_eq!(finding.position, Position(5), "{change}: {finding}");
    }
}

#[tokio::test]
async fn w5_the_finding_names_position_stream_and_version() {
    let log = TempLog::new();
    let (store, _) = ten(&log).await;
    intruder(&log).await.execute("UPDATE events SET payload = x'7b7d' WHERE position = 5").await.unwrap();
    let finding = check(&store, &[]).await.unwrap_err();
    assert_eq!(finding.event, Some((account(2).into(), Version(2))));
    let text = finding.to_string();
    assert!(text.starts_with(&format!("position 5, stream account-{}, version 2: ", account(2))), "{text}");
}

#[tokio::test]
async fn w5_a_removed_event_is_found() {
    let log = TempLog::new();
    let (store, _) = ten(&log).await;
    intruder(&log).await.execute("DELETE FROM events WHERE position = 5").await.unwrap();
    assert_eq!(check(&store, &[]).await.unwrap_err().position, Position(6));
}

#[tokio::test]
async fn a_log_that_lacks_an_event_is_not_exported_as_if_it_were_whole() {
    for (removed, missing) in [("= 5", 5), ("> 7", 8)] {
        let log = TempLog::new();
        let (store, _) = ten(&log).await;
        let delete = sqlx::AssertSqlSafe(format!("DELETE FROM events WHERE position {removed}"));
        intruder(&log).await.execute(delete).await.unwrap();
        for written in [write_ndjson(&*store, io::sink()).await, write_csv(&*store, io::sink()).await] {
            let Err(LogFileError::Missing { position }) = written else { panic!("{written:?}") };
            assert_eq!(position, Position(missing));
        }
    }
}

#[tokio::test]
async fn w5_a_removed_tail_is_found_by_the_head_and_with_the_head_set_back_by_an_anchor() {
    let log = TempLog::new();
    let (store, anchor) = ten(&log).await;
    let mut raw = intruder(&log).await;
    raw.execute("DELETE FROM events WHERE position > 7").await.unwrap();
    assert_eq!(check(&store, &[]).await.unwrap_err().position, Position(7));

    // Whoever removes the tail sets the head back as well, to what it was then.
    let (events, _) = ten_events(50);
    let hash = events[..7].iter().fold(app::wire::GENESIS, |hash, event| app::wire::log_hash(&hash, &event.hash));
    sqlx::query("UPDATE log_head SET position = 7, hash = ?").bind(&hash.0[..]).execute(&mut raw).await.unwrap();
    assert_eq!(check(&store, &[]).await.unwrap().events, 7);
    let finding = check(&store, &[anchor]).await.unwrap_err();
    assert!(finding.what.contains("ends at position 7, but an anchor was taken at 10"), "{finding}");
}

#[tokio::test]
async fn w5_events_behind_the_head_are_found() {
    let log = TempLog::new();
    let (store, _) = ten(&log).await;
    let (events, _) = ten_events(50);
    let hash = events[..7].iter().fold(app::wire::GENESIS, |hash, event| app::wire::log_hash(&hash, &event.hash));
    let mut raw = intruder(&log).await;
    sqlx::query("UPDATE log_head SET position = 7, hash = ?").bind(&hash.0[..]).execute(&mut raw).await.unwrap();
    assert!(check(&store, &[]).await.unwrap_err().what.contains("after position 7"));
}

#[tokio::test]
async fn w5_a_history_rewritten_and_recomputed_is_found_against_an_anchor() {
    let (_, anchor) = ten(&TempLog::new()).await;
    let log = TempLog::new();
    let store = log.open().await;
    write(&store, &ten_events(5_000_000)).await;
    assert_eq!(check(&store, &[]).await.unwrap().events, 10);
    let finding = check(&store, std::slice::from_ref(&anchor)).await.unwrap_err();
    assert!(finding.what.contains("rewritten"), "{finding}");

    // An anchor that was taken before the change still holds, and the one after it says between which it was.
    let (events, _) = ten_events(50);
    let hash = events[..4].iter().fold(app::wire::GENESIS, |hash, event| app::wire::log_hash(&hash, &event.hash));
    let keys = SigningKeys::from_seed([7; 32]);
    let earlier = Anchor::sign(&Head { position: Position(4), hash, recorded_at: 0 }, 1, &keys);
    assert_eq!(check(&store, std::slice::from_ref(&earlier)).await.unwrap().anchors, 1);
    assert_eq!(check(&store, &[anchor, earlier]).await.unwrap_err().position, Position(10));
}

#[tokio::test]
async fn w5_a_rewritten_history_whose_head_was_forgotten_is_found_without_an_anchor() {
    let log = TempLog::new();
    let store = log.open().await;
    let (events, _) = ten_events(60);
    write(&store, &(events, ten_events(50).1)).await;
    assert!(check(&store, &[]).await.unwrap_err().what.contains("running hash"));
}

#[tokio::test]
async fn w5_a_removed_stream_is_found_against_an_anchor() {
    let (_, anchor) = ten(&TempLog::new()).await;
    let log = TempLog::new();
    let store = log.open().await;
    // The same history without account 3, renumbered and recomputed; then more, so that it is longer than before.
    let mut chain = Chain::new();
    let mut events = Vec::new();
    for n in (0..10).filter(|n| n % 3 != 2).chain(20..30) {
        let event = if n < 3 { opened(1) } else { deposited(if n == 4 { 50 } else { 10 }) };
        events.push(chain.next(command(n), account(if n < 20 { n % 3 + 1 } else { 1 }), event));
    }
    write(&store, &(events, chain.head)).await;
    assert_eq!(check(&store, &[]).await.unwrap().streams, 2);
    assert!(check(&store, &[anchor]).await.unwrap_err().what.contains("rewritten"));
}

#[tokio::test]
async fn an_event_that_this_program_cannot_read_is_counted_but_its_hash_still_holds() {
    let log = TempLog::new();
    let store = log.open().await;
    let mut chain = Chain::new();
    let events = vec![
        chain.next(command(1), account(1), opened(1)),
        chain.raw(command(2), 0, account(1).into(), "account.from_the_future", 1, b"{}".to_vec()),
    ];
    write(&store, &(events, chain.head)).await;
    let verified = check(&store, &[]).await.unwrap();
    assert_eq!((verified.events, verified.unreadable), (2, 1));
    assert_eq!(verified.first_unreadable.unwrap().position, Position(2));
}

/// A ledger with history and a key, and an anchor of it in a file.
async fn anchored() -> (Folder, std::path::PathBuf) {
    let folder = Folder::new();
    assert_eq!(folder.daybook(&["demo"]).await, Ok(true));
    let head = folder.head().await;
    let keys = SigningKeys::load_or_create(&folder.data().signing_key()).unwrap();
    let file = folder.file("anchor", Anchor::sign(&head, 1, &keys).to_line());
    (folder, file)
}

#[tokio::test]
async fn a_lost_key_is_not_replaced_by_whoever_anchors_or_verifies() {
    let (folder, file) = anchored().await;
    let key = folder.data().signing_key();
    assert_eq!(folder.daybook(&["anchor"]).await, Ok(true));
    std::fs::remove_file(&key).unwrap();
    let refused = folder.daybook(&["anchor"]).await.unwrap_err();
    assert!(refused.contains("there is no signing key in") && refused.contains("backup"), "{refused}");
    assert_eq!(folder.daybook(&["verify"]).await, Ok(true));
    // The anchor carries the public key it was signed with: its hash is checked, and that is said.
    assert_eq!(folder.daybook(&["verify", "--anchor", file.to_str().unwrap()]).await, Ok(true));
    assert!(!key.exists(), "a key was made");
}

#[tokio::test]
async fn an_anchor_of_another_key_holds_only_against_that_key() {
    let (folder, file) = anchored().await;
    let file = file.to_str().unwrap();
    let lost = SigningKeys::load(&folder.data().signing_key()).unwrap().unwrap();
    std::fs::remove_file(folder.data().signing_key()).unwrap();
    SigningKeys::load_or_create(&folder.data().signing_key()).unwrap();
    let refused = folder.daybook(&["verify", "--anchor", file]).await.unwrap_err();
    assert!(refused.contains("not this ledger's") && refused.contains("--anchor-key"), "{refused}");
    let key = app::wire::Hash(lost.verifying_key().to_bytes()).to_string();
    assert_eq!(folder.daybook(&["verify", "--anchor", file, "--anchor-key", &key]).await, Ok(true));
    let other = app::wire::Hash(SigningKeys::from_seed([8; 32]).verifying_key().to_bytes()).to_string();
    assert!(folder.daybook(&["verify", "--anchor", file, "--anchor-key", &other]).await.is_err());
}
