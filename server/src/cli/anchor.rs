//! `daybook anchor`: where the log stands, signed (W5). Beside a running server too.

use std::process::ExitCode;

use crate::{
    config::DataDir,
    write::{
        anchor::Anchor,
        keys::SigningKeys,
        store::{EventStore as _, SqliteStore},
        writer::{Clock as _, SystemClock},
    },
};

/// Prints one line.
pub async fn run(data: &DataDir) -> anyhow::Result<ExitCode> {
    let keys = SigningKeys::load_or_create(&data.signing_key())?;
    let store = SqliteStore::open(&data.write_db()).await?;
    let head = store.head().await?;
    store.close().await?;
    println!("{}", Anchor::sign(&head, SystemClock.now_micros(), &keys).to_line());
    Ok(ExitCode::SUCCESS)
}
