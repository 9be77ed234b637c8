//! Brokers with access control: nodes that may do what `deploy/kafka-acls.sh` allows, and nothing else.

use std::{process::Command, time::Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    cluster::Cluster,
    postgres,
    services::{
        node::{LONG, Node, add_admin, daybook, said, sign_in},
        topic,
    },
};

const PARTITIONS: usize = 6;

fn allow(cluster: &Cluster, prefix: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut script = Command::new(format!("{folder}/deploy/kafka-acls.sh"));
    script.args([prefix, "User:command", "User:query", "--bootstrap-server", &cluster.brokers]);
    said(script.env("KAFKA_ACLS", ".build/kafka.sh acls").current_dir(folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_need_no_more_rights_than_they_are_given_and_those_may_come_late() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = Client::new();
    let cluster = Cluster::guarded();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let prefix = "guarded";
    let bus = format!("kafka://{}/{prefix}", cluster.guards);
    let secret = path("password");
    std::fs::write(&secret, "query-secret\n").unwrap();
    let signs_in = |name: &str, password: &str| {
        format!("security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username={name};sasl.password={password}")
            .split(';')
            .flat_map(|pair| ["--kafka-config".to_owned(), pair.to_owned()])
            .collect::<Vec<_>>()
    };
    let start = |name: &str, password: &str, arguments: &[&str]| {
        let (data, log) = (path(name), folder.path().join(format!("{name}.log")));
        let kafka = signs_in(name, password);
        let common = ["--role", name, "--data-dir", &data, "--bus", &bus];
        let kafka: Vec<&str> = kafka.iter().map(String::as_str).collect();
        Node::start_logged(&[&common[..], &kafka, arguments].concat(), &log)
    };
    let write = postgres::empty_database().await;
    let key = path("session.key");
    let public = said(daybook().args(["token", "public-key", "--session-key-file", &key, "--data-dir", &path("x")]));
    let own = ["--write-db", &write, "--write-db-admin", &write, "--session-key-file", &key];
    let topic = ["--kafka-partitions", &PARTITIONS.to_string(), "--kafka-replication", "1"];
    let mut command = start("command", "command-secret", &[&own[..], &topic].concat());
    let believes = ["--session-public-keys", public.trim()];
    let mut query = start("query", &format!("file:{secret}"), &believes);

    // Commands wait for no broker. Whoever may not do what it needs says so.
    command.ready(&http).await;
    add_admin(daybook().args(["--data-dir", &path("x")]).env("DAYBOOK_WRITE_DB", &write));
    let token = sign_in(&http, &command.base()).await;
    let account = Uuid::now_v7();
    let fields = json!({ "account_id": account, "name": "Account", "currency": "CZK" });
    command.send(&http, &token, "OpenAccount", fields).await;
    let since = Instant::now();
    while !command.logged().to_lowercase().contains("authoriz") {
        assert!(since.elapsed() < LONG, "what it may not is not said: {}", command.logged());
        tokio::task::yield_now().await;
    }
    assert!(!query.is_ready(&http).await);
    allow(&cluster, prefix);
    query.ready(&http).await;
    let balance = async |query: &Node| {
        let found: Value = query.get(&http, &token, &format!("/api/v1/accounts/{account}")).await.json().await.unwrap();
        found["balance"].as_i64()
    };
    let shows = async |query: &Node, amount: i64| {
        let since = Instant::now();
        while balance(query).await != Some(amount) {
            assert!(since.elapsed() < LONG, "the view does not show {amount}: {}", query.logged());
            tokio::task::yield_now().await;
        }
    };
    command.send(&http, &token, "DepositMoney", json!({ "account_id": account, "amount": 500 })).await;
    shows(&query, 500).await;

    // The topics are as was asked for.
    let admin = topic::admin(&cluster.brokers);
    let events = format!("{prefix}.events");
    let metadata = admin.inner().fetch_metadata(Some(&events), topic::LONG).unwrap();
    let partitions = metadata.topics()[0].partitions();
    assert_eq!((partitions.len(), partitions[0].replicas().len()), (PARTITIONS, 1));
    assert!(!command.logged().contains("to be seen"), "{}", command.logged());

    // What the topic lost comes by replay, which has to be asked for.
    query.terminate();
    std::fs::remove_file(folder.path().join("query/read.sqlite")).unwrap();
    let mut all = TopicPartitionList::new();
    (0..PARTITIONS as i32).for_each(|partition| all.add_partition_offset(&events, partition, Offset::End).unwrap());
    admin.delete_records(&all, &topic::options()).await.unwrap();
    query.start_again();
    query.ready(&http).await;
    shows(&query, 500).await;

    // A query node's password is good for nothing else.
    let mut config = topic::client(&cluster.guards);
    for (key, value) in [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "query"),
        ("sasl.password", "query-secret"),
    ] {
        config.set(key, value);
    }
    let producer: FutureProducer = config.create().unwrap();
    for name in ["events", "replay", "people"] {
        let topic = format!("{prefix}.{name}");
        let sent = producer.send(FutureRecord::<(), str>::to(&topic).payload("{}"), LONG).await;
        let refused = KafkaError::MessageProduction(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(sent.map_err(|(error, _)| error).unwrap_err(), refused, "{name}");
    }
    assert_eq!(query.get(&http, &token, "/api/v1/accounts").await.status(), StatusCode::OK);
    for node in [&command, &query] {
        assert!(!node.logged().contains("-secret"), "a password is in the log");
    }
    query.terminate();
    command.terminate();
}
