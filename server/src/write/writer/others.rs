//! Other processes that append to the same log.
//!
//! What they append is followed into the cache: when the store hears of it, and when a batch finds that the log has moved
//! on. Two batches in a row that others were faster than, and this writer takes its turn: it holds the log, follows,
//! decides, appends, and does so until it meets no one else any more; for as long as that is quick. A refusal is final
//! only if its command was not in the log behind the last event of others that it rests on.

use std::{sync::Arc, time::Duration};

use app::wire::{Position, log_hash};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{job::Done, run::Loop};
use crate::write::store::{Head, StoreError};

/// Misses after which the log is held.
const HOLD_AFTER: u8 = 2;
/// Most events of others that are followed one by one; behind more, the cache is dropped.
const FOLLOWED: u64 = 4096;
/// How long the store may take to say where the log ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the others are kept out, at most, for streams that are still read. Much shorter than the store has patience
/// with one that holds the log and says nothing.
const HOLD: Duration = Duration::from_millis(250);
/// When to look again for the end of the log while the store does not answer.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Whether this writer keeps the others out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Free,
    Asking,
    Held,
    Releasing,
}

/// How this writer stands with the others.
pub(super) struct Others {
    /// There can be some.
    pub(super) exist: bool,
    /// They have appended: nothing is decided until it is known what.
    pub(super) behind: bool,
    pub(super) hold: Hold,
    /// When this writer's turn is over, whatever it still waits for.
    pub(super) until: Option<Instant>,
    /// Batches in a row that they were faster than.
    misses: u8,
    /// They did not append between this writer's last turn and this one.
    calm: bool,
    /// The store did not answer; when to look again.
    pub(super) again: Option<Instant>,
}

impl Others {
    pub(super) fn new(exist: bool) -> Self {
        Self { exist, behind: true, hold: Hold::Free, until: None, misses: 0, calm: false, again: None }
    }

    /// There are so many of them that this writer decides in its turn only.
    fn crowded(&self) -> bool {
        self.misses >= HOLD_AFTER
    }

    pub(super) fn holding(&self) -> bool {
        self.hold == Hold::Held
    }

    pub(super) fn may_decide(&self) -> bool {
        !self.behind && (!self.crowded() || self.holding())
    }

    /// Whether to listen: what was heard already is being looked at otherwise.
    pub(super) fn listening(&self) -> bool {
        !self.behind && self.again.is_none()
    }

    /// Whether to look again after a while: not while it is known that there is something to look at.
    pub(super) fn looks_again(&self) -> bool {
        !self.behind && self.again.is_some()
    }

    /// Whether a refusal that rests on their events up to `theirs` may be one of a command that they stored meanwhile.
    pub(super) fn spoil(&self, looked_up: Position, theirs: Position) -> bool {
        self.exist && looked_up < theirs
    }

    pub(super) fn missed(&mut self) {
        if self.exist {
            self.misses = (self.misses + 1).min(HOLD_AFTER);
        }
    }

    pub(super) fn won(&mut self) {
        if !self.crowded() || self.calm {
            self.misses = 0;
        }
    }
}

impl Loop {
    /// Takes in what others have appended, unless a commit is under way that will tell.
    pub(super) async fn catch_up(&mut self) {
        if !self.others.behind || self.committing || self.others.hold != Hold::Free {
            return;
        }
        self.others.again = None;
        let void = std::mem::take(&mut self.pending);
        if !void.is_empty() {
            self.others.missed();
        }
        if let Some(committed) = self.committed {
            self.tip = committed;
            self.take_back(void.streams().collect());
        }
        self.backlog.extend(void.into_jobs());
        if let Err(error) = self.look().await {
            self.lose_sight(error);
        }
    }

    /// Follows the log to its end. All wait for that: a store that takes long does not answer.
    pub(super) async fn look(&mut self) -> Result<(), StoreError> {
        let late = |late| Err(StoreError::Unavailable(Arc::new(sqlx::Error::Io(late))));
        let head = timeout(PATIENCE, self.store.head()).await.unwrap_or_else(|elapsed| late(elapsed.into()))?;
        self.follow(head).await
    }

