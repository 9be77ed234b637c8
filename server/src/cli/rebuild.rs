//! `daybook rebuild`: makes views anew from the log (R3), with the server stopped. Killed in the middle, it can simply
//! be run again.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};

use super::{node::Node, verify::progress_bar};
use crate::{
    config::{DataDir, RebuildArgs},
    read::{
        database::ReadDb,
        projections::{self, Projection},
        rebuild::{Progress, install, rebuild},
    },
    write::writer::WriterSettings,
};

/// Rebuilds one projection or all.
pub async fn run(data: &DataDir, args: RebuildArgs) -> anyhow::Result<ExitCode> {
    let Some(_lock) = data.lock().context("locking the data folder")? else {
        bail!("a server uses {data}: stop it to rebuild");
    };
    let wanted: Vec<Arc<dyn Projection>> = projections::all()
        .into_iter()
        .filter(|projection| args.projection.as_deref().is_none_or(|name| name == projection.name()))
        .collect();
    if wanted.is_empty() {
        let names: Vec<_> = projections::all().iter().map(|projection| projection.name()).collect();
        bail!("there is no such projection; there are {}", names.join(", "));
    }

    catch_up(data).await?;
    let db = ReadDb::open(&data.read_db()).await?;
    install(&db, &projections::all()).await?;
    let bar = progress_bar("events");
    let mut switched = 0;
    let result = rebuild(&db, &wanted, |progress| match progress {
        Progress::Filled { projection, position, target } => {
            bar.set_length(target.0);
            bar.set_position(position.0);
            bar.set_message(projection);
        }
        Progress::Switched { projection, position } => {
            switched += 1;
            bar.suspend(|| say!("{projection}: rebuilt up to position {position}"));
        }
    })
    .await;
    bar.finish_and_clear();
    db.close().await;
    result?;
    ensure!(switched == wanted.len(), "not all were rebuilt");
    Ok(ExitCode::SUCCESS)
}

/// Runs a node without the web until the views show what the log has: a rebuild goes as far as they are, and the read
/// database may have been deleted.
async fn catch_up(data: &DataDir) -> anyhow::Result<()> {
    let node = Node::start(data, WriterSettings::default()).await?;
    let (Some(command), Some(query)) = (&node.command, &node.query) else { bail!("both sides are needed") };
    let mut heads = command.heads();
    let head = heads.wait_for(Option::is_some).await?.map_or_else(Default::default, |head| head.position);
    let bar = progress_bar("events read");
    bar.set_length(head.0);
    loop {
        let status = query.read().status();
        let reached = status.projections.iter().filter(|one| one.parked.is_none()).map(|one| one.checkpoint).min();
        let reached = reached.unwrap_or(head).min(status.feed);
        bar.set_position(reached.0);
        if reached >= head {
            break;
        }
        if let Some(waiting) = status.waiting {
            bail!("the copy of the log does not go on at position {}: {}", waiting.position, waiting.error);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bar.finish_and_clear();
    node.stop().await
}
