//! A real PostgreSQL for tests: one server for the process, a database for each test.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use server::write::store::{Head, PostgresStore};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;

/// Where the server is that DAYBOOK_TEST_POSTGRES names, or one that is started now and ends with this process.
pub async fn server() -> &'static str {
    static SERVER: OnceCell<String> = OnceCell::const_new();
    SERVER.get_or_init(|| async { tokio::task::spawn_blocking(|| start(&mut script()).0).await.unwrap() }).await
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.build/postgres.sh"))
}

/// Its URL, and its folder if it was started now.
fn start(script: &mut Command) -> (String, Option<String>) {
    let started = script
        .args(["start", "--for", &std::process::id().to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{script:?}: {error}"));
    let said = String::from_utf8(started.stdout).unwrap();
    let value = |name: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")))?;
        // As a shell reads it.
        Some(found.trim_matches('\'').replace('\\', ""))
    };
    let url = value("DAYBOOK_TEST_POSTGRES").unwrap_or_else(|| {
        panic!("no PostgreSQL to test against: `eval \"$(.build/postgres.sh start)\"` starts one, or says why not")
    });
    (url, value("DAYBOOK_TEST_POSTGRES_FOLDER"))
}

/// A server that a test may end.
pub struct Server {
    pub url: String,
    folder: String,
}

impl Server {
    pub fn start() -> Self {
        let (url, folder) = start(script().env_remove("DAYBOOK_TEST_POSTGRES"));
        Self { url, folder: folder.unwrap() }
    }

    /// kill (as kill -9), stop (at once) or up; freeze (it answers nothing) or thaw.
    pub fn now(&self, action: &str) {
        assert!(script().args(["server", &self.folder, action]).status().unwrap().success(), "{action}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script().env("DAYBOOK_TEST_POSTGRES_FOLDER", &self.folder).arg("stop").status().ok();
    }
}

/// `url`, but of another database or another user.
pub fn with_database(url: &str, database: &str) -> String {
    let (server, old) = url.rsplit_once('/').unwrap();
    let options = old.split_once('?').map_or(String::new(), |(_, options)| format!("?{options}"));
    format!("{server}/{database}{options}")
}

pub fn with_user(url: &str, user: &str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    format!("postgres://{user}@{rest}")
}

/// A name that no other test has, in no other process either.
pub fn unique(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{what}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub async fn run(url: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await
}

/// A database of its own, with nothing in it.
pub async fn empty_database() -> String {
    let name = unique("daybook");
    run(server().await, format!("CREATE DATABASE {name}")).await.unwrap();
    with_database(server().await, &name)
}

/// A log in a database of its own.
pub struct TempPostgres {
    pub url: String,
}

impl TempPostgres {
    pub async fn new() -> Self {
        let url = empty_database().await;
        PostgresStore::migrate(&url, None).await.unwrap();
        Self { url }
    }

    pub async fn open(&self) -> Arc<PostgresStore> {
        Arc::new(PostgresStore::open(&self.url).await.unwrap())
    }

    pub async fn raw(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// As if a copy that had come to `head` had taken over: what is behind it is lost.
    pub async fn fail_over_to(&self, head: Head) {
        let Head { position, hash, recorded_at } = head;
        let lost = format!(
            "ALTER TABLE events DISABLE TRIGGER USER; ALTER TABLE log_head DISABLE TRIGGER USER;
             DELETE FROM events WHERE position > {position};
             UPDATE log_head SET position = {position}, hash = decode('{hash}', 'hex'), recorded_at = {recorded_at};
             UPDATE checkpoints SET position = least(position, {position});
             ALTER TABLE events ENABLE TRIGGER USER; ALTER TABLE log_head ENABLE TRIGGER USER"
        );
        self.raw().await.execute(AssertSqlSafe(lost)).await.unwrap();
    }
}
