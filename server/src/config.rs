//! The command line: every value as a flag and as `DAYBOOK_…`, each with a safe default.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use app::wire::Hash;
use clap::{Args, Parser, Subcommand, ValueEnum, builder::BoolishValueParser};

#[cfg(feature = "command")]
use crate::cli::{
    backup::{BackupArgs, RestoreArgs},
    copy::{CopyArgs, MigrateArgs},
    export::ExportArgs,
};
pub use crate::data_dir::DataDir;
use crate::{
    bus::kafka::KafkaSettings,
    cli::health::HealthArgs,
    db_url::DbUrl,
    web::network::{Network, PublicUrl},
};

/// A money ledger whose truth is the log of what happened.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Folder with the log, the views and the signing key; made if absent, readable by its owner only
    #[arg(long, global = true, env = "DAYBOOK_DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// How log lines on stderr look
    #[arg(long, global = true, env = "DAYBOOK_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: a level, or levels by module as in `info,server::web=debug`
    #[arg(long, global = true, env = "DAYBOOK_LOG", default_value = "info,sqlx=warn", value_name = "FILTER")]
    pub log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    /// Ask a server whether it can serve; fails if not
    Health(HealthArgs),
    /// Walk the whole log and check every hash; also against an anchor
    #[cfg(feature = "command")]
    Verify(VerifyArgs),
    /// Print a signed anchor: where the log stands, to be kept elsewhere
    #[cfg(feature = "command")]
    Anchor(AnchorArgs),
    /// Move a ledger to another database, hashes and all, or go on where that was interrupted
    #[cfg(feature = "command")]
    Copy(CopyArgs),
    /// Write the ledger of this moment with its signing key into a folder, beside a running server too
    #[cfg(feature = "command")]
    Backup(BackupArgs),
    /// Put a backup into an empty place and verify it; interrupted, it can be run again
    #[cfg(feature = "command")]
    Restore(RestoreArgs),
    /// Take in from the topics what an older backup lacks
    #[cfg(all(feature = "command", feature = "query"))]
    Recover(crate::cli::recover::RecoverArgs),
    /// Make the tables of a write database, or bring them up to date, as its owner
    #[cfg(feature = "command")]
    Migrate(MigrateArgs),
    /// Build views anew from this node's copy of the log, beside the live ones, and switch
    #[cfg(all(feature = "command", feature = "query"))]
    Rebuild(RebuildArgs),
    /// Print all views in one canonical form, to compare
    #[cfg(feature = "query")]
    Dump(crate::cli::dump::DumpArgs),
    /// Bring in bank transactions (CSV) or a whole log (NDJSON)
    #[cfg(all(feature = "command", feature = "query"))]
    Import(Box<crate::cli::import::ImportArgs>),
    /// Write all events, in order
    #[cfg(feature = "command")]
    Export(ExportArgs),
    /// Fill an empty data folder with two customers, an admin, and a few months of history
    #[cfg(feature = "command")]
    Demo,
    /// People who may sign in
    #[cfg(feature = "command")]
    User(UserArgs),
    /// Session tokens
    #[cfg(feature = "command")]
    #[command(subcommand)]
    Token(TokenCommand),
}

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
    #[arg(long, env = "DAYBOOK_WRITE_DB", value_name = "URL")]
    pub write_db: Option<DbUrl>,
    /// The same as its owner: its tables are made or brought up to date first. Without it, their version is only checked
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_WRITE_DB_ADMIN", value_name = "URL")]
    pub write_db_admin: Option<DbUrl>,
    /// The read database of this process alone, sqlite:PATH or postgres://…; the data folder's if absent
    #[cfg(feature = "query")]
    #[arg(long, env = "DAYBOOK_READ_DB", value_name = "URL")]
    pub read_db: Option<DbUrl>,
    /// Where the sides meet: in-process, or kafka://HOST:PORT,…/TOPIC-PREFIX
    #[arg(long, env = "DAYBOOK_BUS", default_value = "in-process", value_name = "BUS")]
    pub bus: BusUrl,
    /// A setting of librdkafka, KEY=VALUE; the value may be file:PATH or env:NAME. May be given more than once
    #[arg(long, env = "DAYBOOK_KAFKA_CONFIG", value_delimiter = ';', value_name = "KEY=VALUE")]
    pub kafka_config: Vec<String>,
    /// Partitions of the topic of events, where it has to be made
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_KAFKA_PARTITIONS", default_value = "4", value_name = "PARTITIONS",
        value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub kafka_partitions: i32,
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
    /// Commands that wait for a commit at most; more are refused at once
    #[cfg(feature = "command")]
    #[arg(long, env = "DAYBOOK_QUEUE", default_value = "8192", value_name = "COMMANDS",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub queue: usize,
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
    #[arg(long, env = "DAYBOOK_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Seconds after which a request is given up
    #[arg(long, env = "DAYBOOK_REQUEST_TIMEOUT", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub request_timeout: Duration,
}

