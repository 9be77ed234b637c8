//! `daybook dump`: the views in their canonical form (R4). Two read models that are equal print the same bytes.

use std::{
    io::{BufWriter, Write as _, stdout},
    process::ExitCode,
};

use anyhow::ensure;
use clap::Args;

use crate::{
    config::Common,
    db_url::DbUrl,
    read::{database::ReadDb, dump::dump, projections},
};

#[derive(Debug, Args)]
pub struct DumpArgs {
    /// The read database, sqlite:PATH or postgres://…, of a node that is stopped; the data folder's if absent
    #[arg(long, env = "DAYBOOK_READ_DB", hide_env_values = true, value_name = "URL")]
    pub read_db: Option<DbUrl>,
}

/// Prints every row of every projection.
pub async fn run(common: &Common, args: DumpArgs) -> anyhow::Result<ExitCode> {
    let url = args.read_db.unwrap_or_else(|| DbUrl::Sqlite(common.data_dir.join("read.sqlite")));
    if let DbUrl::Sqlite(file) = &url {
        // A mistyped folder is not to be made. A query node's has views and no ledger.
        ensure!(file.exists(), "there are no views in {}: a server makes them (--data-dir says where)", file.display());
    }
    let db = ReadDb::at(&url, None).await?;
    let mut out = BufWriter::new(stdout().lock());
    dump(&db, &projections::all(), &mut out).await?;
    out.flush()?;
    drop(out);
    db.close().await;
    Ok(ExitCode::SUCCESS)
}
