//! How the query side stands.

use std::sync::Arc;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::sync::watch;

use super::{gauge, number};
use crate::read::{ReadSide, hub::Hub};

/// A gauge for each projection.
type Gauges = Family<[(&'static str, &'static str); 1], Gauge>;

/// The query side's metrics.
pub struct QueryMetrics {
    /// The ones at work: they begin anew where the read database is lost.
    read: watch::Receiver<Arc<ReadSide>>,
    hub: watch::Receiver<Arc<Hub>>,
    gauges: QueryGauges,
}

pub(super) struct QueryGauges {
    feed: Gauge,
    head_known: Gauge,
    waiting: Gauge,
    position: Gauges,
    lag: Gauges,
    parked: Gauges,
    rebuilding: Gauges,
    subscribers: Gauge,
    topics: Gauge,
    foreign: Counter,
    damaged: Counter,
}

impl QueryGauges {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let mut by_projection = |name: &str, help: &str| {
            let gauges = Gauges::default();
            registry.register(name, help, gauges.clone());
            gauges
        };
        let position = by_projection("projection_position", "What a projection shows");
        let lag =
            by_projection("projection_lag_events", "Events not shown yet; absent where the log's end is not known");
        let parked = by_projection("projection_parked", "1 where a projection waits for an admin");
        let rebuilding = by_projection("projection_rebuilding", "1 while a projection is rebuilt");
        let (foreign, damaged) = (Counter::default(), Counter::default());
        registry.register("bus_foreign_messages", "Messages on the topic that are not Daybook's", foreign.clone());
        registry.register("bus_damaged_messages", "Copies of events that were cut off or altered", damaged.clone());
        Self {
            feed: gauge(registry, "feed_position", "Up to where this node has the log"),
            head_known: gauge(registry, "log_head_known", "0 where nothing was heard of the log's end for 10 seconds"),
            waiting: gauge(registry, "feed_waiting", "1 where a position has not come"),
            position,
            lag,
            parked,
            rebuilding,
            subscribers: gauge(registry, "live_subscribers", "Open live streams"),
            topics: gauge(registry, "live_topics", "What they listen to"),
            foreign,
            damaged,
        }
    }
}

#[cfg(feature = "command")]
impl QueryGauges {
    /// Shows `projection` from its beginning.
    pub(super) fn begin(&self, projection: &'static str) {
        for gauges in [&self.position, &self.lag, &self.parked, &self.rebuilding] {
            gauges.get_or_create(&[("projection", projection)]).set(0);
        }
    }
}

impl QueryMetrics {
    pub fn new(read: watch::Receiver<Arc<ReadSide>>, hub: watch::Receiver<Arc<Hub>>, registry: &mut Registry) -> Self {
        Self { read, hub, gauges: QueryGauges::new(registry) }
    }

    pub(super) fn look(&self) {
        let (read, hub) = (self.read.borrow().clone(), self.hub.borrow().clone());
        let (gauges, status) = (&self.gauges, read.status());
        gauges.feed.set(status.feed.as_i64());
        gauges.head_known.set(i64::from(status.head.is_some()));
        gauges.waiting.set(i64::from(status.waiting.is_some()));
        for projection in read.projections() {
            let Some(found) = status.projections.iter().find(|found| found.name == projection) else { continue };
            let of = [("projection", projection)];
            gauges.position.get_or_create(&of).set(found.checkpoint.as_i64());
            match found.lag {
                Some(lag) => {
                    gauges.lag.get_or_create(&of).set(number(lag));
                }
                None => {
                    gauges.lag.remove(&of);
                }
            }
            gauges.parked.get_or_create(&of).set(i64::from(found.parked.is_some()));
            gauges.rebuilding.get_or_create(&of).set(i64::from(found.rebuilding.is_some()));
        }
        gauges.subscribers.set(number(hub.open_streams()));
        gauges.topics.set(number(hub.open_topics()));
        let bus = read.bus_status();
        count_up(&gauges.foreign, bus.foreign);
        count_up(&gauges.damaged, bus.damaged);
    }
}

/// What is counted elsewhere, since this process started.
fn count_up(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
