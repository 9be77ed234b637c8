//! `daybook`: reads the command line and does what it says.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use server::{cli, config::Cli};

fn main() -> ExitCode {
    // What went wrong, in one line with its causes; a stack would say nothing to whoever runs this.
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let command_line = Cli::parse();
    cli::log_to_stderr(&command_line.common)?;
    // Wherever TLS is spoken, it is with ring.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a provider for TLS was installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(cli::run(command_line))
}
