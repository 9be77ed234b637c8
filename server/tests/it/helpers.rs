//! The real server on a free port with a data folder of its own, and people who talk to it over HTTP.

use std::{net::TcpListener, time::Duration};

use app::{domain::UserId, ports::Role};
use clap::Parser as _;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use server::{
    cli::{node::people_pool, serve},
    config::{Cli, Command, DataDir, ServeArgs},
    write::{
        identity::{NewPerson, Passwords, People},
        store::SqliteStore,
    },
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PASSWORD: &str = "correct horse battery";

/// What a test waits for at most.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct App {
    pub url: String,
    pub data: DataDir,
    pub http: reqwest::Client,
    pub stopping: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
    _folder: TempDir,
}

/// `daybook serve` with these flags.
pub fn serve_args(flags: &[&str]) -> ServeArgs {
    let line = ["daybook", "serve"].iter().chain(flags);
    match Cli::try_parse_from(line).expect("a command line").command {
        Command::Serve(args) => *args,
        other => panic!("{other:?} does not serve"),
    }
}

impl App {
    /// With the defaults.
    pub async fn spawn() -> Self {
        Self::spawn_with(&[]).await
    }

    /// With these flags; it listens on a free port whatever they say.
    pub async fn spawn_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(&folder.path().join("data")).expect("a data folder");
        Self::serve_in(data, folder, flags).await
    }

    /// What is in `data`; `folder` lasts as long as the server.
    pub async fn serve_in(data: DataDir, folder: TempDir, flags: &[&str]) -> Self {
        // Whoever is second finds it installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let args = serve_args(flags);
        let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}", listener.local_addr().expect("an address").port());
        let stopping = CancellationToken::new();
        let served = tokio::spawn({
            let (data, stopping) = (data.clone(), stopping.clone());
            async move { serve::serve(&data, &args, listener, stopping).await }
        });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let app = Self { url, data, http, stopping, served, _folder: folder };
        // The socket listens already: this waits until someone answers, and then until the views are there.
        let since = std::time::Instant::now();
        while scheme == "http" && app.nobody().get("/readyz").await.status != StatusCode::OK {
            assert!(since.elapsed() < PATIENCE, "the views do not catch up");
        }
        app
    }

    /// Adds someone and signs them in.
    pub async fn person(&self, email: &str, admin: bool) -> Client {
        let id = self.add_person(email, admin).await;
        let body = json!({"email": email, "password": PASSWORD});
        let answer = self.nobody().post("/api/v1/session", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        let token = answer.body["token"].as_str().expect("a token").to_owned();
        Client { http: self.http.clone(), url: self.url.clone(), token: Some(token), id: Some(id) }
    }

    /// Adds someone as `daybook user add` does, beside the running server.
    pub async fn add_person(&self, email: &str, admin: bool) -> UserId {
        SqliteStore::open(&self.data.write_db()).await.expect("a store").close().await.expect("closed");
        let pool = people_pool(&self.data).await.expect("a pool");
        let password = Passwords::new().expect("randomness").hash(PASSWORD).await.expect("a hash");
        let roles = if admin { vec![Role::Customer, Role::Admin] } else { vec![Role::Customer] };
        let name = email.split('@').next().unwrap_or(email).to_owned();
        let new = NewPerson { email: email.to_owned(), name, roles, password };
        let id = People::new(pool.clone()).add(new, 0).await.expect("added");
        pool.close().await;
        id
    }

    /// Someone who is not signed in.
    pub fn nobody(&self) -> Client {
        Client { http: self.http.clone(), url: self.url.clone(), token: None, id: None }
    }

    /// Stops as on SIGTERM.
    pub async fn stop(self) {
        self.stopping.cancel();
        tokio::time::timeout(PATIENCE, self.served).await.expect("an end").expect("no panic").expect("a clean end");
    }
}

/// One person's way to the API.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub token: Option<String>,
    pub id: Option<UserId>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `Null` if it is not JSON.
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The refusal's code, after its status was checked.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Value {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        &self.body
    }

    #[track_caller]
    pub fn ok(&self) -> &Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        &self.body
    }
}

impl Client {
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn command(&self, name: &str, fields: &Value) -> Answer {
        self.post(&format!("/api/v1/commands/{name}"), fields).await
    }

    /// Opens an account and returns its id, once it can be seen.
    pub async fn account(&self, currency: &str, deposit: i64) -> String {
        let opened = self.command("OpenAccount", &json!({"name": "Everyday", "currency": currency})).await;
        let id = opened.ok()["stream"].as_str().expect("a stream").trim_start_matches("account-").to_owned();
        let mut position = opened.body["position"].clone();
        if deposit > 0 {
            let deposited = self.command("DepositMoney", &json!({"account_id": id, "amount": deposit})).await;
            position = deposited.ok()["position"].clone();
        }
        self.get(&format!("/api/v1/accounts/{id}?wait_for={position}&wait_ms=20000")).await.ok();
        id
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.timeout(PATIENCE).send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a text");
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}
