//! A ledger moves from SQLite to PostgreSQL and back.

use std::time::Duration;

use app::{ports::Role, wire::Actor, wire::Position};
use server::db_url::DbUrl;
use server::write::{
    copy::{Claim, Copied, CopyError, UNFINISHED, copy},
    database::WriteDb,
    identity::{NewPerson, Passwords},
    store::{EventStore, StoreError},
    verify::verify,
};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    postgres::empty_database,
    write_support::{Chain, account, command, deposited},
};

async fn sqlite(folder: &TempDir, name: &str) -> WriteDb {
    WriteDb::open(&DbUrl::Sqlite(folder.path().join(name)), None).await.unwrap()
}

async fn postgres() -> WriteDb {
    let url = DbUrl::Postgres(empty_database().await);
    WriteDb::migrate(&url, None).await.unwrap();
    WriteDb::open(&url, None).await.unwrap()
}

async fn append(store: &dyn EventStore, numbers: std::ops::Range<u64>) {
    let mut chain = Chain::of(store).await;
    let from = chain.head.position;
    let events: Vec<_> = numbers.map(|n| chain.next(command(n), account(n % 7), deposited(1))).collect();
    store.append(from, &events, &chain.head).await.unwrap();
}

async fn people(db: &WriteDb) {
    for email in ["eva@example.org", "jan@example.org", "ota@example.org"] {
        let password = Passwords::new().unwrap().hash("correct horse").await.unwrap();
        let new = NewPerson { email: email.into(), name: "Eva".into(), roles: vec![Role::Customer], password };
        let id = db.people.add(new, 7).await.unwrap();
        match email.as_bytes()[0] {
            b'j' => db.people.disable(id, Actor::Operator).await.unwrap(),
            b'o' => db.people.forget(id, Actor::Operator).await.unwrap(),
            _ => {}
        }
    }
}

async fn copied(from: &WriteDb, to: &WriteDb) -> Copied {
    let copied = copy(from, to, None, &[], |_, _, _| {}).await.unwrap();
    assert_eq!(
        to.store.read_log(Position(0), u32::MAX).await.unwrap(),
        from.store.read_log(Position(0), u32::MAX).await.unwrap()
    );
    assert_eq!(to.store.head().await.unwrap(), from.store.head().await.unwrap());
    let (ours, theirs) = (from.people.list().await.unwrap(), to.people.list().await.unwrap());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert_eq!(from.people.published().await.unwrap().len(), to.people.published().await.unwrap().len());
    verify(&*to.store, &[], |_, _| {}).await.unwrap();
    copied
}

#[tokio::test]
async fn a_ledger_moves_to_postgresql_and_back_with_its_hashes_and_people() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to, back) = (sqlite(&folder, "a.db").await, postgres().await, sqlite(&folder, "b.db").await);
    append(&*from.store, 0..2345).await;
    people(&from).await;
    from.store.save_checkpoint("process_manager", Position(2000)).await.unwrap();
    let done = copied(&from, &to).await;
    assert_eq!((done.events, done.people), (2345, 3));
    assert_eq!(to.store.checkpoint("process_manager").await.unwrap(), Position(2000));
    copied(&to, &back).await;
    // It is a ledger like any other.
    append(&*to.store, 5000..5003).await;
    verify(&*to.store, &[], |_, _| {}).await.unwrap();
}

#[tokio::test]
async fn what_a_copy_makes_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let from = sqlite(&folder, "a.db").await;
    append(&*from.store, 0..3).await;
    from.close().await.unwrap();
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    crate::cli::daybook_said(&["copy", "--from", &url("a.db"), "--to", &url("new/one/b.db")]).await.unwrap();
    for (name, mode) in [("new", 0o700), ("new/one", 0o700), ("new/one/b.db", 0o600)] {
        let found = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
}

#[tokio::test]
async fn an_interrupted_copy_goes_on_and_another_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (sqlite(&folder, "a.db").await, postgres().await);
    append(&*from.store, 0..1500).await;
    copied(&from, &to).await;
    append(&*from.store, 1500..1700).await;
    people(&from).await;
    // What an interrupted copy leaves.
    to.store.save_checkpoint(UNFINISHED, Position(1700)).await.unwrap();
    assert_eq!(copied(&from, &to).await.events, 200);
    assert_eq!(to.store.checkpoint(UNFINISHED).await.unwrap(), Position(0));
    assert_eq!(copied(&from, &to).await.events, 0);

    append(&*to.store, 2000..2001).await;
    let error = copy(&from, &to, None, &[], |_, _, _| {}).await.unwrap_err();
    assert!(matches!(error, CopyError::Longer { .. }), "{error}");
    append(&*from.store, 3000..3010).await;
    let error = copy(&from, &to, None, &[], |_, _, _| {}).await.unwrap_err();
    assert!(matches!(error, CopyError::AnotherLog(Position(1701))), "{error}");
    assert_eq!(to.store.head().await.unwrap().position, Position(1701));
}

#[tokio::test]
async fn what_a_server_serves_is_not_filled() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (sqlite(&folder, "a.db").await, postgres().await);
    append(&*from.store, 0..10).await;
    for (number, to) in (100..).zip([to, sqlite(&folder, "b.db").await]) {
        let server = to.store.holder();
        let acquire = async |ttl| to.store.acquire("process_manager", &server, ttl).await.unwrap();
        let lease = acquire(Duration::from_mins(1)).await.unwrap();
        assert!(matches!(Claim::take(&to.store).await, Err(CopyError::Served)));
        to.store.renew(&lease, Duration::ZERO).await.unwrap();
        let claim = Claim::take(&to.store).await.unwrap();
        assert_eq!(acquire(Duration::ZERO).await, None);
        copy(&from, &to, Some(&claim), &[], |_, _, _| {}).await.unwrap();
        assert_eq!(to.store.checkpoint(UNFINISHED).await.unwrap(), Position(0));
        claim.give_back().await;
        assert!(acquire(Duration::ZERO).await.is_some());
        // Whoever was held up for too long does not say that it is whole.
        let late = Claim::take(&to.store).await.unwrap();
        to.store.renew(late.lease(), Duration::ZERO).await.unwrap();
        acquire(Duration::ZERO).await.unwrap();
        append(&*from.store, number..number + 1).await;
        let error = copy(&from, &to, Some(&late), &[], |_, _, _| {}).await.unwrap_err();
        assert!(matches!(error, CopyError::Store(StoreError::FencedOff)), "{error}");
        // As the other one has it.
        copied(&from, &to).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_vouches_for_nothing_that_came_after_it_began_and_a_source_that_goes_on_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (sqlite(&folder, "a.db").await, postgres().await);
    append(&*from.store, 0..10).await;
    from.store.save_checkpoint("process_manager", Position(7)).await.unwrap();
    // A server that is still at work on it.
    let goes_on = |what: &str, _, _| {
        if what == "copied" {
            tokio::task::block_in_place(|| {
                Handle::current().block_on(async {
                    append(&*from.store, 10..12).await;
                    from.store.save_checkpoint("process_manager", Position(12)).await.unwrap();
                });
            });
        }
    };
    let error = copy(&from, &to, None, &[], goes_on).await.unwrap_err();
    assert!(matches!(error, CopyError::Moved), "{error}");
    assert_eq!(to.store.checkpoint("process_manager").await.unwrap(), Position(7));
    assert_eq!(to.store.checkpoint(UNFINISHED).await.unwrap(), Position(10));
    // It has stopped.
    assert_eq!(copied(&from, &to).await.events, 2);
    assert_eq!(to.store.checkpoint("process_manager").await.unwrap(), Position(12));
}
