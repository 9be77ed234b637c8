//! `daybook token create`: a session token for someone, without their password. Whoever can run it can read the
//! signing key anyway.

use std::process::ExitCode;

use anyhow::ensure;
use app::wire::{Event, Hash, Version, decode};

use super::user::find;
use crate::{
    config::{DataDir, TokenCommand},
    token::{Revocations, new_session_id},
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
    let user = find(&db.people, &email).await?.person.id;
    ensure!(
        !db.people.end_is_due(user).await?,
        "all sessions of {email} are about to end: wait until a server has written that down"
    );
    let ended = Revocations::default();
    for event in db.store.read_stream(user.into(), Version(0), u32::MAX).await? {
        if let Event::Session(end) = decode(&event.event_type, event.schema, &event.payload)? {
            ended.apply(&end, event.recorded_at);
        }
    }
    // Only now: what changes after this ends the session.
    let row = find(&db.people, &email).await?;
    ensure!(row.person.id == user, "{email} was someone else's a moment ago: try again");
    ensure!(!row.disabled, "{email} is disabled");
    db.close().await?;
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let now = SystemClock.now_micros();
    let keys = SigningKeys::load_or_create(&key.unwrap_or_else(|| data.signing_key()))?;
    let session = new_session_id(ended.begins(user, now), random);
    say!("{}", mint(&row.person, session, now, &keys).token);
    Ok(ExitCode::SUCCESS)
}
