//! The subcommands. Each says what it did on stdout; the log of a run goes to stderr.

/// A line on stdout. Where nobody reads any more there is nothing left to do.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::cli::say_line(format_args!($($line)*))
    };
}

mod anchor;
mod command_side;
pub mod copy;
pub mod demo;
pub mod dump;
pub mod export;
pub mod import;
pub mod node;
mod query_side;
mod rebuild;
mod role;
pub mod serve;
mod tasks;
mod token;
pub mod user;
mod verify;
mod waiting;

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use tracing_subscriber::EnvFilter;

use crate::{
    config::{Cli, Command, Common, DataDir, LogFormat, TokenCommand},
    db_url::DbUrl,
};

/// Does what the command line says.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match cli.command {
        Command::Serve(args) => serve::run(&open(common)?, *args).await,
        Command::Verify(args) => verify::run(&ledger(common, args.write_db.as_ref())?, args).await,
        Command::Anchor(args) => anchor::run(&ledger(common, args.write_db.as_ref())?, args).await,
        Command::Copy(args) => copy::run(args).await,
        Command::Migrate(args) => copy::migrate(args).await,
        Command::Rebuild(args) => rebuild::run(&existing(common)?, args).await,
        Command::Dump(args) => dump::run(&ledger(common, args.read_db.as_ref())?, args).await,
        Command::Import(args) => import::run(common, *args).await,
        Command::Export(args) => export::run(&existing(common)?, args).await,
        Command::Demo => demo::run(&open(common)?).await,
        Command::User(command) => user::run(&open(common)?, command).await,
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
fn ledger(common: &Common, elsewhere: Option<&DbUrl>) -> anyhow::Result<DataDir> {
    if elsewhere.is_some() { open(common) } else { existing(common) }
}

/// A key can be made before there is a ledger; a token belongs to one.
fn token_folder(common: &Common, command: &TokenCommand) -> anyhow::Result<DataDir> {
    match command {
        TokenCommand::PublicKey { .. } => open(common),
        TokenCommand::Create { write_db, .. } => ledger(common, write_db.as_ref()),
    }
}

/// For what only looks: a mistyped folder is not to become an empty ledger.
fn existing(common: &Common) -> anyhow::Result<DataDir> {
    if !common.data_dir.join("write.sqlite").exists() {
        bail!("there is no ledger in {} (--data-dir says where)", common.data_dir.display());
    }
    open(common)
}
