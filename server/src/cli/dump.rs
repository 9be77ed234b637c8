//! `daybook dump`: the views in their canonical form (R4). Two read models that are equal print the same bytes.

use std::{
    io::{BufWriter, Write as _, stdout},
    process::ExitCode,
};

use anyhow::ensure;

use crate::{
    config::Common,
    read::{database::ReadDb, dump::dump, projections},
};

/// Prints every row of every projection.
pub async fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let folder = &common.data_dir;
    // A mistyped folder is not to be made. A query node's has views and no ledger.
    let there = folder.join("read.sqlite").exists();
    ensure!(there, "there are no views in {} yet: a server makes them (--data-dir says where)", folder.display());
    let data = super::open(common)?;
    let db = ReadDb::open(&data.read_db()).await?;
    let mut out = BufWriter::new(stdout().lock());
    dump(&db, &projections::all(), &mut out).await?;
    out.flush()?;
    drop(out);
    db.close().await;
    Ok(ExitCode::SUCCESS)
}
