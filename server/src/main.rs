//! `daybook`: reads the command line and does what it says.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{
    Parser as _,
    error::{ContextKind, ContextValue},
};
use server::{cli, config::Cli};

/// What is under way in threads gets this long to end.
const CLOSING: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    // What went wrong, in one line with its causes; a stack would say nothing to whoever runs this.
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Arguments that are the address of another server.
const ADDRESSES: [&str; 7] =
    ["--write-db", "--write-db-admin", "--read-db", "--from", "--to", "--bus", "--otlp-endpoint"];

/// What was given as one may hold a password: it is not repeated.
fn without_secret(mut refused: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(argument)) = refused.get(ContextKind::InvalidArg)
        && ADDRESSES.iter().any(|address| argument.split(' ').next() == Some(address))
    {
        refused.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
    }
    refused
}

fn run() -> anyhow::Result<ExitCode> {
    let command_line = Cli::try_parse().unwrap_or_else(|refused| without_secret(refused).exit());
    cli::log_to_stderr(&command_line.common)?;
    // Wherever TLS is spoken, it is with ring.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a provider for TLS was installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let ended = runtime.block_on(cli::run(command_line));
    // What still asks a name server or a broker is not waited for.
    runtime.shutdown_timeout(CLOSING);
    ended
}
