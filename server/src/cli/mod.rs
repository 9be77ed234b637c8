//! The subcommands. Each says what it did on stdout; the log of a run goes to stderr.

/// A line on stdout. Where nobody reads any more there is nothing left to do.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::cli::say_line(format_args!($($line)*))
    };
}

#[cfg(feature = "command")]
mod anchor;
#[cfg(feature = "command")]
pub mod backup;
#[cfg(all(feature = "command", feature = "query"))]
mod both_sides;
#[cfg(feature = "command")]
mod command_side;
#[cfg(feature = "command")]
pub mod copy;
#[cfg(feature = "command")]
pub mod demo;
#[cfg(feature = "query")]
pub mod dump;
#[cfg(feature = "command")]
pub mod export;
pub mod health;
#[cfg(all(feature = "command", feature = "query"))]
pub mod import;
pub mod node;
#[cfg(feature = "query")]
mod query_side;
#[cfg(all(feature = "command", feature = "query"))]
mod rebuild;
#[cfg(all(feature = "command", feature = "query"))]
pub mod recover;
mod role;
pub mod serve;
#[cfg(feature = "command")]
mod token;
#[cfg(feature = "command")]
pub mod user;
#[cfg(feature = "command")]
mod verify;
mod waiting;

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use tracing_subscriber::EnvFilter;

use crate::config::{Cli, Command, Common, DataDir, LogFormat};

/// Does what the command line says.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match cli.command {
        Command::Health(args) => health::run(args).await,
        Command::Serve(args) => serve::run(&open(common)?, *args).await,
        #[cfg(feature = "command")]
        Command::Verify(args) => verify::run(&ledger(common, args.write_db.as_ref())?, args).await,
        #[cfg(feature = "command")]
        Command::Anchor(args) => anchor::run(&ledger(common, args.write_db.as_ref())?, args).await,
        #[cfg(feature = "command")]
        Command::Copy(args) => copy::run(args).await,
        #[cfg(feature = "command")]
        Command::Backup(args) => backup::back_up(&ledger(common, args.write_db.as_ref())?, args).await,
        #[cfg(feature = "command")]
        Command::Restore(args) => backup::restore(&open(common)?, args).await,
        #[cfg(all(feature = "command", feature = "query"))]
        Command::Recover(args) => recover::run(&ledger(common, args.write_db.as_ref())?, args).await,
        #[cfg(feature = "command")]
        Command::Migrate(args) => copy::migrate(args).await,
        #[cfg(all(feature = "command", feature = "query"))]
        Command::Rebuild(args) => rebuild::run(&existing(common)?, args).await,
        #[cfg(feature = "query")]
        Command::Dump(args) => dump::run(common, args).await,
        #[cfg(all(feature = "command", feature = "query"))]
        Command::Import(args) => import::run(common, *args).await,
        #[cfg(feature = "command")]
        Command::Export(args) => export::run(&ledger(common, args.write_db.as_ref())?, args).await,
        #[cfg(feature = "command")]
        Command::Demo => demo::run(&open(common)?).await,
        #[cfg(feature = "command")]
        Command::User(command) => user::run(&open(common)?, command).await,
        #[cfg(feature = "command")]
        Command::Token(command) => token::run(&token_folder(common, &command)?, command).await,
    }
}

fn say_line(line: std::fmt::Arguments<'_>) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(1);
    }
}

/// Log lines go to stderr, so that stdout holds only what was asked for.
pub fn log_to_stderr(common: &Common) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&common.log).with_context(|| format!("--log {:?} is no filter", common.log))?;
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A line that cannot be written, to a file on a full disk, say, would be complained of on stderr by a panic.
    let lines = lines.log_internal_errors(false);
    let set = match common.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(anyhow::Error::from_boxed)
}

fn open(common: &Common) -> anyhow::Result<DataDir> {
    if common.data_dir.exists() && !common.data_dir.is_dir() {
        bail!("the data folder {} is no folder but a file", common.data_dir.display());
    }
    DataDir::open(&common.data_dir).with_context(|| format!("the data folder {}", common.data_dir.display()))
}

/// The data folder of a ledger whose database may be elsewhere.
#[cfg(feature = "command")]
fn ledger(common: &Common, elsewhere: Option<&crate::db_url::DbUrl>) -> anyhow::Result<DataDir> {
    if elsewhere.is_some() { open(common) } else { existing(common) }
}

/// A key can be made before there is a ledger; a token belongs to one.
#[cfg(feature = "command")]
fn token_folder(common: &Common, command: &crate::config::TokenCommand) -> anyhow::Result<DataDir> {
    match command {
        crate::config::TokenCommand::PublicKey { .. } => open(common),
        crate::config::TokenCommand::Create { write_db, .. } => ledger(common, write_db.as_ref()),
    }
}

/// For what only looks: a mistyped folder is not to become an empty ledger.
#[cfg(feature = "command")]
fn existing(common: &Common) -> anyhow::Result<DataDir> {
    if !common.data_dir.join("write.sqlite").exists() {
        bail!("there is no ledger in {} (--data-dir says where)", common.data_dir.display());
    }
    open(common)
}
