//! The servers that are measured on: given by the environment, databases and topics of our own on them.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use server::bus::kafka::KafkaSettings;
use sqlx::{Connection as _, PgConnection};

pub struct Servers {
    postgres: String,
    kafka: String,
    peers: String,
}

impl Servers {
    pub fn from_environment() -> Self {
        let said = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make bench-split`"));
        Self {
            postgres: said("DAYBOOK_TEST_POSTGRES"),
            kafka: said("DAYBOOK_TEST_KAFKA"),
            peers: said("DAYBOOK_BENCH_PEERS"),
        }
    }

    /// An empty database; its URL.
    pub async fn database(&self, purpose: &str) -> String {
        let name = format!("bench_{purpose}_{}", std::process::id());
        let mut server = PgConnection::connect(&self.postgres).await.unwrap();
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut server).await;
        made.unwrap();
        server.close().await.unwrap();
        let (server, _) = self.postgres.rsplit_once('/').unwrap();
        format!("{server}/{name}?sslmode=disable")
    }

    /// Topics with a prefix of their own.
    pub fn topics(&self, purpose: &str) -> KafkaSettings {
        let mut settings: KafkaSettings =
            format!("kafka://{}/bench-{purpose}-{}", self.kafka, std::process::id()).parse().unwrap();
        settings.partitions = 4;
        settings
    }

    pub async fn peers(&self) -> Peers {
        let databases = [self.database("postgres_es").await, self.database("mire").await];
        let mut process =
            Command::new(&self.peers).args(databases).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (ask, answer) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut peers = Peers { process, ask, answer };
        assert_eq!(peers.line(), "ready");
        peers
    }
}

/// A whole split deployment behind its proxy, as `.build/split.sh` starts it.
pub struct Split {
    pub proxy: SocketAddr,
    pub query_nodes: Vec<SocketAddr>,
    pub email: String,
    pub password: String,
}

impl Split {
    /// `PROXY QUERY-NODE QUERY-NODE E-MAIL PASSWORD` in `DAYBOOK_BENCH_SPLIT`.
    pub fn from_environment() -> Self {
        let said = env::var("DAYBOOK_BENCH_SPLIT").expect("DAYBOOK_BENCH_SPLIT is not set: run `make bench-split`");
        let words: Vec<&str> = said.split_whitespace().collect();
        let [proxy, one, other, email, password] = words.as_slice() else { panic!("DAYBOOK_BENCH_SPLIT: {said}") };
        Self {
            proxy: proxy.parse().unwrap(),
            query_nodes: vec![one.parse().unwrap(), other.parse().unwrap()],
            email: (*email).to_owned(),
            password: (*password).to_owned(),
        }
    }
}

/// The other event stores, in a process of their own.
pub struct Peers {
    process: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Peers {
    /// Events a second.
    pub fn round(&mut self, what: &str, clients: usize, time: Duration) -> f64 {
        writeln!(self.ask, "{what} {clients} {}", time.as_millis()).unwrap();
        let line = self.line();
        let (events, seconds) = line.split_once(' ').unwrap();
        events.parse::<f64>().unwrap() / seconds.parse::<f64>().unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answer.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
