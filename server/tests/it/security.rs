//! The edge, and the table of who may what, tried for every route.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use app::{
    api::AppError,
    domain::{CommandId, SessionId, UserId},
    ports::{CommandPort, Ports, Role, SessionPort, SignedIn, TokenCheck, Viewer},
    wire::{Command, Receipt, Version},
};
use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, header},
    response::Response,
};
use http_body_util::BodyExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use server::web::{AppState, WebOptions, rest, router};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::helpers::{App, Client, answer};

/// Signs in whoever has an e-mail that says what to do.
#[derive(Default)]
struct Scripted {
    waiting: Notify,
}

fn viewer(left: Duration) -> Viewer {
    Viewer {
        user_id: UserId(Uuid::from_u128(1)),
        session_id: SessionId(Uuid::from_u128(2)),
        name: "Anna".to_owned(),
        roles: vec![Role::Customer],
        expires_at: server::web::request::now() + i64::try_from(left.as_micros()).unwrap(),
    }
}

#[async_trait]
impl SessionPort for Scripted {
    async fn sign_in(&self, email: &str, _: &str, client: IpAddr) -> Result<SignedIn, AppError> {
        match email {
            "panic" => panic!("secret of the implementation"),
            "wait" => {
                self.waiting.notify_one();
                std::future::pending().await
            }
            "where" => Err(AppError::invalid("client", client)),
            "often" => Err(AppError::TooMany { retry_after: 7 }),
            _ => Err(AppError::WrongCredentials),
        }
    }
    async fn sign_out(&self, _: &Viewer) -> Result<Receipt, AppError> {
        Err(AppError::NotFound)
    }
    async fn renew(&self, _: &Viewer) -> Result<SignedIn, AppError> {
        Ok(SignedIn { token: "fresh".to_owned(), viewer: viewer(Duration::from_mins(15)) })
    }
    async fn change_password(&self, _: &Viewer, _: &str, _: &str) -> Result<SignedIn, AppError> {
        Err(AppError::NotFound)
    }
}

/// Never answers; knows with which ids it was asked.
#[derive(Default)]
struct NoAnswer(Mutex<Vec<CommandId>>);

#[async_trait]
impl CommandPort for NoAnswer {
    async fn send(&self, _: &Viewer, id: CommandId, _: Command, _: Option<Version>) -> Result<Receipt, AppError> {
        self.0.lock().unwrap().push(id);
        std::future::pending().await
    }
    async fn answers(&self) -> bool {
        true
    }
}

/// Believes tokens that say how many seconds are left.
struct Seconds;

impl TokenCheck for Seconds {
    fn check(&self, token: &str) -> Option<Viewer> {
        token.parse().ok().map(|seconds| viewer(Duration::from_secs(seconds)))
    }
}

fn scripted(options: WebOptions) -> (Router, Arc<Scripted>) {
    let sessions = Arc::new(Scripted::default());
    let ports = Ports { commands: None, sessions: Some(sessions.clone()), queries: None };
    (router(AppState::new(ports, Arc::new(Seconds), options, CancellationToken::new())), sessions)
}

fn sign_in(email: &str) -> Request<Body> {
    let body = json!({"email": email, "password": "x"}).to_string();
    Request::post("/api/v1/session").header("content-type", "application/json").body(Body::from(body)).unwrap()
}

