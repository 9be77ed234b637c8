//! A backup: a folder that only its owner can read, with the ledger of one moment as a SQLite file, the signing key, and
//! a statement of what that is, which carries a signed anchor. So it is a data folder, too, that every command can look at.
//!
//! Guarantees: the statement is written last, so what has one is whole; what is restored is verified against its anchor.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use app::wire::{Hash, Position};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    anchor::{Anchor, AnchorError},
    copy::{Claim, Copied, CopyError, UNFINISHED, copy},
    database::WriteDb,
    identity::PeopleError,
    keys::{KeyError, SigningKeys, create_private},
    store::{Head, OpenError, StoreError, into_one_file},
};
use crate::db_url::DbUrl;
use crate::private;

/// Of the folder: grows when a program that knows only older ones could not restore it.
const FORMAT: u32 = 1;

const STATEMENT: &str = "backup.json";
const DATABASE: &str = "write.sqlite";
const KEY: &str = "signing.key";

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub format: u32,
    /// Who made it.
    pub program: String,
    pub people: usize,
    /// SHA-256 over all that is stored of them. Unlike the anchor it is not kept elsewhere: whoever can write to the whole
    /// backup can rewrite it.
    pub people_hash: Hash,
    /// Where the log ends; when it was taken, and by whose key.
    pub anchor: Anchor,
}

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is not empty: a backup goes into a folder of its own (what an interrupted one left can be deleted)", path = .0.display())]
    Taken(PathBuf),
    #[error("{path} is no whole backup: {STATEMENT}, which is written last, {what}", path = .folder.display())]
    NotWhole { folder: PathBuf, what: String },
    #[error("the backup has format {0}, and this program knows only {FORMAT}: it needs a newer one")]
    Newer(u32),
    #[error("the backup's anchor: {0}")]
    Anchor(#[from] AnchorError),
    #[error(
        "the backup holds another log than its anchor says: it ends at position {found} instead of {said}, or was rewritten"
    )]
    Altered { found: Position, said: Position },
    #[error(
        "the backup holds other people, roles or passwords than {STATEMENT} says: it was changed since it was made"
    )]
    OtherPeople,
    #[error("there is a ledger in {0} already: a backup goes into an empty place only")]
    NotEmpty(DbUrl),
    #[error("{path} holds another signing key than the backup: restore into a data folder of its own", path = .0.display())]
    OtherKey(PathBuf),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    People(#[from] PeopleError),
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// What is told how far it is, of how much: see [`copy`].
pub trait Progress: FnMut(&str, Position, Position) + Send {}
impl<F: FnMut(&str, Position, Position) + Send> Progress for F {}

/// Writes what the ledger at `url` holds at this moment, beside whoever serves it, and its `keys` into `folder`, which is
/// empty or not there. `at`: microseconds since 1970.
pub async fn back_up(
    url: &DbUrl,
    keys: &Path,
    folder: &Path,
    at: i64,
    progress: impl Progress,
) -> Result<Statement, BackupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    let Some(signing) = SigningKeys::load(keys)? else { return Err(failed(keys)(io::ErrorKind::NotFound.into())) };
    let from = WriteDb::snapshot(url).await?;
    private::folder(folder).map_err(failed(folder))?;
    if fs::read_dir(folder).map_err(failed(folder))?.next().is_some() {
        return Err(BackupError::Taken(folder.to_owned()));
    }
    let to = WriteDb::open(&DbUrl::Sqlite(folder.join(DATABASE)), None).await?;
    let copied = copy(&from, &to, None, &[], progress).await;
    let people_hash = hash_of_people(&to).await;
    to.close().await?;
    from.close().await?;
    let Copied { people, head, .. } = copied?;
    let people_hash = people_hash?;
    into_one_file(&folder.join(DATABASE)).await?;
    signing.save(&folder.join(KEY))?;
    let anchor = Anchor::sign(&head, at, &signing);
    let program = concat!("daybook ", env!("CARGO_PKG_VERSION")).to_owned();
    let statement = Statement { format: FORMAT, program, people, people_hash, anchor };
    let text = serde_json::to_string_pretty(&statement).expect("a statement holds nothing that JSON cannot");
    let file = folder.join(STATEMENT);
    create_private(&file, &format!("{text}\n")).map_err(failed(&file))?;
    Ok(statement)
}

