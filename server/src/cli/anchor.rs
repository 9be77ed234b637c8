//! `daybook anchor`: where the log stands, signed (W5). Beside a running server too. Makes no key: a new one would sign
//! what nobody could tell from a forgery.

use std::process::ExitCode;

use anyhow::Context as _;

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
    let file = data.signing_key();
    let keys = SigningKeys::load(&file)?.with_context(|| {
        format!(
            "there is no signing key in {}: if it was lost, bring it back from a backup; a new ledger gets one by \
             `daybook serve`",
            file.display()
        )
    })?;
    let store = SqliteStore::open(&data.write_db()).await?;
    let head = store.head().await?;
    store.close().await?;
    println!("{}", Anchor::sign(&head, SystemClock.now_micros(), &keys).to_line());
    Ok(ExitCode::SUCCESS)
}
