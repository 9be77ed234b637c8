//! One trace from a command to the views, as a collector gets it from two processes that meet on Kafka only.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{Json, Router, extract::State, routing::post};
use rdkafka::message::{Headers as _, Message as _};
use reqwest::Client;
use serde_json::{Value, json};
use server::bus::kafka::{KafkaSettings, TRACE};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    cluster::Cluster,
    parts::{all_messages, topics},
    services::node::{LONG, Node, daybook, said},
};
use crate::postgres;

type Spans = Arc<Mutex<Vec<Value>>>;

/// A collector that keeps what it is sent.
async fn collector() -> (String, Spans) {
    async fn keep(State(spans): State<Spans>, Json(sent): Json<Value>) -> Json<Value> {
        for of_process in sent["resourceSpans"].as_array().unwrap() {
            let about = of_process["resource"]["attributes"].as_array().unwrap();
            let role = about.iter().find(|one| one["key"] == "daybook.role").unwrap()["value"]["stringValue"].clone();
            let scopes = of_process["scopeSpans"].as_array().unwrap().iter();
            for span in scopes.flat_map(|scope| scope["spans"].as_array().unwrap()) {
                let mut span = span.clone();
                span["role"] = role.clone();
                spans.lock().unwrap().push(span);
            }
        }
        Json(json!({}))
    }
    let spans = Spans::default();
    let router = Router::new().route("/v1/traces", post(keep)).with_state(spans.clone());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let server = axum_server::from_tcp(listener).unwrap();
    tokio::spawn(async move { server.serve(router.into_make_service()).await.unwrap() });
    (url, spans)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_a_command_over_kafka_to_every_projection() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (endpoint, spans) = collector().await;
    let http = Client::new();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let bus = format!("kafka://{}/{}", Cluster::shared().brokers, postgres::unique("traced"));
    let public = said(daybook().args(["token", "public-key", "--data-dir", &path("command")]));
    let shared = ["--bus", &bus, "--otlp-endpoint", &endpoint];
    let (of_command, of_query) = (path("command"), path("query"));
    let command = [&["--role", "command", "--data-dir", &of_command], &shared[..]].concat();
    let query = ["--role", "query", "--data-dir", &of_query, "--session-public-keys", public.trim()];
    let query = [&query[..], &shared[..]].concat();
    let (mut command, mut query) = (Node::start(&command), Node::start(&query));
    command.ready(&http).await;
    query.ready(&http).await;
    let add = ["user", "add", "--email", "ann@example.org", "--name", "Ann", "--data-dir", &path("command")];
    said(daybook().args(add));
    let token = said(daybook().args(["token", "create", "--email", "ann@example.org", "--data-dir", &path("command")]));
    let token = token.trim();

    // One that follows from something that the client does, one that follows from nothing.
    let account = Uuid::now_v7();
    let followed = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let open =
        http.post(command.url("/api/v1/commands/OpenAccount")).bearer_auth(token).header("traceparent", followed);
    let opened = open.json(&json!({ "account_id": account, "name": "A", "currency": "CZK" })).send().await.unwrap();
    assert!(opened.status().is_success());
    command.send(&http, token, "DepositMoney", json!({ "account_id": account, "amount": 7 })).await;
    // W4: the trace is no part of what is the same command.
    let id = Uuid::now_v7().to_string();
    for repeated in [false, true] {
        let deposit = http.post(command.url("/api/v1/commands/DepositMoney")).bearer_auth(token);
        let deposit = deposit.header("idempotency-key", &id).json(&json!({ "account_id": account, "amount": 9 }));
        let answer: Value = deposit.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["repeated"], repeated, "{answer}");
    }

    // By trace: the names of its steps, with who took them.
    let steps = || {
        let mut steps: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
        for span in spans.lock().unwrap().iter() {
            let text = |field: &str| span[field].as_str().unwrap().to_owned();
            steps.entry(text("traceId")).or_default().insert((text("role"), text("name")));
        }
        steps
    };
    let whole: BTreeSet<_> =
        [("command", "POST command"), ("command", "append"), ("command", "publish"), ("query", "project")]
            .map(|(role, name)| (role.to_owned(), name.to_owned()))
            .into();
    let since = Instant::now();
    while steps().values().filter(|steps| **steps == whole).count() < 2 {
        assert!(since.elapsed() < LONG, "{:#?}", steps());
        tokio::task::yield_now().await;
    }
    assert!(steps().contains_key("4bf92f3577b34da6a3ce929d0e0e4736"));

    // Each step follows from another of its trace, the first from what the client did or from nothing.
    let spans = spans.lock().unwrap().clone();
    let known: BTreeSet<_> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    for span in &spans {
        let parent = span["parentSpanId"].as_str().unwrap_or_default();
        let first = span["name"] == "POST command" && (parent.is_empty() || parent == "00f067aa0ba902b7");
        assert!(first || known.contains(parent) || span["name"] == "append", "{span}");
    }
    // Kafka's header says what was published in which trace, so that others can go on from there.
    let settings: KafkaSettings = bus.parse().unwrap();
    let published: BTreeSet<String> = all_messages(&settings, &topics(&settings).events)
        .iter()
        .flat_map(|message| {
            let headers = message.headers().unwrap();
            let found = headers.iter().find(|header| header.key == TRACE)?;
            Some(String::from_utf8(found.value.unwrap().to_vec()).unwrap()[3..35].to_owned())
        })
        .collect();
    let traced = steps_of(&spans, "publish");
    assert!(published.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{published:?}");
    assert!(traced.is_subset(&published), "{traced:?} of {published:?}");
}

fn steps_of(spans: &[Value], name: &str) -> BTreeSet<String> {
    let of = spans.iter().filter(|span| span["name"] == name);
    of.map(|span| span["traceId"].as_str().unwrap().to_owned()).collect()
}