/// What the backup in `folder` says of itself, signed by its key.
pub fn read_statement(folder: &Path) -> Result<Statement, BackupError> {
    let not_whole = |what: String| BackupError::NotWhole { folder: folder.to_owned(), what };
    let text = match fs::read_to_string(folder.join(STATEMENT)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_whole("is not there".to_owned())),
        Err(error) => return Err(not_whole(error.to_string())),
    };
    let format = serde_json::from_str::<serde_json::Value>(&text).ok();
    let format = format.and_then(|said| u32::try_from(said.get("format")?.as_u64()?).ok()).unwrap_or(FORMAT);
    if format != FORMAT {
        return Err(BackupError::Newer(format));
    }
    let statement: Statement =
        serde_json::from_str(&text).map_err(|error| not_whole(format!("does not read: {error}")))?;
    statement.anchor.check(&backed_up_keys(folder)?.public())?;
    Ok(statement)
}

/// Puts the backup in `folder` into the ledger at `url`, which is empty or what an interrupted restore of the same backup
/// left, and its key into the file `keys`; then verifies it all. Nobody may serve that ledger meanwhile.
pub async fn restore(
    folder: &Path,
    url: &DbUrl,
    keys: &Path,
    progress: impl Progress,
) -> Result<Statement, BackupError> {
    let statement = read_statement(folder)?;
    let signing = backed_up_keys(folder)?;
    let from = WriteDb::snapshot(&DbUrl::Sqlite(folder.join(DATABASE))).await?;
    let Head { position, hash, .. } = from.store.head().await?;
    let Anchor { position: said, hash: signed, .. } = statement.anchor;
    if (position, hash) != (said, signed) {
        return Err(BackupError::Altered { found: position, said });
    }
    if hash_of_people(&from).await? != statement.people_hash {
        return Err(BackupError::OtherPeople);
    }
    if SigningKeys::load(keys)?.is_some_and(|there| there.key_id() != signing.key_id()) {
        return Err(BackupError::OtherKey(keys.to_owned()));
    }
    let homes = [Some(keys), if let DbUrl::Sqlite(file) = url { Some(file.as_path()) } else { None }];
    for file in homes.into_iter().flatten() {
        private::folder_of(file).map_err(|source| BackupError::File { path: file.to_owned(), source })?;
    }
    let to = WriteDb::open(url, None).await?;
    let begun = to.store.checkpoint(UNFINISHED).await? > Position(0);
    let empty = to.store.head().await? == Head::EMPTY && to.people.stored().await?.is_empty();
    if !begun && !empty {
        return Err(BackupError::NotEmpty(url.clone()));
    }
    signing.save(keys)?;
    let anchors = std::slice::from_ref(&statement.anchor);
    let claim = Claim::take(&to.store).await?;
    let copied = copy(&from, &to, Some(&claim), anchors, progress).await;
    claim.give_back().await;
    to.close().await?;
    from.close().await?;
    copied?;
    Ok(statement)
}

async fn hash_of_people(db: &WriteDb) -> Result<Hash, PeopleError> {
    let people = db.people.stored().await?;
    let text = serde_json::to_vec(&people).expect("rows of texts and numbers");
    Ok(Hash(Sha256::digest(text).into()))
}

fn backed_up_keys(folder: &Path) -> Result<SigningKeys, BackupError> {
    let not_there = BackupError::NotWhole { folder: folder.to_owned(), what: format!("is there, but {KEY} is not") };
    SigningKeys::load(&folder.join(KEY))?.ok_or(not_there)
}