#[cfg(feature = "command")]
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Check against this anchor too: finds a removed tail or stream, and history rewritten with new hashes
    #[arg(long, env = "DAYBOOK_ANCHOR", value_name = "FILE")]
    pub anchor: Option<PathBuf>,
    /// Public key that signed the anchor, as anchors carry it; that of the data folder if absent, and where that is lost
    /// the one in the anchor
    #[arg(long, env = "DAYBOOK_ANCHOR_KEY", value_name = "KEY", requires = "anchor")]
    pub anchor_key: Option<Hash>,
    /// The key that signed the anchor; the data folder's if absent
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

#[cfg(feature = "command")]
#[derive(Debug, Args)]
pub struct AnchorArgs {
    /// The key that signs; the data folder's if absent
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

#[cfg(all(feature = "command", feature = "query"))]
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Only this one; all if absent
    #[arg(long, env = "DAYBOOK_PROJECTION", value_name = "NAME")]
    pub projection: Option<String>,
}

#[cfg(feature = "command")]
#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    pub command: UserCommand,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, global = true, env = "DAYBOOK_WRITE_DB", value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

#[cfg(feature = "command")]
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add someone; prints a password unless one comes on stdin
    Add {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
        /// Their name, as pages show it
        #[arg(long, env = "DAYBOOK_USER_NAME")]
        name: String,
        /// They may see everything, and operate
        #[arg(long, env = "DAYBOOK_USER_ADMIN", value_parser = BoolishValueParser::new())]
        admin: bool,
        /// Read the password from stdin, one line
        #[arg(long, env = "DAYBOOK_USER_PASSWORD_STDIN", value_parser = BoolishValueParser::new())]
        password_stdin: bool,
    },
    /// Everyone who was added
    List,
    /// Give someone a new password; ends all their sessions
    Password {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
        /// Read the password from stdin, one line
        #[arg(long, env = "DAYBOOK_USER_PASSWORD_STDIN", value_parser = BoolishValueParser::new())]
        password_stdin: bool,
    },
    /// Delete someone's name, e-mail and password everywhere, for good; accounts and events know only an id and stay
    Forget {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
    },
    /// Bar someone from signing in; ends all their sessions
    Disable {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
    },
}

#[cfg(feature = "command")]
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print a session token for someone, good for 15 minutes and for renewals
    Create {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
        /// The key that signs sessions; the data folder's if absent
        #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
        session_key_file: Option<PathBuf>,
        /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
        #[arg(long, env = "DAYBOOK_WRITE_DB", value_name = "URL")]
        write_db: Option<DbUrl>,
    },
    /// Print the public key that query nodes check sessions with; the key is made if there is none
    PublicKey {
        /// The key that signs sessions; the data folder's if absent
        #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
        session_key_file: Option<PathBuf>,
    },
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_value_has_an_environment_variable() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        every_value_has_an_environment_variable(&command);
    }

    fn every_value_has_an_environment_variable(command: &clap::Command) {
        let of_clap = |id: &str| ["help", "version", "subcommand"].contains(&id);
        for argument in command.get_arguments().filter(|argument| !of_clap(argument.get_id().as_str())) {
            let name = argument.get_env().unwrap_or_else(|| panic!("{argument} has no environment variable"));
            assert!(name.to_string_lossy().starts_with("DAYBOOK_"), "{argument}");
            assert!(argument.get_help().is_some(), "{argument} says nothing");
        }
        command.get_subcommands().for_each(every_value_has_an_environment_variable);
    }

    /// A value as README's tables have it: flag, environment variable, default.
    type Row = (String, String, String);

    fn values_of(command: &clap::Command, rows: &mut std::collections::BTreeSet<Row>) {
        for argument in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
            let flag = argument.get_long().map_or_else(
                || argument.get_value_names().expect("a value's name")[0].to_string(),
                |long| format!("--{long}"),
            );
            let env = argument.get_env().expect("filtered").to_string_lossy().into_owned();
            let off = matches!(argument.get_action(), clap::ArgAction::SetTrue);
            let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
            let default = if off { "off".to_owned() } else { default.unwrap_or_default() };
            let default = if argument.is_required_set() { "needed".to_owned() } else { default };
            rows.insert((flag, env, default));
        }
        command.get_subcommands().for_each(|command| values_of(command, rows));
    }

    #[test]
    fn readme_names_every_value_of_the_command_line_and_no_other() {
        let mut command = Cli::command();
        command.build();
        let mut values = std::collections::BTreeSet::new();
        values_of(&command, &mut values);
        let readme = include_str!("../../README.md");
        let cells = |line: &str| -> Vec<String> {
            line.trim_matches('|').split('|').map(|cell| cell.trim_matches([' ', '`']).to_owned()).collect()
        };
        let described: std::collections::BTreeSet<Row> = readme
            .lines()
            .filter(|line| line.starts_with('|') && line.contains("`DAYBOOK_"))
            .map(|line| match cells(line).as_slice() {
                [flag, env, default, about] if !about.is_empty() => (flag.clone(), env.clone(), default.clone()),
                other => panic!("not a row of four: {other:?}"),
            })
            .collect();
        let missing: Vec<_> = values.difference(&described).collect();
        let wrong: Vec<_> = described.difference(&values).collect();
        assert!(missing.is_empty() && wrong.is_empty(), "missing in README: {missing:#?}\nnot in --help: {wrong:#?}");
    }
}