async fn ask(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

async fn problem(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn a_panic_is_an_error_with_an_id_and_never_its_text() {
    let (router, _) = scripted(WebOptions::default());
    let response = ask(&router, sign_in("panic")).await;
    assert_eq!(response.status(), 500);
    let problem = problem(response).await;
    assert_eq!(problem["code"], "internal");
    assert!(problem["error_id"].is_string() && !problem.to_string().contains("secret"), "{problem}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let (router, _) = scripted(WebOptions { request_timeout: Duration::from_millis(20), ..WebOptions::default() });
    let response = ask(&router, sign_in("wait")).await;
    assert_eq!(response.status(), 504);
    assert_eq!(problem(response).await["code"], "timed_out");
}

#[tokio::test]
async fn a_command_that_takes_too_long_can_be_sent_again_under_its_id() {
    let commands = Arc::new(NoAnswer::default());
    let ports = Ports { commands: Some(commands.clone()), sessions: None, queries: None };
    let options = WebOptions { request_timeout: Duration::from_millis(20), ..WebOptions::default() };
    let router = router(AppState::new(ports, Arc::new(Seconds), options, CancellationToken::new()));
    let given = Uuid::from_u128(7).to_string();
    for key in [None, Some(&given)] {
        let mut request = Request::post("/api/v1/commands/OpenAccount").header("authorization", "Bearer 60");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = json!({"name": "Everyday", "currency": "CZK"}).to_string();
        let request = request.header("content-type", "application/json").body(Body::from(body)).unwrap();
        let response = ask(&router, request).await;
        assert_eq!(response.status(), 504);
        let told = problem(response).await;
        let asked = commands.0.lock().unwrap().last().unwrap().to_string();
        assert_eq!(told["command_id"], asked);
        assert!(key.is_none_or(|key| *key == asked));
    }
}

/// `GET path` from this peer, which says this of where the request comes from.
async fn visit(router: &Router, path: &str, peer: &str, forwarded: Option<&str>) -> Response {
    let mut request = Request::get(path);
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 40_000)));
    ask(router, request).await
}

fn limited(trusted_proxies: &[&str]) -> Router {
    let trusted_proxies = trusted_proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    scripted(WebOptions { rate_limit: NonZeroU32::new(1), trusted_proxies, ..WebOptions::default() }).0
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let router = limited(&[]);
    // A burst is five seconds' worth.
    for _ in 0..5 {
        assert_eq!(visit(&router, "/api/v1/status", "203.0.113.9", None).await.status(), 200);
    }
    // Whatever it says of itself.
    let refused = visit(&router, "/api/v1/status", "203.0.113.9", Some("198.51.100.1")).await;
    assert_eq!(refused.status(), 429);
    let wait: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(refused.headers().contains_key("content-security-policy"));
    assert_eq!(problem(refused).await["code"], "too_many_requests");
    assert_eq!(visit(&router, "/live", "203.0.113.9", None).await.status(), 429);
    for free in ["/healthz", "/readyz", "/pkg/none.js"] {
        assert_ne!(visit(&router, free, "203.0.113.9", None).await.status(), 429, "{free}");
    }
    assert_eq!(visit(&router, "/api/v1/status", "203.0.113.10", None).await.status(), 200);
    // This machine, and a proxy on it that was not named.
    for _ in 0..20 {
        assert_eq!(visit(&router, "/api/v1/status", "127.0.0.1", Some("203.0.113.9")).await.status(), 200);
        assert_eq!(visit(&router, "/api/v1/status", "::1", None).await.status(), 200);
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_on_this_machine_each_client_has_a_rate_of_its_own() {
    let router = limited(&["127.0.0.1"]);
    for client in ["203.0.113.9", "198.51.100.1"] {
        for _ in 0..5 {
            assert_eq!(visit(&router, "/api/v1/status", "127.0.0.1", Some(client)).await.status(), 200);
        }
        assert_eq!(visit(&router, "/api/v1/status", "127.0.0.1", Some(client)).await.status(), 429);
    }
}

#[tokio::test]
async fn a_rate_limit_of_zero_is_none() {
    let (router, _) = scripted(WebOptions { rate_limit: NonZeroU32::new(0), ..WebOptions::default() });
    for _ in 0..50 {
        assert_eq!(visit(&router, "/api/v1/status", "203.0.113.9", None).await.status(), 200);
    }
}

#[tokio::test]
async fn more_requests_than_fit_are_refused_at_once() {
    let (router, sessions) = scripted(WebOptions { max_requests: 1, ..WebOptions::default() });
    let busy = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, sign_in("wait")).await }
    });
    sessions.waiting.notified().await;
    let response = ask(&router, sign_in("anna")).await;
    assert_eq!((response.status().as_u16(), &response.headers()[header::RETRY_AFTER]), (503, &HeaderValue::from(1)));
    busy.abort();
    assert!(busy.await.unwrap_err().is_cancelled());
    assert_eq!(ask(&router, sign_in("anna")).await.status(), 401, "its place is free again");
}

