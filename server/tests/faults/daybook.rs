//! The real `daybook` binary as a child process, on a free port, with a data folder of its own.

use std::{
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

pub const PASSWORD: &str = "correct horse battery";

/// A ledger on disk: survives the processes that serve it.
pub struct Ledger {
    pub data: TempDir,
    port: u16,
}

impl Ledger {
    /// An empty ledger with one admin, `admin@example.org`.
    pub fn new() -> Self {
        // Whichever test comes first installs it; the HTTP client wants one even for plain HTTP.
        rustls::crypto::ring::default_provider().install_default().ok();
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
        let ledger = Self { data: tempfile::tempdir().expect("a temporary folder"), port };
        let added = ledger.run_with_input(
            &["user", "add", "--email", "admin@example.org", "--name", "Admin", "--admin", "--password-stdin"],
            PASSWORD,
        );
        assert!(added.status.success(), "user add: {}", String::from_utf8_lossy(&added.stderr));
        ledger
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
        command.args(arguments).env("DAYBOOK_DATA_DIR", self.data.path());
        command
    }

    /// Runs a subcommand to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("daybook runs")
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("daybook runs");
        writeln!(child.stdin.take().expect("piped"), "{input}").expect("written");
        child.wait_with_output().expect("daybook ends")
    }

    /// Starts `daybook serve` and waits until it is ready.
    pub async fn serve(&self) -> Server {
        let log = std::fs::File::options().create(true).append(true).open(self.data.path().join("serve.log"));
        let child = self
            .command(&["serve", "--listen", &format!("127.0.0.1:{}", self.port)])
            .stdout(Stdio::null())
            .stderr(log.expect("a log file"))
            .spawn()
            .expect("daybook starts");
        let mut server = Server { child };
        let deadline = Instant::now() + Duration::from_mins(1);
        let ready = self.url("/readyz");
        loop {
            if let Ok(answer) = reqwest::get(&ready).await
                && answer.status().is_success()
            {
                return server;
            }
            let log = || std::fs::read_to_string(self.data.path().join("serve.log")).unwrap_or_default();
            assert!(server.child.try_wait().expect("a child").is_none(), "daybook ended at start:\n{}", log());
            assert!(Instant::now() < deadline, "daybook is not ready after a minute:\n{}", log());
            tokio::task::yield_now().await;
        }
    }

    /// A bearer token of the admin.
    pub async fn token(&self, http: &reqwest::Client) -> String {
        let answer = http
            .post(self.url("/api/v1/session"))
            .json(&json!({"email": "admin@example.org", "password": PASSWORD}))
            .send()
            .await
            .expect("an answer");
        let body: Value = answer.json().await.expect("JSON");
        body["token"].as_str().unwrap_or_else(|| panic!("no token in {body}")).to_owned()
    }

    pub fn read_database(&self) -> std::path::PathBuf {
        self.data.path().join("read.sqlite")
    }

    /// Deletes the read database with its side files.
    pub fn drop_read_database(&self) {
        for entry in std::fs::read_dir(self.data.path()).expect("the data folder") {
            let path = entry.expect("an entry").path();
            if is_part_of(&path, &self.read_database()) {
                std::fs::remove_file(path).expect("removed");
            }
        }
    }
}

fn is_part_of(path: &Path, database: &Path) -> bool {
    path.to_string_lossy().starts_with(&*database.to_string_lossy())
}

/// A running `daybook serve`.
pub struct Server {
    child: Child,
}

impl Server {
    /// `kill -9`, and gone.
    pub fn kill_nine(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// SIGTERM; returns how long it took to end.
    pub fn terminate(mut self) -> Duration {
        let started = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let status = self.child.wait().expect("gone");
        assert!(status.success(), "ended with {status}");
        started.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone in the ordinary case; a failed test must not leave it behind.
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}
