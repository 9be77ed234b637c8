//! A store that dies on its own: what a killed process leaves behind, without killing one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Position, StreamId, Version},
};
use async_trait::async_trait;
use server::write::store::{EventStore, Head, Lease, StoreError};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Death {
    /// The process dies before the append that is one too many.
    BeforeTheAppend,
    /// It dies after the last allowed append was committed, before anyone heard of it.
    AfterTheAppend,
    /// It lives on, but nothing can be appended: the disk is full, say.
    AppendsFail,
}

/// A store that dies after so many appends: nothing works any more, as in a process that was killed.
pub struct DyingStore {
    inner: Arc<dyn EventStore>,
    left: AtomicUsize,
    death: Death,
    dead: watch::Sender<bool>,
}

impl DyingStore {
    /// Dies after so many appends, and says so on `dead`.
    pub fn new(inner: Arc<dyn EventStore>, appends: usize, death: Death, dead: watch::Sender<bool>) -> Self {
        Self { inner, left: AtomicUsize::new(appends), death, dead }
    }

    fn gone() -> StoreError {
        StoreError::Unavailable(Arc::new(sqlx::Error::WorkerCrashed))
    }

    fn alive(&self) -> Result<(), StoreError> {
        if *self.dead.borrow() && self.death != Death::AppendsFail { Err(Self::gone()) } else { Ok(()) }
    }

    async fn try_append(&self, append: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
        self.alive()?;
        if self.left.load(Ordering::SeqCst) == 0 {
            return self.die();
        }
        append.await?;
        let last = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.death == Death::AfterTheAppend { self.die() } else { Ok(()) }
    }

    fn die(&self) -> Result<(), StoreError> {
        self.dead.send_replace(true);
        Err(Self::gone())
    }
}

#[async_trait]
impl EventStore for DyingStore {
    async fn head(&self) -> Result<Head, StoreError> {
        self.alive()?;
        self.inner.head().await
    }

    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError> {
        self.try_append(self.inner.append(expected, events, new_head)).await
    }

    async fn append_under(
        &self,
        lease: &Lease,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        self.try_append(self.inner.append_under(lease, expected, events, new_head)).await
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.alive()?;
        self.inner.read_log(after, limit).await
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.alive()?;
        self.inner.read_stream(stream, after, limit).await
    }

    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError> {
        self.alive()?;
        self.inner.find_commands(commands).await
    }

    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError> {
        self.alive()?;
        self.inner.find_event(event).await
    }

    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError> {
        self.alive()?;
        self.inner.checkpoint(name).await
    }

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError> {
        self.alive()?;
        self.inner.save_checkpoint(name, position).await
    }

    async fn save_checkpoint_under(&self, lease: &Lease, name: &str, position: Position) -> Result<(), StoreError> {
        self.alive()?;
        self.inner.save_checkpoint_under(lease, name, position).await
    }

    async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.alive()?;
        self.inner.acquire(name, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.alive()?;
        self.inner.renew(lease, ttl).await
    }
}
