//! `daybook copy`: a ledger moves to another database. `daybook migrate`: the tables that it needs there.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::verify::{progress_bar, shown_on};
use crate::db_url::DbUrl;
use crate::private;
use crate::write::{
    copy::{Claim, copy},
    database::WriteDb,
};

#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The ledger to copy, sqlite:PATH or postgres://…; no server should write to it
    #[arg(long, env = "DAYBOOK_COPY_FROM", hide_env_values = true, value_name = "URL")]
    pub from: DbUrl,
    /// Where to: empty, or what an interrupted copy left; a PostgreSQL database after `daybook migrate`
    #[arg(long, env = "DAYBOOK_COPY_TO", hide_env_values = true, value_name = "URL")]
    pub to: DbUrl,
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The write database, as its owner
    #[arg(long, env = "DAYBOOK_WRITE_DB_ADMIN", hide_env_values = true, value_name = "URL")]
    pub write_db_admin: DbUrl,
    /// The same database as nodes connect to it: their user is given what they need, and no more
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

/// Copies, verifies, says what it did.
pub async fn run(args: CopyArgs) -> anyhow::Result<ExitCode> {
    if let DbUrl::Sqlite(file) = &args.from {
        anyhow::ensure!(file.exists(), "there is no ledger at {}", args.from);
    }
    if let DbUrl::Sqlite(file) = &args.to {
        private::folder_of(file).with_context(|| format!("the folder of {}", args.to))?;
    }
    let from = WriteDb::open(&args.from, None).await.with_context(|| format!("opening {}", args.from))?;
    let to = WriteDb::open(&args.to, None).await.with_context(|| format!("opening {}", args.to))?;
    let claim = Claim::take(&to.store).await?;
    let bar = progress_bar("events");
    let copied = copy(&from, &to, Some(&claim), &[], shown_on(&bar)).await;
    bar.finish_and_clear();
    claim.give_back().await;
    from.close().await?;
    to.close().await?;
    let copied = copied?;
    say!("Copied {} events and {} people from {} to {}.", copied.events, copied.people, args.from, args.to);
    say!("Verified up to position {}, running hash {}.", copied.head.position, copied.head.hash);
    Ok(ExitCode::SUCCESS)
}

/// Makes the tables or brings them up to date.
pub async fn migrate(args: MigrateArgs) -> anyhow::Result<ExitCode> {
    WriteDb::migrate(&args.write_db_admin, args.write_db.as_ref()).await?;
    say!("{} is up to date.", args.write_db_admin);
    Ok(ExitCode::SUCCESS)
}
