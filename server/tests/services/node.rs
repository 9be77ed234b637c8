//! `daybook serve` as a child process, which may be ended in every way and started again.

use std::{
    fs::File,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery";
/// Longer than anything here takes, on a machine that has other work too.
pub const LONG: Duration = Duration::from_mins(4);

/// A node that is killed while it is asked may leave the client waiting for ever.
const ANSWER: Duration = Duration::from_secs(10);

pub fn daybook() -> Command {
    Command::new(env!("CARGO_BIN_EXE_daybook"))
}

/// What a command says that has to succeed.
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command with this on its standard input.
pub fn told(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{input}").unwrap();
    child.wait_with_output().unwrap()
}

/// Adds an admin, `ann@example.org`; `command` says where.
pub fn add_admin(command: &mut Command) {
    let add = ["user", "add", "--email", "ann@example.org", "--name", "Ann", "--admin", "--password-stdin"];
    let added = told(command.args(add), PASSWORD);
    assert!(added.status.success(), "user add: {}", String::from_utf8_lossy(&added.stderr));
}

/// A token of that admin, by the node at `url`.
pub async fn sign_in(http: &Client, url: &str) -> String {
    let credentials = json!({ "email": "ann@example.org", "password": PASSWORD });
    let since = Instant::now();
    loop {
        let answer = http.post(format!("{url}/api/v1/session")).json(&credentials).send().await;
        if let Ok(answer) = answer
            && let Ok(body) = answer.json::<Value>().await
            && let Some(token) = body["token"].as_str()
        {
            return token.to_owned();
        }
        assert!(since.elapsed() < LONG, "nobody can sign in at {url}");
        tokio::task::yield_now().await;
    }
}

/// A node that may be ended and started again, at the same address.
pub struct Node {
    arguments: Vec<String>,
    port: u16,
    /// Where it logs, as JSON; to the test's own output if absent.
    log: Option<PathBuf>,
    process: Child,
}

impl Node {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, None)
    }

    pub fn start_logged(arguments: &[&str], log: &Path) -> Self {
        Self::start_with(arguments, Some(log.to_owned()))
    }

    fn start_with(arguments: &[&str], log: Option<PathBuf>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = Self::spawn(&arguments, port, log.as_deref());
        Self { arguments, port, log, process }
    }

    fn spawn(arguments: &[String], port: u16, log: Option<&Path>) -> Child {
        let mut command = daybook();
        command.arg("serve").args(["--listen", &format!("127.0.0.1:{port}")]).args(arguments).stdin(Stdio::null());
        if let Some(log) = log {
            let file = File::options().create(true).append(true).open(log).unwrap();
            command.args(["--log-format", "json"]).stderr(file);
        }
        command.spawn().unwrap()
    }

    pub fn start_again(&mut self) {
        self.process = Self::spawn(&self.arguments, self.port, self.log.as_deref());
    }

    pub fn kill_nine(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM, and waits for its end, which is in order; says how long that took.
    pub fn terminate(&mut self) -> Duration {
        let since = Instant::now();
        self.signal("TERM");
        self.terminated();
        since.elapsed()
    }

    /// Waits for its end, which is in order.
    pub fn terminated(&mut self) {
        let status = self.process.wait().unwrap();
        assert!(status.success(), "ended with {status}: {}", self.logged());
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    /// What it has logged, in all its lives.
    pub fn logged(&self) -> String {
        self.log.as_ref().map(|log| std::fs::read_to_string(log).unwrap_or_default()).unwrap_or_default()
    }

    pub async fn is_ready(&self, http: &Client) -> bool {
        let asked = http.get(self.url("/readyz")).timeout(ANSWER).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    pub async fn ready(&mut self, http: &Client) {
        let since = Instant::now();
        while !self.is_ready(http).await {
            let running = self.is_running();
            assert!(since.elapsed() < LONG && running, "a node does not start: {}", self.logged());
            tokio::task::yield_now().await;
        }
    }

    pub async fn get(&self, http: &Client, token: &str, path: &str) -> Response {
        http.get(self.url(path)).bearer_auth(token).send().await.unwrap()
    }

    /// Sends it until it is answered: a node may be away for a moment. The id is the same each time.
    pub async fn send(&self, http: &Client, token: &str, name: &str, fields: Value) -> Value {
        let (id, since) = (Uuid::now_v7().to_string(), Instant::now());
        loop {
            let command = http.post(self.url(&format!("/api/v1/commands/{name}"))).bearer_auth(token);
            if let Ok(answer) = command.header("idempotency-key", &id).json(&fields).timeout(LONG).send().await
                && answer.status() != StatusCode::SERVICE_UNAVAILABLE
            {
                assert_eq!(answer.status(), StatusCode::OK, "{name}: {}", answer.text().await.unwrap());
                return answer.json().await.unwrap();
            }
            assert!(since.elapsed() < LONG, "{name} is not answered");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already gone in the ordinary case; a failed test must not leave it behind.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
