//! A store whose appends, lookups and reads can be held back and can fail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use app::{
    domain::{CommandId, EventId},
    wire::{Envelope, Position, StreamId, Version},
};
use async_trait::async_trait;
use server::write::store::{EventStore, Head, Lease, StoreError, Under};
use tokio::sync::{Semaphore, watch};

/// What happens to one append.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    HeadMoved,
    /// Another was faster, and the store does not answer any more.
    HeadMovedThenAway,
    Unavailable,
    /// Not stored, and the store does not answer any more: what a killed process leaves behind.
    Away,
    /// Neither this one nor any other is stored; the rest works.
    Full,
    /// Stored, but the answer is lost.
    UnknownStored,
    /// Not stored, and the answer is lost.
    UnknownLost,
    /// A bug.
    Panic,
    /// Stored, the answer is lost, and the store does not answer any more.
    UnknownStoredThenAway,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Works,
    /// Nothing can be appended.
    Full,
    /// All that can be known of the store is that it is away.
    Away,
}

/// Passes on what it is asked, unless a test wants it otherwise.
pub struct Faulty {
    inner: Arc<dyn EventStore>,
    /// For the next appends, in turn; `None` lets one through.
    script: Mutex<VecDeque<Option<Fault>>>,
    /// Each append takes one permit.
    gate: Semaphore,
    appends: watch::Sender<usize>,
    lookups: watch::Sender<usize>,
    /// What is read of this stream takes a permit each time before it arrives.
    slow: Mutex<Option<StreamId>>,
    slow_gate: Semaphore,
    slow_reads: watch::Sender<usize>,
    /// Behind which version a stream was read last.
    read_after: Mutex<Option<Version>>,
    state: watch::Sender<State>,
}

