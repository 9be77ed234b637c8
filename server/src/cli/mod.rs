//! The subcommands. Each says what it did on stdout; the log of a run goes to stderr.

mod anchor;
pub mod demo;
mod dump;
pub mod export;
pub mod import;
pub mod node;
mod rebuild;
pub mod serve;
mod token;
pub mod user;
mod verify;

use std::{io::IsTerminal as _, process::ExitCode};

use anyhow::{Context as _, bail};
use tracing_subscriber::EnvFilter;

use crate::config::{Cli, Command, Common, DataDir, LogFormat};

/// Does what the command line says.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match cli.command {
        Command::Serve(args) => serve::run(&open(common)?, *args).await,
        Command::Verify(args) => verify::run(&existing(common)?, args).await,
        Command::Anchor => anchor::run(&existing(common)?).await,
        Command::Rebuild(args) => rebuild::run(&existing(common)?, args).await,
        Command::Dump => dump::run(&existing(common)?).await,
        Command::Import(args) => import::run(common, *args).await,
        Command::Export(args) => export::run(&existing(common)?, args).await,
        Command::Demo => demo::run(&open(common)?).await,
        Command::User(command) => user::run(&open(common)?, command).await,
        Command::Token(command) => token::run(&existing(common)?, command).await,
    }
}

/// Log lines go to stderr, so that stdout holds only what was asked for.
pub fn log_to_stderr(common: &Common) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&common.log).with_context(|| format!("--log {:?} is no filter", common.log))?;
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
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

/// For what only looks: a mistyped folder is not to become an empty ledger.
fn existing(common: &Common) -> anyhow::Result<DataDir> {
    if !common.data_dir.join("write.sqlite").exists() {
        bail!("there is no ledger in {} (--data-dir says where)", common.data_dir.display());
    }
    open(common)
}
