//! What these tests are made of: a lease in memory, relays that can be ended, nodes that can be looked into.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use app::wire::{Envelope, Position};
use async_trait::async_trait;
use rdkafka::{ClientConfig, admin::AdminClient, client::DefaultClientContext, message::OwnedMessage};
use server::{
    bus::{
        Bus, BusError, BusStatus, Fence, Lease, LogSource,
        head::{HeadKeys, SignHead},
        kafka::{KafkaBus, KafkaSettings, Relay, RelayParts, RelayStatus, Topics},
    },
    read::feed,
    write::{keys::SigningKeys, log_source::head_signer},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
pub use crate::services::topic::LONG;
use crate::{
    history::{Log, Node, Place},
    services::topic,
};

/// On topics of their own. Holes are asked for soon.
pub fn settings(cluster: &Cluster) -> KafkaSettings {
    settings_at(&cluster.brokers)
}

pub fn settings_at(brokers: &str) -> KafkaSettings {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let url = format!("kafka://{brokers}/test-{}-{count}", std::process::id());
    let mut settings: KafkaSettings = url.parse().unwrap();
    settings.partitions = 3;
    settings.hole_age = Duration::from_millis(400);
    settings.look_for_partitions = Duration::from_millis(300);
    settings
}

pub fn signer() -> SignHead {
    head_signer(Arc::new(SigningKeys::from_seed([7; 32])))
}

pub fn head_keys() -> HeadKeys {
    HeadKeys::new([SigningKeys::from_seed([7; 32]).verifying_key()])
}

#[derive(Default)]
struct LeaseState {
    /// Its holder, and until when.
    held: Option<(Fence, Instant)>,
    last: i64,
    at: Position,
}

/// Stands in for the write database's table of leases.
pub struct MemoryLease {
    state: Mutex<LeaseState>,
    lasts: Duration,
    /// Without permits the checkpoint is not saved: as if its holder were killed in front of that.
    pub saves: Semaphore,
}

impl MemoryLease {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            lasts: Duration::from_secs(3),
            saves: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// As if its holder had not renewed it in time.
    pub fn lapse(&self) {
        self.state.lock().unwrap().held = None;
    }

    pub fn at(&self) -> Position {
        self.state.lock().unwrap().at
    }

    pub fn set_at(&self, position: Position) {
        self.state.lock().unwrap().at = position;
    }

    fn is_ours(held: Option<(Fence, Instant)>, fence: Fence) -> bool {
        held.is_some_and(|(holder, until)| holder == fence && until > Instant::now())
    }
}

#[async_trait]
impl Lease for MemoryLease {
    fn lasts(&self) -> Duration {
        self.lasts
    }

    async fn acquire(&self) -> Result<Option<Fence>, BusError> {
        let LeaseState { held, last, .. } = &mut *self.state.lock().unwrap();
        if held.is_some_and(|(_, until)| until > Instant::now()) {
            return Ok(None);
        }
        *last += 1;
        *held = Some((Fence(*last), Instant::now() + self.lasts));
        Ok(Some(Fence(*last)))
    }

    async fn renew(&self, fence: Fence) -> Result<bool, BusError> {
        let LeaseState { held, .. } = &mut *self.state.lock().unwrap();
        let ours = Self::is_ours(*held, fence);
        if ours {
            *held = Some((fence, Instant::now() + self.lasts));
        }
        Ok(ours)
    }

    async fn release(&self, fence: Fence) -> Result<(), BusError> {
        let LeaseState { held, .. } = &mut *self.state.lock().unwrap();
        if Self::is_ours(*held, fence) {
            *held = None;
        }
        Ok(())
    }

    async fn checkpoint(&self) -> Result<Position, BusError> {
        Ok(self.at())
    }

    async fn save_checkpoint(&self, fence: Fence, position: Position) -> Result<bool, BusError> {
        drop(self.saves.acquire().await.unwrap());
        let LeaseState { held, at, .. } = &mut *self.state.lock().unwrap();
        let ours = Self::is_ours(*held, fence);
        if ours {
            *at = position;
        }
        Ok(ours)
    }
}

/// A relay at work.
pub struct Running {
    pub status: watch::Receiver<RelayStatus>,
    cancelled: CancellationToken,
    task: JoinHandle<()>,
}

pub fn start_relay(settings: &KafkaSettings, log: &Arc<Log>, lease: &Arc<impl Lease + 'static>) -> Running {
    start_relay_on(settings, log.clone(), log, lease.clone())
}

/// Reads `source`, and is woken by `log`.
pub fn start_relay_on(
    settings: &KafkaSettings,
    source: Arc<dyn LogSource>,
    log: &Arc<Log>,
    lease: Arc<dyn Lease>,
) -> Running {
    let relay = Relay::new(RelayParts {
        settings: settings.clone(),
        log: source,
        appended: log.heads(),
        people: log.people_changes(),
        lease,
        sign: signer(),
        keys: head_keys(),
    });
    let (status, cancelled) = (relay.status(), CancellationToken::new());
    let task = relay.start(cancelled.clone());
    Running { status, cancelled, task }
}

impl Running {
    /// All up to `position` is acknowledged.
    pub async fn published(&self, position: Position) {
        let mut status = self.status.clone();
        let done = tokio::time::timeout(LONG, status.wait_for(|status| status.published >= position)).await;
        let done = done.map(|done| done.map(|_| ()).map_err(|_| ()));
        assert_eq!(done, Ok(Ok(())), "{position}: {:?}", self.status.borrow());
    }

    pub async fn stop(self) {
        self.cancelled.cancel();
        self.task.await.unwrap();
    }

    /// As a crash: nothing is saved, nothing given back.
    pub fn kill(self) {
        self.task.abort();
    }
}

/// A query node that has only a feed, and what it is made of.
pub struct Reading {
    pub node: Node,
    pub bus: Arc<dyn Bus>,
    cancelled: CancellationToken,
}

pub fn bus(settings: &KafkaSettings, cancelled: &CancellationToken) -> Arc<dyn Bus> {
    KafkaBus::start(settings.clone(), head_keys(), cancelled.clone()).unwrap()
}

impl Reading {
    pub async fn start(place: &Place, settings: &KafkaSettings) -> Self {
        let cancelled = CancellationToken::new();
        let bus = bus(settings, &cancelled);
        Self { node: place.start_on(vec![], bus.clone()).await, bus, cancelled }
    }

    pub fn status(&self) -> BusStatus {
        self.bus.status()
    }

    /// Its copy of the log becomes exactly this.
    pub async fn has(&self, events: &[Envelope]) {
        let head = Position(events.len() as u64);
        let mut position = self.node.side.feed_position();
        let reached = tokio::time::timeout(LONG, position.wait_for(|position| *position >= head)).await.is_ok();
        assert!(reached, "{:?} of {head}: {:?}", self.node.side.feed_position().borrow(), self.status());
        let mut tx = self.node.side.db.read().await.unwrap();
        let found = feed::read(&mut tx, Position(0), u32::MAX).await.unwrap();
        assert!(found == events, "{} events are not those {head}", found.len());
    }

    pub async fn stop(self) {
        self.cancelled.cancel();
        self.node.stop().await;
    }
}

/// Waits for a condition.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let reached = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, reached).await.is_ok(), "{what}");
}

pub fn client(settings: &KafkaSettings) -> ClientConfig {
    topic::client(&settings.brokers)
}

pub fn admin(settings: &KafkaSettings) -> AdminClient<DefaultClientContext> {
    topic::admin(&settings.brokers)
}

/// Everything on a topic, partition by partition.
pub fn all_messages(settings: &KafkaSettings, name: &str) -> Vec<OwnedMessage> {
    topic::all_messages(&settings.brokers, name)
}

pub fn topics(settings: &KafkaSettings) -> Topics {
    Topics::new(&settings.prefix)
}
