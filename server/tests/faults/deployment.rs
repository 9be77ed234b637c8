//! A ledger apart, as real processes: two command nodes on PostgreSQL, each behind a proxy that can be cut, three brokers,
//! and two query nodes, one with a read database in SQLite, one in PostgreSQL.

use std::{path::PathBuf, process::Command, time::Instant};

use reqwest::Client;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow};
use tempfile::TempDir;
use uuid::Uuid;

use super::{bank::Doors, proxy::Proxy};
use crate::services::{
    kafka::Cluster,
    node::{LONG, Node, PASSWORD, add_admin, daybook, said, told},
    postgres::{self, with_database, with_user},
};

/// Three brokers, so that one can be lost.
pub const BROKERS: usize = 3;
/// What a node says when it takes over, and when it finds that another has.
pub const RELAY: [&str; 3] = ["relay", "this node is the relay", "the relay's lease was taken over"];
pub const TRANSFERS: [&str; 3] =
    ["process_manager", "this node carries the transfers", "another process carries the transfers on"];

pub struct Deployment {
    pub commands: Vec<Node>,
    pub queries: Vec<Node>,
    pub proxies: Vec<Proxy>,
    /// The read databases of the query nodes.
    pub reads: [String; 2],
    pub cluster: Cluster,
    pub postgres: postgres::Server,
    /// The log, as its owner, past all proxies.
    pub log: String,
    pub http: Client,
    pub folder: TempDir,
    prefix: String,
    public: String,
}

