//! `daybook dump`: the views in their canonical form (R4). Two read models that are equal print the same bytes.

use std::{
    io::{BufWriter, Write as _, stdout},
    process::ExitCode,
};

use anyhow::ensure;

use crate::{
    config::DataDir,
    read::{database::ReadDb, dump::dump, projections},
};

/// Prints every row of every projection.
pub async fn run(data: &DataDir) -> anyhow::Result<ExitCode> {
    ensure!(data.read_db().exists(), "there are no views in {data} yet: a server makes them, or `daybook rebuild`");
    let db = ReadDb::open(&data.read_db()).await?;
    let mut out = BufWriter::new(stdout().lock());
    dump(&db, &projections::all(), &mut out).await?;
    out.flush()?;
    drop(out);
    db.close().await;
    Ok(ExitCode::SUCCESS)
}
