//! `daybook anchor`: where the log stands, signed (W5). Beside a running server too.

use std::process::ExitCode;

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
    let keys = SigningKeys::load_or_create(&data.signing_key())?;
    let db = WriteDb::open(&data.write_url(args.write_db.as_ref()), None).await?;
    let head = db.store.head().await?;
    db.close().await?;
    println!("{}", Anchor::sign(&head, SystemClock.now_micros(), &keys).to_line());
    Ok(ExitCode::SUCCESS)
}