impl Deployment {
    pub async fn start() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (server, cluster) = std::thread::scope(|scope| {
            let brokers = scope.spawn(|| Cluster::own(BROKERS));
            (postgres::Server::start(), brokers.join().unwrap())
        });
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["log", "views"] {
            postgres::run(&server.url, format!("CREATE DATABASE {name}")).await.unwrap();
        }
        postgres::run(&server.url, "CREATE ROLE node LOGIN".to_owned()).await.unwrap();
        let log = with_database(&server.url, "log");
        let user = with_user(&log, "node");
        said(daybook().args(["migrate", "--write-db-admin", &log, "--write-db", &user, "--data-dir", &path("tools")]));
        let key = path("session.key");
        let public = ["token", "public-key", "--session-key-file", &key, "--data-dir", &path("tools")];
        let public = said(daybook().args(public)).trim().to_owned();
        add_admin(daybook().args(["--data-dir", &path("tools")]).env("DAYBOOK_WRITE_DB", &user));
        let address = server.url.split(['@', '/']).nth(3).unwrap();
        let prefix = "faults".to_owned();
        let bus = format!("kafka://{}/{prefix}", cluster.brokers);
        let (mut proxies, mut commands) = (Vec::new(), Vec::new());
        for number in 0..2 {
            let proxy = Proxy::to(address.parse().unwrap()).await;
            let through = user.replace(address, &format!("127.0.0.1:{}", proxy.port));
            let name = path(&format!("command-{number}"));
            let arguments = ["--role", "command", "--data-dir", &name, "--bus", &bus, "--session-key-file", &key];
            let arguments = [&arguments[..], &["--write-db", &through]].concat();
            commands.push(Node::start_logged(&arguments, &folder.path().join(format!("command-{number}.log"))));
            proxies.push(proxy);
        }
        let reads = [format!("sqlite:{}/read.sqlite", path("query-0")), with_database(&server.url, "views")];
        let mut deployment = Self {
            commands,
            queries: Vec::new(),
            proxies,
            reads: reads.clone(),
            cluster,
            postgres: server,
            log,
            http: Client::new(),
            folder,
            prefix,
            public,
        };
        for (number, read) in reads.iter().enumerate() {
            let node = deployment.query_node(&format!("query-{number}"), read);
            deployment.queries.push(node);
        }
        deployment.ready().await;
        deployment
    }

    /// A query node with its data in the folder `name`.
    pub fn query_node(&self, name: &str, read: &str) -> Node {
        let data = self.folder.path().join(name);
        let bus = format!("kafka://{}/{}", self.cluster.brokers, self.prefix);
        let arguments = ["--role", "query", "--data-dir", &data.display().to_string(), "--bus", &bus];
        let more = ["--read-db", read, "--session-public-keys", &self.public];
        let arguments = [&arguments[..], &more].concat();
        Node::start_logged(&arguments, &self.folder.path().join(format!("{name}.log")))
    }

    /// Waits until all nodes are.
    pub async fn ready(&mut self) {
        for node in self.commands.iter_mut().chain(&mut self.queries) {
            node.ready(&self.http).await;
        }
    }

    pub fn doors(&self) -> Doors {
        let bases = |nodes: &[Node]| nodes.iter().map(Node::base).collect();
        Doors { commands: bases(&self.commands), queries: bases(&self.queries) }
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Asks the log's own database.
    pub async fn ask(&self, sql: &str) -> Vec<PgRow> {
        let mut connection = PgConnection::connect(&self.log).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// Where the log ends.
    pub async fn head(&self) -> u64 {
        self.ask("SELECT position FROM log_head").await[0].get::<i64, _>(0).cast_unsigned()
    }

    /// The position of this command's event, if it is stored behind `after`.
    pub async fn stored(&self, command: Uuid, after: u64) -> Option<u64> {
        let sql = format!(
            "SELECT position FROM events WHERE position > {after} AND convert_from(metadata, 'UTF8') LIKE '%{command}%'"
        );
        self.ask(&sql).await.first().map(|row| row.get::<i64, _>(0).cast_unsigned())
    }

    /// Which command node holds this lease now, and under which fence: known by the log that it writes.
    pub async fn holder(&self, [name, takes, _]: [&str; 3]) -> (usize, i64) {
        let since = Instant::now();
        loop {
            let sql = format!("SELECT fence FROM leases WHERE name = '{name}' AND expires_at > clock_timestamp()");
            let fence = self.ask(&sql).await.first().map(|row| row.get::<i64, _>(0));
            let by = |node: &Node| node.logged().lines().any(|line| takes_over(line, takes) == fence);
            if let Some(fence) = fence
                && let Some(holder) = self.commands.iter().position(by)
            {
                return (holder, fence);
            }
            assert!(since.elapsed() < LONG, "nobody holds the lease of {name}");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the views of this node show what is in the log.
    pub async fn catches_up(&self, node: &Node) -> u64 {
        let since = Instant::now();
        loop {
            let head = self.head().await;
            let answer = self.http.get(node.url("/api/v1/status")).send().await.ok();
            let status: Value = match answer {
                Some(answer) => answer.json().await.unwrap_or_default(),
                None => Value::Null,
            };
            let shows = |one: &Value| one["checkpoint"].as_u64() == Some(head);
            let all = status["projections"].as_array().is_some_and(|all| all.iter().all(shows));
            if all && status["catching_up"] == false {
                return head;
            }
            assert!(since.elapsed() < LONG, "a query node does not come to {head}: {status}");
            tokio::task::yield_now().await;
        }
    }

    /// The views of a node that is stopped, in canonical text.
    pub fn dump(&self, read: &str) -> String {
        let tools = self.folder.path().join("tools");
        said(daybook().args(["dump", "--read-db", read, "--data-dir"]).arg(tools))
    }

    /// Someone who may sign in from now on.
    pub fn add(&self, email: &str) {
        let add = ["user", "add", "--email", email, "--name", "Test", "--password-stdin"];
        let added = told(self.tool().args(add), PASSWORD);
        assert!(added.status.success(), "user add: {}", String::from_utf8_lossy(&added.stderr));
    }

    pub fn forget(&self, email: &str) {
        said(self.tool().args(["user", "forget", "--email", email]));
    }

    /// A command on the log.
    fn tool(&self) -> Command {
        let mut command = daybook();
        command.env("DAYBOOK_WRITE_DB", &self.log).env("DAYBOOK_DATA_DIR", self.path("tools"));
        command
    }

    /// The whole chain.
    pub fn verify(&self) {
        said(self.tool().arg("verify"));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The last lines that each node logged: for whoever looks into a failure.
    fn last_words(&self) -> String {
        let tail = |log: PathBuf| {
            let said = Command::new("tail").arg("-n25").arg(&log).output().unwrap();
            format!("{}:\n{}\n", log.display(), String::from_utf8_lossy(&said.stdout))
        };
        ["command-0.log", "command-1.log", "query-0.log", "query-1.log"].map(|name| tail(self.path(name))).concat()
    }
}

impl Drop for Deployment {
    /// Whatever went wrong, the nodes may know why.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
    }
}

/// The fence under which a line of a log says that the lease was taken.
fn takes_over(line: &str, words: &str) -> Option<i64> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == words).then(|| line["fence"].as_i64())?
}
