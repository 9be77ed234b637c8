//! `daybook anchor`: where the log stands, signed (W5). Beside a running server too. Makes no key: a new one would sign
//! what nobody could tell from a forgery.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::{
    config::{AnchorArgs, DataDir},
    write::{
        anchor::Anchor,
        database::WriteDb,
        keys::SigningKeys,
        writer::{Clock as _, SystemClock},
    },
};

/// Prints one line.
pub async fn run(data: &DataDir, args: AnchorArgs) -> anyhow::Result<ExitCode> {
    let file = args.session_key_file.unwrap_or_else(|| data.signing_key());
    let keys = SigningKeys::load(&file)?.with_context(|| {
        format!(
            "there is no signing key in {}: if it was lost, bring it back from a backup; a new ledger gets one by \
             `daybook serve`",
            file.display()
        )
    })?;
    let db = WriteDb::open(&data.write_url(args.write_db.as_ref()), None).await?;
    let head = db.store.head().await?;
    db.close().await?;
    say!("{}", Anchor::sign(&head, SystemClock.now_micros(), &keys).to_line());
    Ok(ExitCode::SUCCESS)
}
