//! What belongs to a side that a process does not have is refused at the start, with the reason; it is never passed over.

use std::net::TcpListener;

use server::{cli::serve, config::DataDir};
use tokio_util::sync::CancellationToken;

use super::helpers::{PATIENCE, serve_args};

const KAFKA: [&str; 2] = ["--bus", "kafka://127.0.0.1:1/daybook"];
/// A public key, of nobody who signs.
const KEY: [&str; 2] = ["--session-public-keys", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"];

/// 32 bytes that are no point of the curve.
const NO_POINT: &str = "0200000000000000000000000000000000000000000000000000000000000000";

/// The reason why this is not started.
async fn refused(role: &str, flags: &[&[&str]]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    let args = serve_args(&[&["--role", role], flags.concat().as_slice()].concat());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = tokio::time::timeout(PATIENCE, serve::serve(&data, &args, listener, CancellationToken::new())).await;
    let reason = format!("{:#}", ended.unwrap_or(Ok(())).expect_err(&format!("{args:?} is served")));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left.iter().any(|name| name.to_string_lossy().ends_with(".sqlite")),
        "{reason}, and yet there is {left:?}"
    );
    reason
}

#[tokio::test]
async fn a_side_apart_meets_the_others_on_kafka_only() {
    for (role, flags) in [("command", vec![]), ("query", vec![&KEY[..]])] {
        let reason = refused(role, &flags).await;
        assert!(reason.contains("give --bus kafka://"), "{role}: {reason}");
    }
}

#[tokio::test]
async fn what_a_role_does_not_have_is_refused_by_name() {
    let cases: [(&str, &[&str], &str); 13] = [
        ("command", &["--read-db", "sqlite:views.db"], "leave out --read-db"),
        ("query", &["--write-db", "sqlite:log.db"], "leave out --write-db"),
        ("query", &["--write-db-admin", "postgres://a@127.0.0.1:1/b"], "leave out --write-db"),
        ("query", &["--session-key-file", "key"], "leave out --session-key-file"),
        ("query", &["--queue", "8"], "leave out --queue"),
        ("query", &["--kafka-partitions", "8"], "leave out --kafka-partitions"),
        ("query", &["--kafka-replication", "1"], "leave out --kafka-partitions"),
        ("command", &["--demo"], "--role all"),
        ("query", &["--demo"], "--role all"),
        ("all", &["--demo", "--write-db", "sqlite:log.db"], "leave out --write-db"),
        ("all", &["--write-db", "sqlite:one.db", "--read-db", "sqlite:one.db"], "one of their own"),
        ("command", &["--kafka-config", "acks=1"], "acks is Daybook's own to set"),
        ("command", &["--session-public-keys", NO_POINT], "is no public key"),
    ];
    for (role, flags, words) in cases {
        let key = if role == "query" { &KEY[..] } else { &[] };
        let reason = refused(role, &[&KAFKA, key, flags]).await;
        assert!(reason.contains(words), "--role {role} {flags:?}: {reason}");
    }
}

#[tokio::test]
async fn a_query_node_needs_to_know_whose_sessions_count() {
    let reason = refused("query", &[&KAFKA]).await;
    assert!(reason.contains("daybook token public-key"), "{reason}");
}

#[tokio::test]
async fn what_is_for_kafka_is_refused_without_it() {
    for flags in [["--kafka-partitions", "8"], ["--kafka-replication", "3"], ["--kafka-config", "debug=all"]] {
        let reason = refused("all", &[&flags]).await;
        assert!(reason.contains("for --bus kafka://"), "{flags:?}: {reason}");
    }
}
