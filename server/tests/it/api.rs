//! The JSON API over HTTP against the real server.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::helpers::{App, PASSWORD, PATIENCE, answer};

const ID: &str = "0190f5fe-7c00-7a00-8000-000000000001";

#[tokio::test]
async fn a_session_is_a_token_that_can_be_renewed_and_ends_at_once() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let renewed = anna.post("/api/v1/session/renew", &json!({})).await;
    assert_eq!(renewed.ok()["roles"], json!(["customer"]));
    assert!(renewed.body["expires_at"].as_i64().is_some());
    assert!(renewed.headers.get("set-cookie").is_none(), "a program gets no cookie");

    assert_eq!(answer(anna.request(Method::DELETE, "/api/v1/session")).await.status, 204);
    anna.get("/api/v1/accounts").await.refused(401, "not_signed_in");
    let mut other = anna.clone();
    other.token = renewed.body["token"].as_str().map(str::to_owned);
    other.get("/api/v1/accounts").await.refused(401, "not_signed_in");
    app.stop().await;
}

#[tokio::test]
async fn a_failed_sign_in_does_not_say_what_was_wrong() {
    let app = App::spawn().await;
    app.add_person("anna@example.com", false).await;
    let mut answers = Vec::new();
    for (email, password) in [("anna@example.com", "wrong horse battery"), ("nobody@example.com", PASSWORD)] {
        let answer = app.nobody().post("/api/v1/session", &json!({"email": email, "password": password})).await;
        answer.refused(401, "wrong_credentials");
        answers.push(answer.text);
    }
    assert_eq!(answers[0], answers[1]);
    app.nobody().post("/api/v1/session", &json!({"email": "a@b.c"})).await.refused(400, "invalid_input");
    app.stop().await;
}

#[tokio::test]
async fn a_command_is_answered_with_where_its_events_are() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let opened = anna.command("OpenAccount", &json!({"account_id": ID, "name": "A", "currency": "CZK"})).await;
    let receipt = opened.ok();
    assert_eq!(receipt["stream"], format!("account-{ID}"));
    assert_eq!(
        (&receipt["version"], &receipt["position"], &receipt["repeated"]),
        (&json!(1), &json!(1), &json!(false))
    );
    assert_eq!(receipt["events"][0]["type"], "account.account_opened");
    let made: Uuid = receipt["command_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(made.get_version_num(), 7, "an id was made");
    app.stop().await;
}

#[tokio::test]
async fn w4_the_same_idempotency_key_does_nothing_twice() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let bela = app.person("bela@example.com", false).await;
    let id = anna.account("CZK", 0).await;
    let send = |who: &super::helpers::Client, amount: i64| {
        let request = who.request(Method::POST, "/api/v1/commands/DepositMoney").header("Idempotency-Key", ID);
        answer(request.json(&json!({"account_id": id, "amount": amount})))
    };
    let first = send(&anna, 100).await;
    let again = send(&anna, 100).await;
    assert_eq!((&first.ok()["repeated"], &again.ok()["repeated"]), (&json!(false), &json!(true)));
    assert_eq!(first.body["events"], again.body["events"]);
    send(&anna, 101).await.refused(409, "command_id_reused");
    assert!(send(&bela, 100).await.status.is_client_error());
    app.stop().await;
}

#[tokio::test]
async fn w2_if_match_is_refused_with_the_actual_version() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let id = anna.account("CZK", 500).await;
    let send = |version: &'static str| {
        let request = anna.request(Method::POST, "/api/v1/commands/WithdrawMoney").header("If-Match", version);
        answer(request.json(&json!({"account_id": id, "amount": 1})))
    };
    let refused = send("1").await;
    let problem = refused.refused(412, "version_mismatch");
    assert_eq!((&problem["expected"], &problem["actual"]), (&json!(1), &json!(2)));
    send("\"2\"").await.ok();
    assert_eq!(send("*").await.refused(400, "invalid_input")["field"], "If-Match");
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_has_its_code_and_its_numbers() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let id = anna.account("CZK", 500).await;
    let refused = anna.command("WithdrawMoney", &json!({"account_id": id, "amount": 501})).await;
    let problem = refused.refused(422, "insufficient_funds");
    assert_eq!((&problem["requested"], &problem["available"]), (&json!(501), &json!(500)));
    app.stop().await;
}

