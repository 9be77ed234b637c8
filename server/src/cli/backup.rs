//! `daybook backup` and `daybook restore`: a ledger with its people and its key, out of a running server and back.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use super::verify::{progress_bar, shown_on};
use crate::{
    config::DataDir,
    db_url::DbUrl,
    write::{
        backup,
        database::WriteDb,
        writer::{Clock as _, SystemClock},
    },
};

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Folder to write; made, readable by its owner only. It holds the signing key: keep it as secret as the ledger
    #[arg(env = "DAYBOOK_BACKUP_FOLDER", value_name = "BACKUP")]
    pub folder: PathBuf,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
    /// The key that signs sessions; the data folder's if absent
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// What `daybook backup` wrote
    #[arg(env = "DAYBOOK_BACKUP_FOLDER", value_name = "BACKUP")]
    pub folder: PathBuf,
    /// An empty write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
    /// The same as its owner: its tables are made first
    #[arg(long, env = "DAYBOOK_WRITE_DB_ADMIN", hide_env_values = true, value_name = "URL")]
    pub write_db_admin: Option<DbUrl>,
    /// Where the key that signs sessions goes; into the data folder if absent
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,
}

/// Writes the backup, and prints its anchor.
pub async fn back_up(data: &DataDir, args: BackupArgs) -> anyhow::Result<ExitCode> {
    let url = data.write_url(args.write_db.as_ref());
    let key = args.session_key_file.unwrap_or_else(|| data.signing_key());
    let bar = progress_bar("events");
    let made = backup::back_up(&url, &key, &args.folder, SystemClock.now_micros(), shown_on(&bar)).await;
    bar.finish_and_clear();
    let made = made.with_context(|| format!("backing up {url}"))?;
    let position = made.anchor.position;
    eprintln!("{position} events and {} people in {}, verified.", made.people, args.folder.display());
    eprintln!("Its anchor, to be kept elsewhere (`daybook verify --anchor`):");
    say!("{}", made.anchor.to_line());
    Ok(ExitCode::SUCCESS)
}

/// Restores, verifies, says what comes next.
pub async fn restore(data: &DataDir, args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let Some(_lock) = data.lock().with_context(|| format!("locking the data folder {data}"))? else {
        bail!("a server uses {data}: restore with it stopped");
    };
    if data.read_db().exists() {
        bail!(
            "there are views in {data}, which may hold what the backup does not: delete {} first, they are built again",
            data.read_db().display()
        );
    }
    let url = data.write_url(args.write_db.as_ref());
    if let Some(admin) = &args.write_db_admin {
        WriteDb::migrate(admin, Some(&url)).await.with_context(|| format!("bringing {admin} up to date"))?;
    }
    let key = args.session_key_file.unwrap_or_else(|| data.signing_key());
    let bar = progress_bar("events");
    let restored = backup::restore(&args.folder, &url, &key, shown_on(&bar)).await;
    bar.finish_and_clear();
    let restored = restored.with_context(|| format!("restoring {} into {url}", args.folder.display()))?;
    let anchor = &restored.anchor;
    say!("Restored {} events and {} people into {url}.", anchor.position, restored.people);
    say!("Verified against the backup's anchor, running hash {}.", anchor.hash);
    Ok(ExitCode::SUCCESS)
}