impl Faulty {
    /// Open, without faults.
    pub fn over(inner: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            script: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
            appends: watch::Sender::new(0),
            lookups: watch::Sender::new(0),
            slow: Mutex::default(),
            slow_gate: Semaphore::new(0),
            slow_reads: watch::Sender::new(0),
            read_after: Mutex::default(),
            state: watch::Sender::new(State::Works),
        })
    }

    /// Behind which version a stream was read last, since this was asked.
    pub fn read_after(&self) -> Option<Version> {
        self.read_after.lock().unwrap().take()
    }

    pub fn script(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.script.lock().unwrap().extend(faults);
    }

    /// Appends wait from now on.
    pub fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets so many appends through.
    pub fn release(&self, appends: usize) {
        self.gate.add_permits(appends);
    }

    /// What is read of this stream does not arrive from now on.
    pub fn hold_reads_of(&self, stream: StreamId) {
        *self.slow.lock().unwrap() = Some(stream);
    }

    /// Lets so many reads of it arrive.
    pub fn release_reads(&self, reads: usize) {
        self.slow_gate.add_permits(reads);
    }

    /// Waits until so many of them are on their way.
    pub async fn slow_reads(&self, count: usize) {
        self.slow_reads.subscribe().wait_for(|read| *read >= count).await.unwrap();
    }

    pub fn away(&self, away: bool) {
        self.state.send_replace(if away { State::Away } else { State::Works });
    }

    /// Waits until nothing can be appended any more.
    pub async fn fails(&self) {
        self.state.subscribe().wait_for(|state| *state != State::Works).await.unwrap();
    }

    /// Waits until so many appends were begun.
    pub async fn appends(&self, count: usize) {
        self.appends.subscribe().wait_for(|begun| *begun >= count).await.unwrap();
    }

    /// Waits until so many lookups of commands were begun.
    pub async fn lookups(&self, count: usize) {
        self.lookups.subscribe().wait_for(|begun| *begun >= count).await.unwrap();
    }

    async fn try_append(&self, append: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
        self.appends.send_modify(|begun| *begun += 1);
        self.gate.acquire().await.unwrap().forget();
        self.check()?;
        let lost = || Arc::new(sqlx::Error::WorkerCrashed);
        if *self.state.borrow() == State::Full {
            return Err(StoreError::Unavailable(lost()));
        }
        let fault = self.script.lock().unwrap().pop_front().flatten();
        match fault {
            None => append.await,
            Some(Fault::Panic) => panic!("a bug, as a test wants it"),
            Some(fault @ (Fault::HeadMoved | Fault::HeadMovedThenAway)) => {
                self.away(matches!(fault, Fault::HeadMovedThenAway));
                Err(StoreError::HeadMoved)
            }
            Some(Fault::Unavailable) => Err(StoreError::Unavailable(lost())),
            Some(Fault::Away) => {
                self.away(true);
                Err(StoreError::Unavailable(lost()))
            }
            Some(Fault::Full) => {
                self.state.send_replace(State::Full);
                Err(StoreError::Unavailable(lost()))
            }
            Some(Fault::UnknownLost) => Err(StoreError::OutcomeUnknown(lost())),
            Some(fault @ (Fault::UnknownStored | Fault::UnknownStoredThenAway)) => {
                append.await?;
                self.away(matches!(fault, Fault::UnknownStoredThenAway));
                Err(StoreError::OutcomeUnknown(lost()))
            }
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        if *self.state.borrow() == State::Away {
            Err(StoreError::Unavailable(Arc::new(sqlx::Error::PoolTimedOut)))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl EventStore for Faulty {
    async fn head(&self) -> Result<Head, StoreError> {
        self.check()?;
        self.inner.head().await
    }

    async fn append(&self, expected: Position, events: &[Envelope], new_head: &Head) -> Result<(), StoreError> {
        self.try_append(self.inner.append(expected, events, new_head)).await
    }

    async fn append_under(
        &self,
        under: Under<'_>,
        expected: Position,
        events: &[Envelope],
        new_head: &Head,
    ) -> Result<(), StoreError> {
        self.try_append(self.inner.append_under(under, expected, events, new_head)).await
    }

    async fn hold(&self) -> Result<Head, StoreError> {
        self.check()?;
        self.inner.hold().await
    }

    async fn release(&self) -> Result<(), StoreError> {
        self.inner.release().await
    }

    fn heard(&self) -> Option<watch::Receiver<Position>> {
        self.inner.heard()
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.check()?;
        self.inner.read_log(after, limit).await
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        self.check()?;
        *self.read_after.lock().unwrap() = Some(after);
        let read = self.inner.read_stream(stream, after, limit).await;
        let slow = *self.slow.lock().unwrap() == Some(stream);
        if slow {
            self.slow_reads.send_modify(|read| *read += 1);
            self.slow_gate.acquire().await.unwrap().forget();
        }
        read
    }

    async fn find_commands(&self, commands: &[CommandId]) -> Result<Vec<Envelope>, StoreError> {
        self.lookups.send_modify(|begun| *begun += 1);
        self.check()?;
        self.inner.find_commands(commands).await
    }

    async fn find_event(&self, event: EventId) -> Result<Option<Envelope>, StoreError> {
        self.check()?;
        self.inner.find_event(event).await
    }

    async fn checkpoint(&self, name: &str) -> Result<Position, StoreError> {
        self.check()?;
        self.inner.checkpoint(name).await
    }

    async fn save_checkpoint(&self, name: &str, position: Position) -> Result<(), StoreError> {
        self.check()?;
        self.inner.save_checkpoint(name, position).await
    }

    async fn save_checkpoint_under(&self, lease: &Lease, name: &str, position: Position) -> Result<(), StoreError> {
        self.check()?;
        self.inner.save_checkpoint_under(lease, name, position).await
    }

    fn holder(&self) -> String {
        self.inner.holder()
    }

    async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.check()?;
        self.inner.acquire(name, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.check()?;
        self.inner.renew(lease, ttl).await
    }
}