#[tokio::test]
async fn a_malformed_body_names_its_field() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let whole = json!({"account_id": ID, "amount": 5});
    let with = |field: &str, value: Value| {
        let mut body = whole.clone();
        body[field] = value;
        body
    };
    let cases = [
        (with("amount", json!(1.5)), "amount"),
        (with("amount", json!(5.0)), "amount"),
        (with("amount", json!("5")), "amount"),
        (with("amount", json!(9_223_372_036_854_775_808_u64)), "amount"),
        (with("amount", Value::Null), "amount"),
        (with("account_id", json!("x")), "account_id"),
        (with("effective_on", json!("2026-02-30")), "effective_on"),
        (with("currency", json!("CZK")), "currency"),
        (json!({"amount": 5}), "account_id"),
        (json!([1]), "body"),
        (json!("x"), "body"),
    ];
    for (body, field) in cases {
        let refused = anna.command("DepositMoney", &body).await;
        assert_eq!(refused.refused(400, "invalid_input")["field"], field, "{body}");
    }
    let raw = |body: &'static str, kind: &'static str| {
        let request = anna.request(Method::POST, "/api/v1/commands/DepositMoney").header("content-type", kind);
        answer(request.body(body))
    };
    raw(r#"{"amount": 5} x"#, "application/json").await.refused(400, "invalid_input");
    raw("", "application/json").await.refused(400, "invalid_input");
    raw("amount=5", "application/x-www-form-urlencoded").await.refused(415, "unsupported_media_type");
    let key = anna.request(Method::POST, "/api/v1/commands/DepositMoney").header("Idempotency-Key", "1").json(&whole);
    assert_eq!(answer(key).await.refused(400, "invalid_input")["field"], "Idempotency-Key");
    app.stop().await;
}

/// A bad input is answered in a sentence of ours: what was wrong, and what would be right.
#[track_caller]
fn in_our_words(problem: &Value) {
    let detail = problem["detail"].as_str().unwrap();
    let field = problem["field"].as_str().unwrap();
    assert!(detail.starts_with(&format!("{field}: ")) && detail.len() > field.len() + 15, "{detail}");
    for foreign in
        ["invalid type", "invalid value", "expected `", "i64", "u64", "`", "UUID parsing", "at line 1", "digit"]
    {
        assert!(!detail.contains(foreign), "{detail}");
    }
}

