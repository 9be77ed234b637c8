//! `daybook verify`: walks the whole log; beside a running server too.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Context as _;
use app::wire::{Hash, Position};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    config::{DataDir, VerifyArgs},
    write::{
        anchor::{Anchor, AnchorError},
        database::WriteDb,
        keys::{PublicKeys, SigningKeys},
        verify::{VerifyError, verify},
    },
};

/// Exit status 0 only if everything holds.
pub async fn run(data: &DataDir, args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let (anchors, trust) = match &args.anchor {
        Some(file) => {
            let key = args.session_key_file.unwrap_or_else(|| data.signing_key());
            let trust = Trust::choose(&key, args.anchor_key)?;
            (read_anchors(file, &trust)?, Some(trust))
        }
        None => (Vec::new(), None),
    };
    let url = data.write_url(args.write_db.as_ref());
    let db = WriteDb::read_only(&url).await?;
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
            say!("All holds: {events} events in {streams} streams, up to position {}.", head.position);
            say!("Running hash {}.", head.hash);
            match verified.anchors {
                0 => say!("Checked from the log alone: a history rewritten with new hashes needs --anchor FILE."),
                count => say!("{count} anchor(s) hold: up to there the history is the one that was anchored."),
            }
            if let Some(trust) = trust {
                say!("{}", trust.said(&anchors));
            }
            let Some(finding) = verified.first_unreadable else { return Ok(ExitCode::SUCCESS) };
            say!("But {} event(s) cannot be read by this version. The first: {finding}", verified.unreadable);
            Ok(ExitCode::FAILURE)
        }
        Err(VerifyError::Bad(finding)) => {
            say!("Does not hold. {finding}");
            Ok(ExitCode::FAILURE)
        }
        Err(VerifyError::Store(error)) => Err(error.into()),
    }
}

/// Whose signatures count.
enum Trust {
    /// The key that was said, or the ledger's own.
    In(PublicKeys, &'static str),
    /// The ledger's key is lost: each anchor's own has to do.
    Itself,
}

impl Trust {
    fn choose(key: &Path, said: Option<Hash>) -> anyhow::Result<Self> {
        if let Some(key) = said {
            return Ok(Self::In(PublicKeys::of(&key.0), "the key that was given"));
        }
        let own = SigningKeys::load(key)?;
        Ok(own.map_or(Self::Itself, |keys| Self::In(keys.public(), "this ledger's key")))
    }

    fn check(&self, anchor: &Anchor) -> Result<(), AnchorError> {
        match self {
            Self::In(keys, _) => anchor.check(keys),
            Self::Itself => anchor.check_by_itself(),
        }
    }

    fn said(&self, anchors: &[Anchor]) -> String {
        match self {
            Self::In(_, whose) => format!("Signed by {whose}."),
            Self::Itself => {
                let mut keys: Vec<String> =
                    anchors.iter().filter_map(|anchor| anchor.public_key).map(|key| key.to_string()).collect();
                keys.sort();
                keys.dedup();
                format!(
                    "The ledger's signing key is not here, so whose signature it is was not checked: it was made by the \
                     public key that the anchor carries, {}. Whoever can change the anchor's file can put another there.",
                    keys.join(", ")
                )
            }
        }
    }
}

/// One anchor a line; each has to be signed by a key that counts.
fn read_anchors(file: &Path, trust: &Trust) -> anyhow::Result<Vec<Anchor>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut anchors = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let anchor: Anchor = line.parse()?;
        trust.check(&anchor)?;
        anchors.push(anchor);
    }
    anyhow::ensure!(!anchors.is_empty(), "{} holds no anchor", file.display());
    Ok(anchors)
}

/// Shows on `bar` how far what is done is, of how much.
pub(super) fn shown_on(bar: &ProgressBar) -> impl FnMut(&str, Position, Position) + Send {
    |what, position, end| {
        bar.set_message(what.to_owned());
        bar.set_length(end.0);
        bar.set_position(position.0);
    }
}

/// Shown on a terminal only, with rate and time left.
pub(super) fn progress_bar(what: &str) -> ProgressBar {
    let template = format!("{{bar:30}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left {{msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}
