//! What is seen from outside: metrics that are what they say, and a dashboard that asks for nothing else.

use std::{collections::BTreeSet, net::TcpListener, time::Instant};

use serde_json::{Value, json};

use super::helpers::{App, PATIENCE};

/// A port that is free now.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

async fn scrape(address: &str) -> String {
    let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    answer.text().await.unwrap()
}

/// The number behind `line`, a name with its labels.
fn value(scraped: &str, line: &str) -> Option<f64> {
    let found = scraped.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.map(|number| number.parse().unwrap())
}

#[tokio::test]
async fn metrics_tell_what_became_of_commands_and_where_everything_stands() {
    let address = free();
    let app = App::spawn_with(&["--metrics-listen", &address]).await;
    let anna = app.person("anna@example.com", false).await;
    let account = anna.account("CZK", 700).await;
    let much = json!({"account_id": account, "amount": 10_000});
    anna.command("WithdrawMoney", &much).await.refused(422, "insufficient_funds");
    let stream = anna.request(reqwest::Method::GET, "/live?q=accounts").send().await.unwrap();

    let since = Instant::now();
    let scraped = loop {
        let scraped = scrape(&address).await;
        let streams = value(&scraped, "daybook_live_subscribers");
        if streams == Some(1.0) && value(&scraped, "daybook_log_position") == Some(2.0) {
            break scraped;
        }
        assert!(since.elapsed() < PATIENCE, "{scraped}");
    };
    assert_eq!(value(&scraped, "daybook_commands_total{outcome=\"stored\"}"), Some(2.0), "{scraped}");
    assert_eq!(value(&scraped, "daybook_commands_total{outcome=\"rejected\"}"), Some(1.0));
    assert_eq!(value(&scraped, "daybook_command_duration_seconds_count"), Some(3.0));
    assert_eq!(value(&scraped, "daybook_commit_batch_events_sum"), Some(2.0));
    assert_eq!(value(&scraped, "daybook_queue_commands"), Some(0.0));
    assert_eq!(value(&scraped, "daybook_queue_limit_commands"), Some(8192.0));
    assert_eq!(value(&scraped, "daybook_projection_position{projection=\"accounts\"}"), Some(2.0));
    assert_eq!(value(&scraped, "daybook_projection_lag_events{projection=\"accounts\"}"), Some(0.0));
    assert_eq!(value(&scraped, "daybook_projection_parked{projection=\"accounts\"}"), Some(0.0));
    // Nowhere else.
    assert_eq!(anna.get("/metrics").await.status, reqwest::StatusCode::NOT_FOUND);
    drop(stream);
    app.stop().await;
}

/// The names of metrics in a query, without what Prometheus adds to them.
fn names(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("daybook_")).map(str::to_owned).collect()
}

/// Every name that can be asked for.
fn exposed() -> BTreeSet<String> {
    let mut registry = prometheus_client::registry::Registry::with_prefix(server::metrics::PREFIX);
    let mut text = String::new();
    server::metrics::describe(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .flat_map(|(name, kind)| -> Vec<String> {
            match kind {
                "counter" => vec![format!("{name}_total")],
                "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
                "info" => vec![format!("{name}_info")],
                _ => vec![name.to_owned()],
            }
        })
        .collect()
}

#[test]
fn the_dashboard_and_the_alerts_ask_only_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(include_str!("../../../deploy/grafana.json")).unwrap();
    let alerts: Value = serde_yaml_ng::from_str(include_str!("../../../deploy/alerts.yaml")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let shown = panels.flat_map(|panel| panel["targets"].as_array().unwrap()).map(|target| &target["expr"]);
    let alerted = alerts["groups"][0]["rules"].as_array().unwrap().iter().map(|rule| &rule["expr"]);
    let asked: BTreeSet<String> = shown.chain(alerted).flat_map(|query| names(query.as_str().unwrap())).collect();
    let there = exposed();
    assert!(asked.len() > 20, "{asked:?}");
    let missing: Vec<_> = asked.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?} of {there:?}");
    // Names end with their unit, as Prometheus asks for.
    for name in &there {
        assert!(name.starts_with("daybook_") && !name.contains("_total_") && !name.contains("milli"), "{name}");
    }
}
