//! The event store: an append-only log of events, one trait, one contract for every implementation.

mod postgres;
mod sqlite;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Hash, Position, StreamId, StreamKind, Version},
};
use async_trait::async_trait;
use sqlx::{migrate::Migrator, pool::PoolOptions};
use tokio::sync::watch;

pub use postgres::{OpenError, PostgresStore};
pub use sqlite::{SqliteStore, connect_options, into_one_file};

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub position: Position,
    /// Running hash over all events up to `position`.
    pub hash: Hash,
    /// Recorded time of the event at `position`, microseconds since 1970; 0 in an empty log.
    pub recorded_at: i64,
}

impl Head {
    /// Before the first event.
    pub const EMPTY: Self = Self { position: Position(0), hash: app::wire::GENESIS, recorded_at: 0 };
}

/// The right to do what only one process does at a time, until someone else has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    /// Grows with each new holder: tells a former one apart, however late it wakes up.
    pub fence: i64,
}

/// On which conditions something is appended.
#[derive(Debug, Clone, Copy)]
pub struct Under<'a> {
    /// Nobody else has taken it over.
    pub lease: &'a Lease,
    /// These events, which it follows from, are in the log still: a server may have failed over to a copy that lacks them.
    pub causes: &'a [EventId],
}

/// What the database said.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why the store did not do it. Cloned to everyone whose command was in the batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another writer appended meanwhile: nothing was stored.
    #[error("the log has moved on")]
    HeadMoved,
    /// An event id is in the log already: nothing was stored. Look the commands up.
    #[error("one of these commands was stored before")]
    AlreadyStored,
    /// Someone else has the lease by now, or what it was to follow from is in the log no more: nothing was stored.
    #[error("the lease was taken over, or the log was replaced")]
    FencedOff,
    /// Nothing was stored; try again.
    #[error("the event store is not available")]
    Unavailable(#[source] Cause),
    /// The commit was sent but its answer was lost: it may be stored or not.
    #[error("whether the commit happened is not known")]
    OutcomeUnknown(#[source] Cause),
    /// What is stored does not read, or does not fit together.
    #[error("the event store holds something unreadable at {at}: {what}")]
    Corrupt { at: String, what: String },
}

/// An append-only log. W1: `append` returns after the fsync. W3: positions are gapless and visible in order.
#[async_trait]
pub trait EventStore: Send + Sync {
    async fn head(&self) -> Result<Head, StoreError>;

    /// Appends `events` and moves the head to `new_head` in one durable transaction, if the head is still `expected`.
    ///
    /// May block its thread while it does. `events` follow `expected` without a gap and end at `new_head`; each stream's versions go on without a gap.
    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError>;

    /// [`Self::append`] on these conditions, which are checked in the same transaction: else [`StoreError::FencedOff`].
    async fn append_under(
        &self,
        under: Under<'_>,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError>;

    /// Has other writers wait until this store's next append or `release`, where there can be others, and says where
    /// the log ends. It can be lost at any time: then the append says so.
    async fn hold(&self) -> Result<Head, StoreError> {
        self.head().await
    }

    /// Gives back what `hold` took.
    async fn release(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Where the log ends as far as this process has heard, its own appends included; `None` where no one else appends.
    fn heard(&self) -> Option<watch::Receiver<Position>> {
        None
    }

    /// Up to `limit` events of all streams after `after`, in order.
    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError>;

    /// Up to `limit` events of one stream after `after`, in order.
    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError>;

    /// The events that these commands led to, in order of position; nothing for commands that are not in the log.
    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError>;

    /// One event by id.
    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError>;

    /// How far the reader `name` has come; 0 if it never said.
    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError>;

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError>;

    /// [`Self::save_checkpoint`], unless someone else has taken over `lease`: checked in the same transaction.
    async fn save_checkpoint_under(&self, lease: &Lease, name: &str, position: Position) -> Result<(), StoreError>;

    /// Who this process is among those that share the log. Where there is only one, the same after each start, so that
    /// it need not wait for its own old leases.
    fn holder(&self) -> String {
        "the only process".to_owned()
    }

    /// Takes the lease `name` for `holder` if nobody has it, or `holder` itself, with a new fence; `None` if someone
    /// else has it. It lasts for `ttl` by the database's clock.
    async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError>;

    /// Has the lease last for `ttl` from now; [`StoreError::FencedOff`] if someone else has taken it over.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError>;
}

/// A pool of one connection that is in one transaction from `begin` on: all that is read through it is of one moment.
fn one_moment<DB: sqlx::Database>(options: PoolOptions<DB>, begin: &'static str) -> PoolOptions<DB>
where
    for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
{
    let begun = AtomicBool::new(false);
    let options = options.max_connections(1).idle_timeout(None).max_lifetime(None).test_before_acquire(false);
    options.after_connect(move |connection, _| {
        let again = begun.swap(true, Ordering::Relaxed);
        Box::pin(async move {
            if again {
                let lost = "the connection was lost, and with it the moment that was being read";
                return Err(sqlx::Error::Protocol(lost.to_owned()));
            }
            sqlx::raw_sql(begin).execute(connection).await.map(drop)
        })
    })
}

/// The version of the tables that this program needs.
fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// How a database spells a stream's kind, for ever.
fn kind_number(kind: StreamKind) -> i16 {
    match kind {
        StreamKind::Account => 1,
        StreamKind::Transfer => 2,
        StreamKind::Session => 3,
        StreamKind::User => 4,
        StreamKind::Projection => 5,
    }
}

fn kind_of(number: i16) -> Option<StreamKind> {
    StreamKind::ALL.into_iter().find(|kind| kind_number(*kind) == number)
}

/// [`EventStore::find_commands`], by a lookup of events.
async fn find_commands<F: Future<Output = Result<Vec<Envelope>, StoreError>>>(
    commands: &[CommandId],
    find_events: impl Fn(Vec<EventId>) -> F,
) -> Result<Vec<Envelope>, StoreError> {
    // A command's event ids follow from its own: the first are looked up, and of those found the next, until
    // there are no more.
    let mut found = Vec::new();
    let mut wanted = commands.to_vec();
    for index in 0.. {
        let ids: Vec<EventId> = wanted.iter().map(|command| EventId::derive(*command, index)).collect();
        let events = find_events(ids).await?;
        if events.is_empty() {
            break;
        }
        let there: HashSet<EventId> = events.iter().map(|event| event.event_id).collect();
        wanted.retain(|command| there.contains(&EventId::derive(*command, index)));
        found.extend(events);
    }
    found.sort_unstable_by_key(|event: &Envelope| event.position);
    Ok(found)
}
