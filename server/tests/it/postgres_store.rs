//! What is PostgreSQL's own: who may what, versions of its tables, several that migrate, answers that are lost.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use app::{ports::Role, wire::Actor, wire::Position};
use server::write::{
    identity::{NewPerson, Passwords, People},
    store::{EventStore, OpenError, PostgresStore, StoreError},
};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::{
    postgres::{TempPostgres, empty_database, run, server, unique, with_user},
    write_support::{Chain, account, command, deposited},
};

async fn append_one(store: &dyn EventStore, number: u64) {
    let mut chain = Chain::of(store).await;
    let from = chain.head.position;
    let events = [chain.next(command(number), account(1), deposited(1))];
    store.append(from, &events, &chain.head).await.unwrap();
}

#[tokio::test]
async fn w1_a_node_works_as_a_role_that_may_append_and_nothing_else() {
    let (url, role) = (empty_database().await, unique("node"));
    run(server().await, format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    PostgresStore::migrate(&url, Some(&role)).await.unwrap();
    let as_node = with_user(&url, &role);

    let store = Arc::new(PostgresStore::open(&as_node).await.unwrap());
    append_one(&*store, 1).await;
    store.save_checkpoint("relay", Position(1)).await.unwrap();
    let lease = store.acquire("relay", "a", Duration::from_secs(5)).await.unwrap().unwrap();
    store.save_checkpoint_under(&lease, "relay", Position(1)).await.unwrap();
    store.renew(&lease, Duration::ZERO).await.unwrap();
    store.hold().await.unwrap();
    append_one(&*store, 2).await;
    let people = People::new(store.pool().clone());
    let password = Passwords::new().unwrap().hash("correct horse").await.unwrap();
    let new = NewPerson { email: "eva@example.org".into(), name: "Eva".into(), roles: vec![Role::Customer], password };
    let id = people.add(new, 1).await.unwrap();
    people.disable(id, Actor::Operator).await.unwrap();
    people.forget(id, Actor::Operator).await.unwrap();

    let mut raw = PgConnection::connect(&as_node).await.unwrap();
    for sql in [
        "UPDATE events SET payload = payload",
        "DELETE FROM events",
        "TRUNCATE events",
        "DROP TABLE events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "INSERT INTO log_head SELECT 2, position, hash, recorded_at FROM log_head",
        "DELETE FROM log_head",
        "TRUNCATE log_head",
        "DELETE FROM checkpoints",
        "DELETE FROM leases",
        "DELETE FROM people",
        "UPDATE _sqlx_migrations SET version = 0",
        "CREATE TABLE mine (a int)",
    ] {
        let error = raw.execute(sql).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42501"), "{sql}: {error}");
    }
    // Allowed to insert and to move the head, but only as an append does, whatever else goes by their names.
    for sql in [
        "CREATE TEMPORARY TABLE events (position bigint)",
        "INSERT INTO pg_temp.events VALUES (8)",
        "CREATE TEMPORARY TABLE log_head (position bigint)",
        "INSERT INTO pg_temp.log_head VALUES (9)",
    ] {
        raw.execute(sql).await.unwrap();
    }
    let beyond =
        "INSERT INTO public.events SELECT 9, gen_random_uuid(), stream_kind, stream_id, 3, event_type, schema, payload,
        metadata, recorded_at, hash FROM public.events WHERE position = 2";
    let error = raw.execute(beyond).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("23001"), "{error}");
    raw.execute("DROP TABLE pg_temp.events, pg_temp.log_head").await.unwrap();
    for sql in [
        "INSERT INTO events SELECT 3, gen_random_uuid(), stream_kind, stream_id, 3, event_type, schema, payload, metadata,
             recorded_at, hash FROM events WHERE position = 2",
        "INSERT INTO events SELECT 9, gen_random_uuid(), stream_kind, stream_id, 3, event_type, schema, payload, metadata,
             recorded_at, hash FROM events WHERE position = 2",
        "UPDATE log_head SET position = 3",
        "UPDATE log_head SET position = 1",
        "UPDATE log_head SET hash = decode(repeat('11', 32), 'hex')",
    ] {
        let error = raw.execute(sql).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("23001"), "{sql}: {error}");
    }
    assert_eq!(store.read_log(Position(0), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn w1_the_owner_is_refused_too_and_so_is_a_replica() {
    let place = TempPostgres::new().await;
    append_one(&*place.open().await, 1).await;
    let mut raw = place.raw().await;
    for mode in ["SET session_replication_role = origin", "SET session_replication_role = replica"] {
        raw.execute(mode).await.unwrap();
        for sql in [
            "UPDATE events SET payload = payload",
            "DELETE FROM events",
            "TRUNCATE events",
            "TRUNCATE log_head",
            "INSERT INTO events SELECT * FROM events ON CONFLICT (position) DO UPDATE SET payload = ''",
            "DELETE FROM log_head",
        ] {
            let error = raw.execute(sql).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("23001"), "{mode}, {sql}: {error}");
        }
    }
}

#[tokio::test]
async fn several_that_migrate_at_once_wait_for_each_other_and_a_database_of_another_version_is_refused() {
    let url = empty_database().await;
    let error = PostgresStore::open(&url).await.err().unwrap();
    assert!(matches!(error, OpenError::Older { found: 0, .. }), "{error}");

    let role = unique("node");
    run(server().await, format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    let at_once = (0..8).map(|_| PostgresStore::migrate(&url, Some(&role)));
    for migrated in futures_util::future::join_all(at_once).await {
        migrated.unwrap();
    }
    append_one(&PostgresStore::open(&url).await.unwrap(), 1).await;

    let mut raw = PgConnection::connect(&url).await.unwrap();
    raw.execute("DELETE FROM _sqlx_migrations WHERE version = 4").await.unwrap();
    let error = PostgresStore::open(&url).await.err().unwrap();
    assert!(matches!(error, OpenError::Older { found: 3, needed: 4 }), "{error}");
    raw.execute(
        "INSERT INTO _sqlx_migrations VALUES (4, 'triggers', now(), true, '', 0), (99, 'x', now(), true, '', 0)",
    )
    .await
    .unwrap();
    let error = PostgresStore::open(&url).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    let error = PostgresStore::migrate(&url, None).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. } | OpenError::Differs(4)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_after_a_lost_answer_nothing_is_under_way_when_its_commands_are_looked_up() {
    let place = TempPostgres::new().await;
    let store = place.open().await;
    append_one(&*store, 1).await;
    // Another has the head, so that the append waits in the server; then its connection is gone.
    let other = place.open().await;
    let head = other.hold().await.unwrap();
    let mut chain = Chain::of(&*other).await;
    let events = [chain.next(command(2), account(1), deposited(1))];
    let append = tokio::spawn({
        let (store, events, end) = (store.clone(), events.clone(), chain.head);
        async move { store.append(head.position, &events, &end).await }
    });
    let mut raw = place.raw().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%log_head%'";
    while sqlx::query_scalar::<_, i64>(end).fetch_one(&mut raw).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let error = append.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown(_)), "{error:?}");
    other.release().await.unwrap();
    assert_eq!(store.find_commands(&[command(2)]).await.unwrap(), []);
    let backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
        AND pid <> pg_backend_pid()";
    assert_eq!(sqlx::query_scalar::<_, i64>(backends).fetch_one(&mut raw).await.unwrap(), 0);
    assert_eq!(store.head().await.unwrap(), head);
    store.append(head.position, &events, &chain.head).await.unwrap();
}

