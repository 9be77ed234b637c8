//! Moves a ledger to another database: every event with its position, version and hash, and the people beside it.
//!
//! Interrupted, it goes on from where the target ends, provided that the target holds the beginning of the same log.

use std::{sync::Arc, time::Duration};

use app::wire::{GENESIS, Position, log_hash};
use tokio_util::task::AbortOnDropHandle;

use super::{
    anchor::Anchor,
    database::WriteDb,
    identity::{PeopleError, StoredPerson},
    process_manager,
    store::{EventStore, Head, Lease, StoreError},
    verify::{VerifyError, verify},
};

const CHUNK: u32 = 1000;
/// How long a [`Claim`] outlives who has it.
const LASTS: Duration = Duration::from_secs(5);
/// The checkpoint of a ledger that is being filled: up to where. 0, or none, once it is whole. Nobody may serve it before.
pub const UNFINISHED: &str = "copy";

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Copied now; what the target held before is not counted.
    pub events: u64,
    pub people: usize,
    /// Where both logs end.
    pub head: Head,
}

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the target holds another log: up to position {0} it is not the source's")]
    AnotherLog(Position),
    #[error(
        "the target ends at position {target}, which the source, ending at {source_end}, has not reached: it is another ledger"
    )]
    Longer { target: Position, source_end: Position },
    #[error("the source's log does not hold together at position {0}: `daybook verify` says more")]
    Broken(Position),
    #[error("the source is not whole itself: a copy into it, up to position {0}, was interrupted")]
    Unfinished(Position),
    #[error("a server carries the transfers of the target, or did until a moment ago: stop all that serve it")]
    Served,
    #[error("the source was written to meanwhile: stop whoever does, and run this again: it goes on")]
    Moved,
    #[error("the people in the target are not the source's")]
    OtherPeople,
    #[error("what was copied does not verify: {0}")]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    People(#[from] PeopleError),
}

/// Copies what `from` holds now into `to`, of which it has a claim where others may serve it, and verifies it, against `anchors` too. Fails where either is written to meanwhile.
///
/// `progress` is told how far it is, of how much: once for reading what is there, copying, and verifying.
pub async fn copy(
    from: &WriteDb,
    to: &WriteDb,
    claim: Option<&Claim>,
    anchors: &[Anchor],
    mut progress: impl FnMut(&str, Position, Position) + Send,
) -> Result<Copied, CopyError> {
    let unfinished = from.store.checkpoint(UNFINISHED).await?;
    if unfinished > Position(0) {
        return Err(CopyError::Unfinished(unfinished));
    }
    // Before the end: it vouches for what a transfer needs, and all that has to be in the copy.
    let done = from.store.checkpoint(process_manager::NAME).await?;
    let (end, begin) = (from.store.head().await?, to.store.head().await?);
    if begin.position > end.position {
        return Err(CopyError::Longer { target: begin.position, source_end: end.position });
    }
    let mut head = same_log(&*from.store, &begin, |position| progress("compared", position, begin.position)).await?;
    save(to, claim, UNFINISHED, end.position).await?;
    while head.position < end.position {
        let left = u32::try_from(end.position.0 - head.position.0).unwrap_or(CHUNK);
        let events = from.store.read_log(head.position, left.min(CHUNK)).await?;
        let before = head.position;
        for event in &events {
            if event.position != head.position.next() {
                return Err(CopyError::Broken(head.position.next()));
            }
            let hash = log_hash(&head.hash, &event.hash);
            head = Head { position: event.position, hash, recorded_at: event.recorded_at };
        }
        if events.is_empty() || (head.position == end.position && head.hash != end.hash) {
            return Err(CopyError::Broken(head.position));
        }
        to.store.append(before, &events, &head).await?;
        progress("copied", head.position, end.position);
    }
    let people = copy_people(from, to).await?;
    save(to, claim, process_manager::NAME, done).await?;
    verify(&*to.store, anchors, |position, head| progress("verified", position, head)).await?;
    let copied = to.store.head().await?;
    if copied != end {
        return Err(CopyError::AnotherLog(copied.position));
    }
    if from.store.head().await? != end || from.people.stored().await? != people {
        return Err(CopyError::Moved);
    }
    save(to, claim, UNFINISHED, Position(0)).await?;
    Ok(Copied { events: end.position.0 - begin.position.0, people: people.len(), head: end })
}

/// No server carries transfers in the ledger that this was taken of.
pub struct Claim {
    store: Arc<dyn EventStore>,
    lease: Lease,
    renewing: AbortOnDropHandle<()>,
}

impl Claim {
    /// Takes the place of a server that carries transfers; fails if there is one.
    pub async fn take(store: &Arc<dyn EventStore>) -> Result<Self, CopyError> {
        // Not the holder that a server on the same file is.
        let holder = format!("a copy into {}", store.holder());
        let lease = store.acquire(process_manager::NAME, &holder, LASTS).await?.ok_or(CopyError::Served)?;
        let renewing = tokio::spawn({
            let (store, lease) = (store.clone(), lease.clone());
            async move {
                loop {
                    tokio::time::sleep(LASTS / 3).await;
                    if let Err(error) = store.renew(&lease, LASTS).await {
                        tracing::warn!(%error, "a server may begin to carry transfers");
                    }
                }
            }
        });
        Ok(Self { store: store.clone(), lease, renewing: AbortOnDropHandle::new(renewing) })
    }

    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// A server can have it at once.
    pub async fn give_back(self) {
        self.renewing.abort();
        if let Err(error) = self.store.renew(&self.lease, Duration::ZERO).await {
            tracing::warn!(%error, "a server carries transfers a little later");
        }
    }
}

async fn save(to: &WriteDb, claim: Option<&Claim>, name: &str, position: Position) -> Result<(), StoreError> {
    match claim {
        Some(claim) => to.store.save_checkpoint_under(&claim.lease, name, position).await,
        None => to.store.save_checkpoint(name, position).await,
    }
}

/// `begin`, if the log in `store` comes by it.
async fn same_log(
    store: &dyn EventStore,
    begin: &Head,
    mut progress: impl FnMut(Position) + Send,
) -> Result<Head, CopyError> {
    let (mut position, mut hash) = (Position(0), GENESIS);
    while position < begin.position {
        let left = u32::try_from(begin.position.0 - position.0).unwrap_or(CHUNK);
        let events = store.read_log(position, left.min(CHUNK)).await?;
        let Some(last) = events.last() else { return Err(CopyError::Broken(position.next())) };
        position = last.position;
        hash = events.iter().fold(hash, |hash, event| log_hash(&hash, &event.hash));
        progress(position);
    }
    if hash == begin.hash { Ok(*begin) } else { Err(CopyError::AnotherLog(begin.position)) }
}

async fn copy_people(from: &WriteDb, to: &WriteDb) -> Result<Vec<StoredPerson>, CopyError> {
    let people = from.people.stored().await?;
    for person in &people {
        to.people.put(person).await?;
    }
    for due in from.people.ends_due().await? {
        to.people.put_end_due(&due).await?;
    }
    if to.people.stored().await? == people { Ok(people) } else { Err(CopyError::OtherPeople) }
}
