//! `daybook verify`: walks the whole log; beside a running server too.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    config::{DataDir, VerifyArgs},
    write::{
        anchor::Anchor,
        database::WriteDb,
        keys::SigningKeys,
        verify::{VerifyError, verify},
    },
};

/// Exit status 0 only if everything holds.
pub async fn run(data: &DataDir, args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let anchors = match &args.anchor {
        Some(file) => read_anchors(file, data)?,
        None => Vec::new(),
    };
    let db = WriteDb::open(&data.write_url(args.write_db.as_ref()), None).await?;
    let bar = progress_bar("events");
    let result = verify(&*db.store, &anchors, |position, head| {
        bar.set_length(head.0);
        bar.set_position(position.0);
    })
    .await;
    bar.finish_and_clear();
    db.close().await?;
    match result {
        Ok(verified) => {
            let (events, streams, head) = (verified.events, verified.streams, verified.head);
            println!("All holds: {events} events in {streams} streams, up to position {}.", head.position);
            println!("Running hash {}.", head.hash);
            match verified.anchors {
                0 => println!("Checked from the log alone: a history rewritten with new hashes needs --anchor FILE."),
                count => println!("{count} anchor(s) hold: up to there the history is the one that was anchored."),
            }
            let Some(finding) = verified.first_unreadable else { return Ok(ExitCode::SUCCESS) };
            println!("But {} event(s) cannot be read by this version. The first: {finding}", verified.unreadable);
            Ok(ExitCode::FAILURE)
        }
        Err(VerifyError::Bad(finding)) => {
            println!("Does not hold. {finding}");
            Ok(ExitCode::FAILURE)
        }
        Err(VerifyError::Store(error)) => Err(error.into()),
    }
}

/// One anchor a line; each has to be signed by this ledger's key.
fn read_anchors(file: &Path, data: &DataDir) -> anyhow::Result<Vec<Anchor>> {
    let keys = SigningKeys::load_or_create(&data.signing_key())?.public();
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut anchors = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let anchor: Anchor = line.parse()?;
        anchor.check(&keys)?;
        anchors.push(anchor);
    }
    anyhow::ensure!(!anchors.is_empty(), "{} holds no anchor", file.display());
    Ok(anchors)
}

/// Shown on a terminal only, with rate and time left.
pub(super) fn progress_bar(what: &str) -> ProgressBar {
    let template = format!("{{bar:30}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left {{msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}
