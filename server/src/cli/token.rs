//! `daybook token create`: a session token for someone, without their password. Whoever can run it can read the
//! signing key anyway.

use std::process::ExitCode;

use anyhow::ensure;

use super::{node::people_pool, user::find};
use crate::{
    config::{DataDir, TokenCommand},
    token::new_session_id,
    write::{
        identity::{People, mint},
        keys::SigningKeys,
        store::SqliteStore,
        writer::{Clock as _, SystemClock},
    },
};

/// Prints the token, and nothing else on stdout.
pub async fn run(data: &DataDir, command: TokenCommand) -> anyhow::Result<ExitCode> {
    let TokenCommand::Create { email } = command;
    SqliteStore::open(&data.write_db()).await?.close().await?;
    let pool = people_pool(data).await?;
    let row = find(&People::new(pool.clone()), &email).await?;
    pool.close().await;
    ensure!(!row.disabled, "{email} is disabled");
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let now = SystemClock.now_micros();
    let keys = SigningKeys::load_or_create(&data.signing_key())?;
    println!("{}", mint(&row.person, new_session_id(now, random), now, &keys).token);
    Ok(ExitCode::SUCCESS)
}
