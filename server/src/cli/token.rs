//! `daybook token create`: a session token for someone, without their password. Whoever can run it can read the
//! signing key anyway.

use std::process::ExitCode;

use anyhow::ensure;
use app::wire::Hash;

use super::user::find;
use crate::{
    config::{DataDir, TokenCommand},
    token::new_session_id,
    write::{
        database::WriteDb,
        identity::mint,
        keys::SigningKeys,
        writer::{Clock as _, SystemClock},
    },
};

/// Prints the token, and nothing else on stdout.
pub async fn run(data: &DataDir, command: TokenCommand) -> anyhow::Result<ExitCode> {
    let (email, key, write_db) = match command {
        TokenCommand::Create { email, session_key_file, write_db } => (email, session_key_file, write_db),
        TokenCommand::PublicKey { session_key_file } => {
            let keys = SigningKeys::load_or_create(&session_key_file.unwrap_or_else(|| data.signing_key()))?;
            say!("{}", Hash(keys.verifying_key().to_bytes()));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let db = WriteDb::open(&data.write_url(write_db.as_ref()), None).await?;
    let row = find(&db.people, &email).await?;
    db.close().await?;
    ensure!(!row.disabled, "{email} is disabled");
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let now = SystemClock.now_micros();
    let keys = SigningKeys::load_or_create(&key.unwrap_or_else(|| data.signing_key()))?;
    say!("{}", mint(&row.person, new_session_id(now, random), now, &keys).token);
    Ok(ExitCode::SUCCESS)
}