#[tokio::test]
async fn every_field_of_every_command_says_what_belongs_there() {
    let app = App::spawn().await;
    let admin = app.person("admin@example.com", true).await;
    let api = admin.get("/api/openapi.json").await;
    for name in app::wire::Command::NAMES {
        let schema = &api.body["components"]["schemas"][name];
        for (field, of) in schema["properties"].as_object().unwrap() {
            let refused = admin.command(name, &json!({ field: [] })).await;
            let problem = refused.refused(400, "invalid_input");
            in_our_words(problem);
            assert_eq!(problem["field"], json!(field));
            let text = of["type"] == "string" && of.get("format").is_none() || of["type"][0] == "string";
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.ends_with("this is a list"), "{name}: {detail}");
            assert_eq!(detail.contains("a text is expected"), text, "{name}: {detail}");
        }
        for field in schema["required"].as_array().into_iter().flatten() {
            let others = schema["required"].as_array().unwrap().iter().filter(|other| *other != field);
            let example = |of: &str| match of {
                "amount" | "limit" | "position" => json!(1),
                "currency" => json!("CZK"),
                "name" | "reason" | "projection" => json!("x"),
                _ => json!(ID),
            };
            let body: serde_json::Map<String, Value> =
                others.map(|other| (other.as_str().unwrap().to_owned(), example(other.as_str().unwrap()))).collect();
            let refused = admin.command(name, &Value::Object(body)).await;
            let problem = refused.refused(400, "invalid_input");
            in_our_words(problem);
            assert_eq!(&problem["field"], field);
            assert!(problem["detail"].as_str().unwrap().contains("is needed"), "{problem}");
        }
    }
    let say = async |body: &'static str| {
        let request =
            admin.request(Method::POST, "/api/v1/commands/DepositMoney").header("content-type", "application/json");
        answer(request.body(body)).await.refused(400, "invalid_input")["detail"].as_str().unwrap().to_owned()
    };
    let expected = "amount: a whole number of minor units is expected, like 12345; this is the text \"5\"";
    assert_eq!(say(r#"{"account_id": "0190f5fe-7c00-7a00-8000-000000000001", "amount": "5"}"#).await, expected);
    let expected = "amonut: there is no such field here, only account_id, amount, description, effective_on";
    assert_eq!(say(r#"{"amonut": 5}"#).await, expected);
    assert_eq!(say(r#"{"amount": 5, "amount": 6}"#).await, "amount: this field is given twice");
    assert_eq!(say(r#"{"amount": 5"#).await, "body: this JSON ends before it is complete");
    assert_eq!(say("{\"amount\":\n 5,}").await, "body: this is not JSON: it cannot be read at line 2, column 4");
    app.stop().await;
}

#[tokio::test]
async fn parameters_headers_and_parts_of_a_path_say_what_belongs_there() {
    let app = App::spawn().await;
    let admin = app.person("admin@example.com", true).await;
    for (path, field) in [
        ("accounts?limit=x", "limit"),
        ("accounts?limit=-1", "limit"),
        ("accounts?limit=501", "limit"),
        ("accounts?owner=me", "owner"),
        ("accounts?min_balance=1.5", "min_balance"),
        ("accounts?max_balance=9223372036854775808", "max_balance"),
        ("accounts?after=x", "after"),
        ("accounts?wait_for=soon", "wait_for"),
        ("accounts?wait_ms=-1", "wait_ms"),
        ("accounts?nope=1", "nope"),
        ("accounts/x", "id"),
        ("accounts/x/statement", "id"),
        ("transfers/%ff", "path"),
        ("events?after=x", "after"),
        ("events?stream=account-1", "stream"),
        ("streams/account", "stream"),
        ("streams/account-0190f5fe-7c00-7a00-8000-000000000001?event=1", "event"),
    ] {
        let answer = admin.get(&format!("/api/v1/{path}")).await;
        let problem = answer.refused(400, "invalid_input");
        assert_eq!(problem["field"], field, "{path}");
        in_our_words(problem);
    }
    for (name, value) in [("If-Match", "*"), ("If-Match", "W/\"3\""), ("Idempotency-Key", "1"), ("If-Match", "-1")] {
        let request = admin.request(Method::POST, "/api/v1/commands/CloseAccount").header(name, value);
        let answer = answer(request.json(&json!({"account_id": ID}))).await;
        let problem = answer.refused(400, "invalid_input");
        assert_eq!(problem["field"], name);
        in_our_words(problem);
    }
    app.stop().await;
}

#[tokio::test]
async fn what_http_itself_refuses_is_a_problem_with_a_code_too() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let wrong = answer(anna.request(Method::PUT, "/api/v1/accounts")).await;
    wrong.refused(405, "method_not_allowed");
    assert_eq!(wrong.headers["allow"], "GET,HEAD");
    answer(anna.request(Method::GET, "/api/v1/commands/OpenAccount")).await.refused(405, "method_not_allowed");
    for nothing in ["/api", "/api/", "/api/v1/nothing"] {
        anna.get(nothing).await.refused(404, "not_found");
    }
    anna.get("/api/v2/accounts").await.refused(404, "not_found");
    let plain = anna.request(Method::POST, "/api/v1/commands/OpenAccount").body("{}");
    answer(plain).await.refused(415, "unsupported_media_type");
    let long = json!({"name": "x".repeat(300_000), "currency": "CZK"});
    anna.command("OpenAccount", &long).await.refused(413, "too_large");
    for path in ["/api/v1/commands/OpenAccount", "/api/fn/sign_in"] {
        // Its length is not said beforehand.
        let pieces = futures_util::stream::iter((0..400).map(|_| Ok::<_, std::io::Error>("x".repeat(1000))));
        let request = anna.request(Method::POST, path).header("content-type", "application/json");
        let refused = answer(request.body(reqwest::Body::wrap_stream(pieces))).await;
        refused.refused(413, "too_large");
    }
    app.stop().await;
}

#[tokio::test]
async fn unknown_commands_and_those_of_the_process_manager_do_not_exist() {
    let app = App::spawn().await;
    let admin = app.person("admin@example.com", true).await;
    for name in ["HoldFunds", "ExpectTransfer", "CaptureHold", "CreditTransfer", "ReleaseHold", "openaccount", "Nope"] {
        admin.command(name, &json!({})).await.refused(404, "not_found");
    }
    app.stop().await;
}

#[tokio::test]
async fn r5_a_view_can_be_waited_for_and_says_when_it_is_stale() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let id = anna.account("CZK", 500).await;
    let sent = anna.command("WithdrawMoney", &json!({"account_id": id, "amount": 100})).await;
    let position = sent.ok()["position"].as_u64().unwrap();
    let seen = anna.get(&format!("/api/v1/accounts/{id}?wait_for={position}&wait_ms=20000")).await;
    assert_eq!(seen.ok()["balance"], 400);
    assert!(seen.body["position"].as_u64().unwrap() >= position && seen.body.get("stale").is_none());
    let stale = anna.get(&format!("/api/v1/accounts/{id}?wait_for=1000000&wait_ms=1")).await;
    assert_eq!((&stale.ok()["balance"], &stale.body["stale"]), (&json!(400), &json!(true)));
    app.stop().await;
}

#[tokio::test]
async fn a_transfer_arrives_and_the_book_balances() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let admin = app.person("admin@example.com", true).await;
    let (from, to) = (anna.account("CZK", 1000).await, anna.account("CZK", 0).await);
    let sent = anna.command("RequestTransfer", &json!({"from": from, "to": to, "amount": 300})).await;
    let id = sent.ok()["stream"].as_str().unwrap().trim_start_matches("transfer-").to_owned();
    // Six events: requested, held, expected, captured, credited, completed.
    let end = sent.body["position"].as_u64().unwrap() + 5;
    let transfer = anna.get(&format!("/api/v1/transfers/{id}?wait_for={end}&wait_ms=20000")).await;
    assert_eq!(transfer.ok()["state"], "completed");
    let book = admin.get(&format!("/api/v1/trial-balance?wait_for={end}&wait_ms=20000")).await;
    let line = &book.ok()["lines"][0];
    assert_eq!((&line["balances"], &line["in_transit"]), (&json!(1000), &json!(0)));
    assert_eq!((&line["deposits"], &line["withdrawals"]), (&json!(1000), &json!(0)));

    let log = admin.get(&format!("/api/v1/events?wait_for={end}&wait_ms=20000&limit=4")).await;
    let positions: Vec<u64> =
        log.ok()["items"].as_array().unwrap().iter().map(|e| e["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    let rest = admin.get(&format!("/api/v1/events?after={}", log.body["next"].as_str().unwrap())).await;
    assert_eq!(rest.ok()["items"][0]["position"], 5);
    let first = &log.body["items"][0];
    assert!(first["payload"]["owner"].is_string() && first["metadata"]["command_id"].is_string(), "{first}");
    let stream = anna.get(&format!("/api/v1/streams/account-{from}")).await;
    assert_eq!(stream.ok()["items"][1]["type"], "account.money_deposited");
    app.stop().await;
}

#[tokio::test]
async fn parameters_that_do_not_read_or_do_not_exist_are_named() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let cases = [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("min_balance=1.5", "min_balance"),
        ("owner=x", "owner"),
        ("wait_for=-1", "wait_for"),
        ("nope=1", "nope"),
        ("limit=1&limit=2", "limit"),
    ];
    for (query, field) in cases {
        let refused = anna.get(&format!("/api/v1/accounts?{query}")).await;
        assert_eq!(refused.refused(400, "invalid_input")["field"], field, "{query}");
    }
    anna.get("/api/v1/accounts?owner=&limit=").await.ok();
    anna.get("/api/v1/accounts/x").await.refused(400, "invalid_input");
    app.stop().await;
}

#[tokio::test]
async fn whoever_watches_learns_how_the_process_is() {
    let app = App::spawn().await;
    let nobody = app.nobody();
    assert_eq!(nobody.get("/healthz").await.text, "ok");
    assert_eq!(nobody.get("/readyz").await.text, "ok");
    let status = nobody.get("/api/v1/status").await;
    assert_eq!(status.ok()["role"], "all");
    assert!(status.body["projections"].as_array().unwrap().len() >= 5, "{}", status.text);
    assert_eq!(nobody.get("/api/openapi.json").await.ok()["openapi"], "3.1.0");
    let docs = nobody.get("/api/docs").await;
    assert!(docs.text.contains("/api/v1/commands/OpenAccount") && !docs.text.contains("<script"));
    app.stop().await;
}

#[tokio::test]
async fn what_belongs_to_someone_else_does_not_exist_whichever_way_one_asks() {
    let app = App::spawn().await;
    let (anna, ben) = (app.person("anna@example.com", false).await, app.person("ben@example.com", false).await);
    let (from, to) = (anna.account("CZK", 500).await, anna.account("CZK", 0).await);
    let bens = ben.account("CZK", 500).await;
    let request = |from: &str| json!({"transfer_id": ID, "from": from, "to": to, "amount": 1});
    let position = anna.command("RequestTransfer", &request(&from)).await.ok()["position"].clone();
    anna.command("RequestTransfer", &request(&from)).await.refused(422, "transfer_already_requested");
    ben.command("RequestTransfer", &request(&bens)).await.refused(404, "not_found");

    let stream = format!("/api/v1/streams/account-{from}?wait_for={position}");
    anna.get(&stream).await.ok();
    anna.get(&format!("{stream}&after=1000")).await.ok();
    for foreign in [stream.clone(), format!("{stream}&after=0"), format!("{stream}&after=1000")] {
        ben.get(&foreign).await.refused(404, "not_found");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_admin_finds_a_person_by_email_and_no_one_else_does() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let admin = app.person("admin@example.com", true).await;
    // Views hear of people from the bus.
    let since = std::time::Instant::now();
    let found = loop {
        let found = admin.get("/api/v1/users?email=Anna%40example.com").await;
        if found.ok()["items"] != json!([]) {
            break found;
        }
        assert!(since.elapsed() < PATIENCE, "nobody is found");
    };
    let person = &found.body["items"][0];
    assert_eq!((&person["id"], &person["email"]), (&json!(anna.id.unwrap().to_string()), &json!("anna@example.com")));
    assert_eq!((&person["roles"], person.get("password")), (&json!(["customer"]), None));
    assert_eq!(admin.get("/api/v1/users?email=nobody%40example.com").await.ok()["items"], json!([]));
    assert_eq!(admin.get("/api/v1/users").await.refused(400, "invalid_input")["field"], "email");
    anna.get("/api/v1/users?email=anna%40example.com").await.refused(404, "not_found");
    app.nobody().get("/api/v1/users?email=anna%40example.com").await.refused(401, "not_signed_in");
    app.stop().await;
}

#[tokio::test]
async fn a_header_that_is_given_twice_is_refused() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let request =
        anna.request(Method::POST, "/api/v1/commands/OpenAccount").json(&json!({"name": "A", "currency": "CZK"}));
    let twice = request.header("Idempotency-Key", ID).header("Idempotency-Key", Uuid::nil().to_string());
    assert_eq!(answer(twice).await.refused(400, "invalid_input")["field"], "Idempotency-Key");
    app.stop().await;
}