#[tokio::test]
async fn too_many_tries_are_told_when_to_come_back() {
    let (router, _) = scripted(WebOptions::default());
    let response = ask(&router, sign_in("often")).await;
    assert_eq!((response.status().as_u16(), &response.headers()[header::RETRY_AFTER]), (429, &HeaderValue::from(7)));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let (router, _) = scripted(WebOptions::default());
    let large = "x".repeat(256 * 1024 + 1);
    let says_so = Request::post("/api/v1/session")
        .header("content-type", "application/json")
        .header("content-length", large.len())
        .body(Body::from(large.clone()))
        .unwrap();
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(large)]);
    let does_not = Request::post("/api/v1/session")
        .header("content-type", "application/json")
        .body(Body::from_stream(stream))
        .unwrap();
    for request in [says_so, does_not] {
        let response = ask(&router, request).await;
        assert_eq!(response.status(), 413);
        assert_eq!(problem(response).await["code"], "too_large");
    }
}

#[tokio::test]
async fn what_another_site_makes_a_browser_send_is_refused_and_not_done() {
    let (router, _) = scripted(WebOptions::default());
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")] {
        let mut request = sign_in("panic");
        request.headers_mut().insert("host", HeaderValue::from_static("localhost"));
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        let response = ask(&router, request).await;
        assert_eq!(response.status(), 403, "{name}: {value}");
        assert_eq!(problem(response).await["code"], "cross_site");
    }
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let (router, _) = scripted(WebOptions::default());
    for path in ["/healthz", "/api/docs", "/api/v1/accounts", "/no/such/page", "/pkg/none.js"] {
        let response = ask(&router, Request::get(path).body(Body::empty()).unwrap()).await;
        let headers = response.headers();
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin", "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
        assert!(headers.contains_key("permissions-policy"), "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(!headers.contains_key("strict-transport-security"), "{path}: plain HTTP");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe-inline"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("'unsafe-eval'"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn a_page_has_a_nonce_of_its_own_and_may_run_wasm() {
    let (router, _) = scripted(WebOptions::default());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let response = ask(&router, Request::get("/api/docs").body(Body::empty()).unwrap()).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self' 'nonce-") && policy.contains("'wasm-unsafe-eval'"), "{policy}");
        assert!(policy.contains("form-action 'self'") && policy.contains("base-uri 'none'"), "{policy}");
        seen.push(policy);
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn over_tls_browsers_are_told_to_stay_there_and_the_cookie_is_bound_to_the_host() {
    let public_url = Some("https://daybook.example".parse().unwrap());
    let (router, _) = scripted(WebOptions { public_url, ..WebOptions::default() });
    let renew = |cookie: &str| {
        let request = Request::post("/api/v1/session/renew").header("origin", "https://daybook.example");
        request.header("cookie", cookie).body(Body::empty()).unwrap()
    };
    let response = ask(&router, renew("__Host-daybook=900")).await;
    assert!(response.headers()["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-daybook=fresh; Path=/; Max-Age="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    assert_eq!(ask(&router, renew("daybook=900")).await.status(), 401, "the plain cookie is none here");
}

#[tokio::test]
async fn a_browser_that_only_reads_stays_signed_in() {
    let (router, _) = scripted(WebOptions::default());
    let page = |cookie: &str| Request::get("/api/docs").header("cookie", cookie).body(Body::empty()).unwrap();
    let half_over = ask(&router, page("daybook=300")).await;
    assert!(half_over.headers()["set-cookie"].to_str().unwrap().starts_with("daybook=fresh;"));
    let young = ask(&router, page("daybook=890")).await;
    assert!(!young.headers().contains_key("set-cookie"));
    // A page of the query side, which renews nothing, has the browser ask the command side.
    let asked = Request::get("/api/v1/session/renew").header("cookie", "daybook=300").body(Body::empty()).unwrap();
    let renewed = ask(&router, asked).await;
    assert_eq!(renewed.status(), 204);
    assert!(renewed.headers()["set-cookie"].to_str().unwrap().starts_with("daybook=fresh;"));
    let program = Request::get("/api/docs").header("authorization", "Bearer 300").body(Body::empty()).unwrap();
    assert!(!ask(&router, program).await.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn an_authorization_header_counts_alone() {
    let (router, _) = scripted(WebOptions::default());
    let request = Request::post("/api/v1/session/renew")
        .header("host", "localhost")
        .header("origin", "http://localhost")
        .header("cookie", "daybook=900")
        .header("authorization", "Bearer wrong");
    assert_eq!(ask(&router, request.body(Body::empty()).unwrap()).await.status(), 401);
}

#[tokio::test]
async fn only_a_trusted_proxy_says_where_a_client_is() {
    for (trusted, expected) in [(vec![], "0.0.0.0"), (vec!["0.0.0.0".parse().unwrap()], "203.0.113.9")] {
        let (router, _) = scripted(WebOptions { trusted_proxies: trusted, ..WebOptions::default() });
        let mut request = sign_in("where");
        request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
        let problem = problem(ask(&router, request).await).await;
        assert_eq!(problem["detail"], format!("client: {expected}"));
    }
}

/// What each of three gets: nobody, a customer whose things they are not, an admin.
const NOBODY: u16 = 401;

#[tokio::test]
async fn who_may_what_on_every_route() {
    let app = App::spawn().await;
    let (anna, bela) = (app.person("anna@example.com", false).await, app.person("bela@example.com", false).await);
    let admin = app.person("admin@example.com", true).await;
    let account = anna.account("CZK", 1000).await;
    let to = anna.account("CZK", 0).await;
    let sent = anna.command("RequestTransfer", &json!({"from": account, "to": to, "amount": 1})).await;
    let stream = sent.ok()["stream"].as_str().unwrap().to_owned();
    let transfer = stream.trim_start_matches("transfer-");
    anna.get(&format!("/api/v1/accounts?wait_for={}&wait_ms=20000", 8)).await.ok();

    let known: &[(&str, String, [u16; 4])] = &[
        // nobody, Anna, Béla, admin
        ("/api/v1/session/renew", "/api/v1/session/renew".to_owned(), [NOBODY, 204, 204, 204]),
        ("/api/v1/accounts", "/api/v1/accounts".to_owned(), [NOBODY, 200, 200, 200]),
        ("/api/v1/accounts/{id}", format!("/api/v1/accounts/{account}"), [NOBODY, 200, 404, 200]),
        ("/api/v1/accounts/{id}/statement", format!("/api/v1/accounts/{account}/statement"), [NOBODY, 200, 404, 200]),
        ("/api/v1/accounts/{id}/transfers", format!("/api/v1/accounts/{account}/transfers"), [NOBODY, 200, 404, 200]),
        ("/api/v1/transfers/{id}", format!("/api/v1/transfers/{transfer}"), [NOBODY, 200, 404, 200]),
        ("/api/v1/trial-balance", "/api/v1/trial-balance".to_owned(), [NOBODY, 404, 404, 200]),
        ("/api/v1/events", "/api/v1/events".to_owned(), [NOBODY, 404, 404, 200]),
        ("/api/v1/streams/{stream}", format!("/api/v1/streams/account-{account}"), [NOBODY, 200, 404, 200]),
        ("/api/v1/streams/{stream}", format!("/api/v1/streams/{stream}"), [NOBODY, 200, 404, 200]),
        ("/api/v1/users", "/api/v1/users?email=anna@example.com".to_owned(), [NOBODY, 404, 404, 200]),
        ("/api/v1/status", "/api/v1/status".to_owned(), [200, 200, 200, 200]),
    ];
    for (method, route, _) in rest::routes() {
        assert!(method != "get" || known.iter().any(|(known, ..)| *known == route), "{route} is not in the table");
    }
    for (_, path, expected) in known {
        for (who, expected) in [app.nobody(), anna.clone(), bela.clone(), admin.clone()].iter().zip(expected) {
            let answer = who.get(path).await;
            assert_eq!(answer.status.as_u16(), *expected, "{:?} {path}: {}", who.id, answer.text);
        }
    }
    // Béla sees an empty list, not Anna's; and nothing tells what is not there from what is not theirs.
    assert_eq!(bela.get("/api/v1/accounts").await.ok()["items"], json!([]));
    let theirs = bela.get(&format!("/api/v1/accounts/{account}")).await.text;
    assert_eq!(theirs, bela.get(&format!("/api/v1/accounts/{}", Uuid::from_u128(7))).await.text);

    for (who, expected) in [(app.nobody(), NOBODY), (anna.clone(), 404), (admin.clone(), 202)] {
        let answer = who.post("/api/v1/projections/accounts/retry", &json!({})).await;
        assert_eq!(answer.status.as_u16(), expected, "{}", answer.text);
    }

    for path in ["/api/v1/session", "/api/v1/session/renew"] {
        let method = if path.ends_with("renew") { Method::POST } else { Method::DELETE };
        answer(app.nobody().request(method, path)).await.refused(401, "not_signed_in");
    }
    app.stop().await;
}

#[tokio::test]
async fn who_may_see_which_page_and_stream() {
    let app = App::spawn().await;
    let (anna, bela) = (app.person("anna@example.com", false).await, app.person("bela@example.com", false).await);
    let admin = app.person("admin@example.com", true).await;
    let (account, other) = (anna.account("CZK", 1000).await, anna.account("CZK", 0).await);
    let sent = anna.command("RequestTransfer", &json!({"from": account, "to": other, "amount": 1})).await;
    let (event, end) = (sent.ok()["events"][0]["event_id"].clone(), sent.body["position"].as_u64().unwrap() + 5);
    let transfer = sent.body["stream"].as_str().unwrap().trim_start_matches("transfer-").to_owned();
    admin.get(&format!("/api/v1/events?wait_for={end}&wait_ms=20000")).await.ok();
    admin.get(&format!("/api/v1/transfers/{transfer}?wait_for={end}&wait_ms=20000")).await.ok();

    const AWAY: u16 = 303;
    let pages: &[(&str, String, [u16; 4])] = &[
        // nobody, Anna, Béla, admin
        ("/", "/".to_owned(), [AWAY, 200, 200, 200]),
        ("/sign-in", "/sign-in".to_owned(), [200, AWAY, AWAY, AWAY]),
        ("/accounts", "/accounts".to_owned(), [AWAY, 200, 200, 200]),
        ("/accounts/open", "/accounts/open".to_owned(), [AWAY, 200, 200, 200]),
        ("/accounts/{id}", format!("/accounts/{account}"), [AWAY, 200, 404, 200]),
        ("/accounts/{id}/{slip}", format!("/accounts/{account}/deposit"), [AWAY, 200, 404, 200]),
        ("", format!("/accounts/{account}/statement.csv"), [NOBODY, 200, 404, 200]),
        ("/transfers", "/transfers".to_owned(), [AWAY, 200, 200, 200]),
        ("/transfers/{id}", format!("/transfers/{transfer}"), [AWAY, 200, 404, 200]),
        ("/timeline", "/timeline".to_owned(), [AWAY, 200, 200, 200]),
        ("/timeline/{stream}", format!("/timeline/account-{account}"), [AWAY, 200, 404, 200]),
        ("/timeline/event/{id}", format!("/timeline/event/{}", event.as_str().unwrap()), [AWAY, 303, 404, 303]),
        ("/profile", "/profile".to_owned(), [AWAY, 200, 200, 200]),
        ("/trial-balance", "/trial-balance".to_owned(), [AWAY, 404, 404, 200]),
        ("", "/live?q=accounts".to_owned(), [NOBODY, 200, 200, 200]),
        ("", format!("/live?q=account:{account}"), [NOBODY, 200, 404, 200]),
        ("", format!("/live?q=accounts&q=statement:{account}"), [NOBODY, 200, 404, 200]),
        ("", format!("/live?q=transfer:{transfer}"), [NOBODY, 200, 404, 200]),
        ("", format!("/live?q=stream:account-{account}"), [NOBODY, 200, 404, 200]),
        ("", "/live?q=events".to_owned(), [NOBODY, 200, 200, 200]),
        ("", "/live?q=trial-balance".to_owned(), [NOBODY, 404, 404, 200]),
    ];
    for route in app::shell::routes() {
        assert!(pages.iter().any(|(known, ..)| *known == route.path()), "{} is not in the table", route.path());
    }
    let mut wrong = Vec::new();
    for (_, path, expected) in pages {
        for (who, expected) in [app.nobody(), anna.clone(), bela.clone(), admin.clone()].iter().zip(expected) {
            // A stream's status is known before it ends.
            let status = who.request(Method::GET, path).send().await.unwrap().status().as_u16();
            if status != *expected {
                wrong.push(format!("{:?} {path}: {status}, not {expected}", who.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    app.stop().await;
}

#[tokio::test]
async fn no_server_function_takes_what_another_site_sends_or_a_get() {
    let (router, _) = scripted(WebOptions::default());
    let functions: Vec<_> = server_fn::axum::server_fn_paths().collect();
    assert!(functions.len() > 5, "{functions:?}");
    for (path, method) in functions {
        assert!(path.starts_with("/api/fn/") && method == Method::POST, "{method} {path}");
        let foreign = Request::post(path).header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
        assert_eq!(ask(&router, foreign).await.status(), 403, "{path}");
        assert_eq!(ask(&router, Request::get(path).body(Body::empty()).unwrap()).await.status(), 405, "{path}");
    }
    let unknown = Request::post("/api/fn/nope").body(Body::empty()).unwrap();
    assert_eq!(ask(&router, unknown).await.status(), 404);
}

#[tokio::test]
async fn who_may_send_which_command() {
    let app = App::spawn().await;
    let (anna, bela) = (app.person("anna@example.com", false).await, app.person("bela@example.com", false).await);
    let admin = app.person("admin@example.com", true).await;
    let (account, other) = (anna.account("CZK", 1000).await, bela.account("CZK", 1000).await);
    let entry = {
        let deposit = anna.command("DepositMoney", &json!({"account_id": account, "amount": 5})).await;
        deposit.ok()["events"][0]["event_id"].clone()
    };
    let on = |fields: Value| {
        let mut fields = fields;
        fields["account_id"] = json!(account);
        fields
    };
    let commands: &[(&str, Value, [u16; 4])] = &[
        // nobody, Béla, Anna, admin
        ("OpenAccount", json!({"name": "B", "currency": "CZK"}), [NOBODY, 200, 200, 200]),
        ("DepositMoney", on(json!({"amount": 5})), [NOBODY, 404, 200, 200]),
        ("WithdrawMoney", on(json!({"amount": 5})), [NOBODY, 404, 200, 200]),
        ("RequestTransfer", json!({"from": account, "to": other, "amount": 1}), [NOBODY, 404, 200, 200]),
        ("ChangeOverdraftLimit", on(json!({"limit": 5})), [NOBODY, 404, 404, 200]),
        ("ReverseEntry", on(json!({"event_id": entry, "reason": "typo"})), [NOBODY, 404, 404, 200]),
        ("FreezeAccount", on(json!({"reason": "lost card"})), [NOBODY, 404, 200, 422]),
        ("UnfreezeAccount", on(json!({})), [NOBODY, 404, 404, 200]),
        ("CloseAccount", on(json!({})), [NOBODY, 404, 422, 422]),
        ("SkipEvent", json!({"projection": "none", "position": 1, "reason": "test"}), [NOBODY, 404, 404, 200]),
    ];
    let names: Vec<&str> = commands.iter().map(|(name, ..)| *name).collect();
    for name in Command::NAMES {
        assert!(names.contains(name), "{name} is not in the table");
    }
    for (name, fields, expected) in commands {
        for (who, expected) in [app.nobody(), bela.clone(), anna.clone(), admin.clone()].iter().zip(expected) {
            let answer = who.command(name, fields).await;
            assert_eq!(answer.status.as_u16(), *expected, "{:?} {name}: {}", who.id, answer.text);
        }
    }
    fields_of_admins(&anna, &admin).await;
    app.stop().await;
}

/// A customer's account is their own and has no overdraft.
async fn fields_of_admins(anna: &Client, admin: &Client) {
    let account = |field: &str, value: Value| {
        let mut fields = json!({"name": "C", "currency": "CZK"});
        fields[field] = value;
        fields
    };
    let overdraft = anna.command("OpenAccount", &account("overdraft_limit", json!(100))).await;
    assert_eq!(overdraft.refused(400, "invalid_input")["field"], "overdraft_limit");
    let owner = json!(admin.id.unwrap());
    let for_another = anna.command("OpenAccount", &account("owner", owner)).await;
    assert_eq!(for_another.refused(400, "invalid_input")["field"], "owner");
    admin.command("OpenAccount", &account("owner", json!(anna.id.unwrap()))).await.ok();
}