#[tokio::test]
async fn w1_a_server_that_does_not_wait_for_its_disk_is_named_loudly() {
    let place = TempPostgres::new().await;
    let said = Said::default();
    let writer = said.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _until = tracing::subscriber::set_default(subscriber);
    PostgresStore::open(&place.url).await.unwrap();
    assert!(!said.text().contains("LOST"), "{}", said.text());
    let off =
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
    sqlx::raw_sql(off).execute(&mut place.raw().await).await.unwrap();
    PostgresStore::open(&place.url).await.unwrap();
    let said = said.text();
    assert!(
        said.contains("ERROR") && said.contains("synchronous_commit=off: WHAT IS ACKNOWLEDGED CAN BE LOST"),
        "{said}"
    );
}

/// What was logged.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = PostgresStore::open(&format!("postgres://daybook@{nowhere}/x")).await.err().unwrap();
    assert!(matches!(error, OpenError::Store(StoreError::Unavailable(_))), "{error:?}");
}

#[tokio::test]
async fn tls_is_used_as_the_url_says_and_a_certificate_that_nobody_vouches_for_is_refused() {
    if !server().await.contains("sslmode=disable") {
        eprintln!("not tried: this server is not ours, and whether it speaks TLS is not known");
        return;
    }
    let place = TempPostgres::new().await;
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/localhost.pem");
    let with = |options: &str| place.url.replace("sslmode=disable", options);
    let is_encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for (options, encrypted) in [
        ("sslmode=disable".to_owned(), false),
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=verify-full&sslrootcert={certificate}"), true),
    ] {
        let store = PostgresStore::open(&with(&options)).await.unwrap();
        append_one(&store, store.head().await.unwrap().position.0 + 1).await;
        let found: bool = sqlx::query_scalar(is_encrypted).fetch_one(store.pool()).await.unwrap();
        assert_eq!(found, encrypted, "{options}");
    }
    let error = PostgresStore::open(&with("sslmode=verify-full")).await.err().unwrap();
    assert!(matches!(error, OpenError::Store(StoreError::Unavailable(_))), "{error:?}");
}