    /// The end of the log is not known any more.
    fn lose_sight(&mut self, error: StoreError) {
        tracing::warn!(%error, "the end of the log could not be read");
        self.away = Some(error);
        self.forget_all();
        self.others.behind = false;
        self.others.again = Some(Instant::now() + LOOK_AGAIN);
    }

    /// The log ends at `head`: what is there since this writer looked last is taken into the cache. Nothing is decided
    /// ahead of it.
    pub(super) async fn follow(&mut self, head: Head) -> Result<(), StoreError> {
        let count = self.committed.and_then(|known| head.position.0.checked_sub(known.position.0));
        match (self.committed, count) {
            (Some(known), Some(0)) if known.hash == head.hash => {}
            (Some(known), Some(count @ 1..=FOLLOWED)) => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                let events = self.store.read_log(known.position, count).await?;
                let upcasters = self.settings.upcasters;
                if events.iter().fold(known.hash, |hash, event| log_hash(&hash, &event.hash)) != head.hash {
                    // The log that goes on is another one: a copy that lagged took over, and has grown since.
                    self.forget_all();
                }
                for event in &events {
                    if let Some(loading) = self.loading.get_mut(&event.stream) {
                        loading.seen = event.version;
                    }
                    let follows = self.cache.with(event.stream, |entry| {
                        let next = entry.version.next() == event.version;
                        entry.theirs = event.position;
                        // Read from the store not long ago, it can know the event already.
                        if next { entry.take_in(event, upcasters).is_ok() } else { entry.version >= event.version }
                    });
                    if follows == Some(false) {
                        self.cache.forget(event.stream);
                    }
                }
            }
            _ => self.forget_all(),
        }
        (self.committed, self.tip) = (Some(head), head);
        (self.others.behind, self.others.again) = (false, None);
        // An empty log is said, too.
        self.heads.send_if_modified(|known| std::mem::replace(known, head) != head || head == Head::EMPTY);
        Ok(())
    }

    /// Asks for this writer's turn when it needs one, and gives it back when nothing came of it.
    pub(super) fn hold_or_release(&mut self) {
        let nothing_decided = !self.committing && self.pending.is_empty();
        let store = self.store.clone();
        match self.others.hold {
            Hold::Free if self.others.crowded() && nothing_decided && !self.backlog.is_empty() => {
                self.others.hold = Hold::Asking;
                self.tasks.spawn(async move { Done::Held(store.hold().await) });
            }
            Hold::Held if nothing_decided && self.turn_is_over() => {
                self.others.hold = Hold::Releasing;
                self.tasks.spawn(async move {
                    if let Err(error) = store.release().await {
                        tracing::debug!(%error, "the log was not given back; it will be");
                    }
                    Done::Released
                });
            }
            Hold::Free | Hold::Asking | Hold::Held | Hold::Releasing => {}
        }
    }

    /// It is this writer's turn, unless the store failed.
    pub(super) async fn held(&mut self, result: Result<Head, StoreError>) {
        let head = match result {
            Ok(head) => head,
            Err(error) => {
                self.others.hold = Hold::Free;
                // Whoever answers next may be another server.
                self.forget_all();
                self.refuse_backlog(&error);
                return;
            }
        };
        (self.others.hold, self.others.until) = (Hold::Held, Some(Instant::now() + HOLD));
        self.others.calm = self.committed.is_some_and(|known| known.position == head.position);
        if let Err(error) = self.follow(head).await {
            self.lose_sight(error);
        }
    }
}

/// Returns when the log is heard to end behind `known`.
pub(super) async fn further(heard: &mut Option<watch::Receiver<Position>>, known: Position) {
    if let Some(heard) = heard
        && heard.wait_for(|position| *position > known).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
