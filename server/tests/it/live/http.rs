//! `GET /live` of the real server: addresses, resuming, and how a stream ends.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::helpers::{App, Client, PASSWORD, PATIENCE};

/// A stream as it comes in.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(client: &Client, query: &str, last_event_id: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, &format!("/live?{query}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self { response, text: String::new() }
    }

    /// Reads on until it says this; gives all that came before, and takes it away.
    async fn until(&mut self, words: &str) -> String {
        let says = async {
            loop {
                if let Some(at) = self.text.find(words) {
                    return self.text.drain(..at + words.len()).collect();
                }
                let chunk =
                    self.response.chunk().await.unwrap().unwrap_or_else(|| panic!("{words:?} is not in {}", self.text));
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, says).await.unwrap_or_else(|_| panic!("{words:?} does not come"))
    }

    /// Reads to the end, which comes within a second.
    async fn ends(mut self) -> String {
        let rest = async {
            while let Some(chunk) = self.response.chunk().await.unwrap() {
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(1), rest).await.expect("an end within a second");
        self.text
    }
}

#[tokio::test]
async fn a_stream_begins_where_it_is_told_and_a_browsers_own_word_counts_more() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let account = anna.account("CZK", 700).await;
    let query = format!("q=account:{account}");

    let mut whole = Stream::open(&anna, &query, None).await;
    let headers = whole.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(
        (&headers["cache-control"], &headers["x-accel-buffering"]),
        (&"no-store".parse().unwrap(), &"no".parse().unwrap())
    );
    assert!(whole.until("event: position\nid: 2\n").await.contains(r#""balance":700"#));
    let mut resumed = Stream::open(&anna, &format!("{query}&from=2"), None).await;
    assert!(!resumed.until("event: position\nid: 2\n").await.contains("rows"));
    let mut resumed = Stream::open(&anna, &format!("{query}&from=0"), Some("2")).await;
    assert!(!resumed.until("event: position\nid: 2\n").await.contains("rows"));

    anna.command("DepositMoney", &json!({"account_id": account, "amount": 1})).await.ok();
    for stream in [&mut whole, &mut resumed] {
        assert!(stream.until("event: position\nid: 3\n").await.contains(r#""balance":701"#));
    }
    let seen = anna.request(Method::GET, &format!("/live?{query}&from=3")).header("cookie", "daybook_seen=9");
    let mut ahead = Stream { response: seen.send().await.unwrap(), text: String::new() };
    assert_eq!(ahead.until("data: 3\n\n").await, "event: behind\ndata: 3\n\n");
    app.stop().await;
}

#[tokio::test]
async fn addresses_that_make_no_sense_are_refused() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let many = vec!["q=accounts"; 64].join("&");
    let different: String = (0..65).map(|n| format!("&q=account:{}", uuid::Uuid::from_u128(n))).collect();
    for (query, field) in [
        ("", "q"),
        ("q=", "q"),
        ("q=nonsense", "q"),
        ("q=account:1", "q"),
        ("q=accounts:7", "q"),
        ("q=stream:account", "q"),
        ("q=accounts&from=-1", "from"),
        ("q=accounts&from=1.5", "from"),
        ("q=accounts&from=9223372036854775808", "from"),
        ("q=accounts&form=1", "form"),
        (&different[1..], "q"),
    ] {
        let refusal = anna.get(&format!("/live?{query}")).await;
        assert_eq!(refusal.refused(400, "invalid_input")["field"], field, "{query}");
    }
    Stream::open(&anna, &many, None).await.until("event: position").await;
    app.nobody().get("/live?q=accounts").await.refused(401, "not_signed_in");
    app.stop().await;
}

#[tokio::test]
async fn streams_end_within_a_second_of_sign_out_and_of_a_new_password() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let (one, mut other) = (Stream::open(&anna, "q=accounts", None).await, Stream::open(&anna, "q=events", None).await);
    other.until("event: position").await;
    anna.request(Method::DELETE, "/api/v1/session").send().await.unwrap().error_for_status().unwrap();
    for stream in [one, other] {
        assert!(stream.ends().await.ends_with("event: end\ndata: signed_out\n\n"));
    }
    anna.get("/live?q=accounts").await.refused(401, "not_signed_in");

    let session =
        app.nobody().post("/api/v1/session", &json!({"email": "anna@example.com", "password": PASSWORD})).await;
    let token = session.ok()["token"].as_str().unwrap().to_owned();
    let anna = Client { token: Some(token), ..anna };
    let mut stream = Stream::open(&anna, "q=accounts", None).await;
    stream.until("event: position").await;
    let form = format!("old={}&new=another+horse+battery", PASSWORD.replace(' ', "+"));
    let change = anna.request(Method::POST, "/api/fn/change_password");
    let change = change.header("content-type", "application/x-www-form-urlencoded").body(form);
    let changed = change.send().await.unwrap();
    assert!(changed.status().is_redirection() || changed.status().is_success(), "{}", changed.status());
    assert!(stream.ends().await.ends_with("event: end\ndata: signed_out\n\n"));
    app.stop().await;
}

#[tokio::test]
async fn a_tab_that_closes_gives_its_place_back() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let mut tabs = Vec::new();
    for _ in 0..16 {
        tabs.push(Stream::open(&anna, "q=accounts", None).await);
    }
    let refusal = anna.get("/live?q=accounts").await;
    refusal.refused(429, "too_many_requests");
    assert!(refusal.headers.contains_key("retry-after"));
    drop(tabs);
    let since = std::time::Instant::now();
    while anna.request(Method::GET, "/live?q=accounts").send().await.unwrap().status() != StatusCode::OK {
        assert!(since.elapsed() < PATIENCE, "the places stay taken");
    }
    app.stop().await;
}
