//! What an operator does while everything runs: put another key in the place of one, and forget someone.

use std::time::Instant;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cluster::Cluster,
    postgres,
    services::node::{LONG, Node, PASSWORD, add_admin, daybook, said, sign_in, told},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_takes_over_without_signing_anyone_out_and_whom_one_forgets_every_node_forgets() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = Client::new();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let bus = format!("kafka://{}/{}", Cluster::shared().brokers, postgres::unique("rotation"));
    let write = postgres::empty_database().await;
    let public = |key: &str| {
        let said =
            said(daybook().args(["token", "public-key", "--session-key-file", &path(key), "--data-dir", &path("x")]));
        said.trim().to_owned()
    };
    let both = format!("{},{}", public("old.key"), public("new.key"));
    let common = |role: &str, name: &str| {
        ["--role", role, "--data-dir", &path(name), "--bus", &bus, "--session-public-keys", &both].map(str::to_owned)
    };
    let start = |arguments: &[String]| Node::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let command = |name: &str, key: &str| {
        let own =
            ["--write-db", &write, "--write-db-admin", &write, "--session-key-file", &path(key)].map(str::to_owned);
        start(&[&common("command", name)[..], &own].concat())
    };
    let (mut old, mut new) = (command("old", "old.key"), command("new", "new.key"));
    let mut query = start(&common("query", "query"));
    for node in [&mut old, &mut new] {
        node.ready(&http).await;
    }
    add_admin(daybook().args(["--data-dir", &path("x")]).env("DAYBOOK_WRITE_DB", &write));
    query.ready(&http).await;

    let token = sign_in(&http, &old.base()).await;
    let account = json!({ "name": "Account", "currency": "CZK" });
    new.send(&http, &token, "OpenAccount", account.clone()).await;
    assert_eq!(query.get(&http, &token, "/api/v1/accounts").await.status(), StatusCode::OK);
    let renewed = http.post(new.url("/api/v1/session/renew")).bearer_auth(&token).send().await.unwrap();
    let renewed: Value = renewed.error_for_status().unwrap().json().await.unwrap();
    let renewed = renewed["token"].as_str().unwrap();
    assert_eq!(query.get(&http, renewed, "/api/v1/accounts").await.status(), StatusCode::OK);
    old.send(&http, renewed, "OpenAccount", account).await;

    let user = |arguments: &[&str]| {
        let mut command = daybook();
        command.arg("user").args(arguments).args(["--data-dir", &path("x")]).env("DAYBOOK_WRITE_DB", &write);
        command
    };
    let add = ["add", "--email", "bo@example.org", "--name", "Bo", "--password-stdin"];
    assert!(told(&mut user(&add), PASSWORD).status.success());
    let known = async || {
        let found: Value = query.get(&http, renewed, "/api/v1/users?email=bo@example.org").await.json().await.unwrap();
        !found["items"].as_array().unwrap().is_empty()
    };
    let since = Instant::now();
    while !known().await {
        assert!(since.elapsed() < LONG, "the query node does not hear of someone new");
        tokio::task::yield_now().await;
    }
    said(&mut user(&["forget", "--email", "bo@example.org"]));
    while known().await {
        assert!(since.elapsed() < LONG, "the query node still knows whom it was to forget");
        tokio::task::yield_now().await;
    }
    said(daybook().args(["verify", "--write-db", &write, "--data-dir", &path("x")]));
}
