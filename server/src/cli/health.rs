//! `daybook health`: whether a server can serve, for whoever sends it requests or starts what needs it.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, ensure};
use clap::Args;

/// As long as it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the server is
    #[arg(long, env = "DAYBOOK_HEALTH_URL", default_value = "http://127.0.0.1:3000", value_name = "URL")]
    pub url: String,
}

/// Prints what `/readyz` says; fails unless the server is ready.
pub async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let url = format!("{}/readyz", args.url.trim_end_matches('/'));
    let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let answer = http.get(&url).send().await.with_context(|| format!("asking {url}"))?;
    let status = answer.status();
    let said = answer.text().await?;
    ensure!(status.is_success(), "{url} answers {status}: {said}");
    say!("{said}");
    Ok(ExitCode::SUCCESS)
}
