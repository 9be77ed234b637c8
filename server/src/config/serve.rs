//! What `daybook serve` is told.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use app::wire::Hash;
use clap::{Args, ValueEnum, builder::BoolishValueParser};

use crate::{
    bus::kafka::KafkaSettings,
    db_url::DbUrl,
    web::network::{Network, PublicUrl},
};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Takes commands and answers queries
    #[cfg(all(feature = "command", feature = "query"))]
    All,
    /// Takes commands, signs people in, carries transfers to their end, publishes the log
    #[cfg(feature = "command")]
    Command,
    /// Answers queries, serves pages and live streams
    #[cfg(feature = "query")]
    Query,
}

impl RoleName {
    /// What a process does if it is not told: all that this build can.
    const DEFAULT: &str = match (cfg!(feature = "command"), cfg!(feature = "query")) {
        (true, true) => "all",
        (true, false) => "command",
        (false, _) => "query",
    };

    /// As it is given.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(all(feature = "command", feature = "query"))]
            Self::All => "all",
            #[cfg(feature = "command")]
            Self::Command => "command",
            #[cfg(feature = "query")]
            Self::Query => "query",
        }
    }
}

/// Where the sides meet.
#[derive(Debug, Clone)]
pub enum BusUrl {
    InProcess,
    Kafka(KafkaSettings),
}

impl std::str::FromStr for BusUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "in-process" {
            return Ok(Self::InProcess);
        }
        let settings = text.parse().map_err(|error| format!("{error}; or it is in-process"))?;
        Ok(Self::Kafka(settings))
    }
}

#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// What this process does; split roles meet on --bus and nowhere else
    #[arg(long, env = "DAYBOOK_ROLE", default_value = RoleName::DEFAULT, value_name = "ROLE")]
    pub role: RoleName,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
    /// The same as its owner: its tables are made or brought up to date first. Without it, their version is only checked
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_WRITE_DB_ADMIN", hide_env_values = true, value_name = "URL")]
    pub write_db_admin: Option<DbUrl>,
    /// The read database of this process alone, sqlite:PATH or postgres://…; the data folder's if absent
    #[cfg(feature = "query")]
    #[arg(long, env = "DAYBOOK_READ_DB", hide_env_values = true, value_name = "URL")]
    pub read_db: Option<DbUrl>,
    /// Where the sides meet: in-process, or kafka://HOST:PORT,…/TOPIC-PREFIX
    #[arg(long, env = "DAYBOOK_BUS", default_value = "in-process", value_name = "BUS")]
    pub bus: BusUrl,
    /// A setting of librdkafka, KEY=VALUE; the value may be file:PATH or env:NAME. May be given more than once
    #[arg(long, env = "DAYBOOK_KAFKA_CONFIG", hide_env_values = true, value_delimiter = ';', value_name = "KEY=VALUE")]
    pub kafka_config: Vec<String>,
    /// Partitions of the topic of events, where it has to be made; 4 if absent
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_KAFKA_PARTITIONS", value_name = "PARTITIONS",
        value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub kafka_partitions: Option<i32>,
    /// Copies of each topic that has to be made; three, or as many as there are brokers, if absent
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_KAFKA_REPLICATION", value_name = "COPIES",
        value_parser = clap::value_parser!(i32).range(1..=100))]
    pub kafka_replication: Option<i32>,
    /// The key that signs sessions, the same for all command nodes; made if absent, in the data folder by default
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,
    /// Public keys whose sessions count: a query node's only ones; a command node has its own anyway, and these while one
    /// key takes over from another. `daybook token public-key` prints one
    #[arg(long, env = "DAYBOOK_SESSION_PUBLIC_KEYS", value_delimiter = ',', value_name = "KEY")]
    pub session_public_keys: Vec<Hash>,
    /// Address and port to listen on
    #[arg(long, env = "DAYBOOK_LISTEN", default_value = "127.0.0.1:3000", value_parser = address, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Origin under which browsers find it, such as https://daybook.example; needed behind a proxy
    #[arg(long, env = "DAYBOOK_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// Proxies, by address or network, that say truly where a client comes from (`X-Forwarded-For`)
    #[arg(long, env = "DAYBOOK_TRUSTED_PROXY", value_delimiter = ',', value_name = "NETWORK")]
    pub trusted_proxy: Vec<Network>,
    /// Certificate chain, PEM: serves TLS, with HTTP/2
    #[arg(long, env = "DAYBOOK_TLS_CERT", requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, env = "DAYBOOK_TLS_KEY", requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Listen on plain HTTP where others than this machine can reach it
    #[arg(long, env = "DAYBOOK_ALLOW_INSECURE_HTTP", value_parser = BoolishValueParser::new())]
    pub allow_insecure_http: bool,
    /// Fill an empty data folder with demo data first, and print who can sign in
    #[cfg(all(feature = "command", feature = "query"))]
    #[arg(long, env = "DAYBOOK_DEMO", value_parser = BoolishValueParser::new())]
    pub demo: bool,
    /// Commands that wait for a commit at most, 8192 if absent; more are refused at once
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_QUEUE", value_name = "COMMANDS",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub queue: Option<usize>,
    /// Requests at work at the same time at most; more are refused at once
    #[arg(long, env = "DAYBOOK_MAX_REQUESTS", default_value = "4096", value_name = "REQUESTS",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub max_requests: usize,
    /// Connections at a time at most; more are closed at once
    #[arg(long, env = "DAYBOOK_MAX_CONNECTIONS", default_value = "8192", value_name = "CONNECTIONS",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub max_connections: usize,
    /// Requests a second of one client (by address; an IPv6 network of 64 bits is one), and in a burst five times as
    /// many; more are answered 429. 0: no limit. The browser's files and clients on this machine are not counted
    #[arg(long, env = "DAYBOOK_RATE_LIMIT", default_value = "200", value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit: u32,
    /// Address and port on which Prometheus finds /metrics, plain and open to whoever reaches it; none if absent
    #[arg(long, env = "DAYBOOK_METRICS_LISTEN", value_parser = address, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Where traces go, as OTLP over HTTP (JSON), such as http://127.0.0.1:4318; nowhere if absent
    #[arg(long, env = "DAYBOOK_OTLP_ENDPOINT", hide_env_values = true, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Seconds after which a request is given up
    #[arg(long, env = "DAYBOOK_REQUEST_TIMEOUT", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub request_timeout: Duration,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address and a port are expected, like 127.0.0.1:3000 or [::1]:3000".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 35..=3600) => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err("a whole number from 35 to 3600 is expected: a query may wait for 30".to_owned()),
    }
}
