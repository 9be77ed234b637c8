//! How the command side stands.

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use tokio::sync::watch;

use super::{gauge, number};
use crate::{
    bus::{LogHead, kafka::RelayStatus},
    write::{process_manager::ProcessStatus, writer::Writer},
};

/// Where to look.
pub struct CommandParts {
    pub writer: Writer,
    /// Commands that may wait at most.
    pub queue: usize,
    pub heads: watch::Receiver<Option<LogHead>>,
    /// `None` where nothing is published.
    pub relay: Option<watch::Receiver<RelayStatus>>,
    pub transfers: watch::Receiver<ProcessStatus>,
}

/// The command side's metrics.
pub struct CommandMetrics {
    parts: CommandParts,
    gauges: CommandGauges,
    relay: Option<(watch::Receiver<RelayStatus>, RelayGauges)>,
}

pub(super) struct CommandGauges {
    queue: Gauge,
    queue_limit: Gauge,
    log: Gauge,
    parked: Gauge,
}

pub(super) struct RelayGauges {
    active: Gauge,
    position: Gauge,
    lag: Gauge,
    failing: Gauge,
}

impl CommandGauges {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            queue: gauge(registry, "queue_commands", "Commands that are taken and not answered yet"),
            queue_limit: gauge(registry, "queue_limit_commands", "Commands that may wait; more are answered 503"),
            log: gauge(registry, "log_position", "Where the log ends"),
            parked: gauge(registry, "process_manager_parked", "1 where transfers stand still"),
        }
    }
}

impl RelayGauges {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            active: gauge(registry, "relay_active", "1 where this node publishes, 0 where it stands by"),
            position: gauge(registry, "relay_position", "Up to where the brokers have all events"),
            lag: gauge(registry, "relay_lag_events", "Events that are stored and not published; 0 where it stands by"),
            failing: gauge(registry, "relay_failing", "1 where publishing does not go on"),
        }
    }
}

impl CommandMetrics {
    pub fn new(parts: CommandParts, registry: &mut Registry) -> Self {
        parts.writer.metrics().register(registry);
        let gauges = CommandGauges::new(registry);
        let relay = parts.relay.clone().map(|status| (status, RelayGauges::new(registry)));
        Self { parts, gauges, relay }
    }

    pub(super) fn look(&self) {
        let (parts, gauges) = (&self.parts, &self.gauges);
        gauges.queue.set(number(parts.writer.waiting(parts.queue)));
        gauges.queue_limit.set(number(parts.queue));
        let log = parts.heads.borrow().map(|head| head.position).unwrap_or_default();
        gauges.log.set(log.as_i64());
        gauges.parked.set(i64::from(matches!(*parts.transfers.borrow(), ProcessStatus::Parked { .. })));
        if let Some((status, relay)) = &self.relay {
            let status = status.borrow();
            relay.active.set(i64::from(status.holds));
            relay.position.set(status.published.as_i64());
            let lag = if status.holds { log.0.saturating_sub(status.published.0) } else { 0 };
            relay.lag.set(number(lag));
            relay.failing.set(i64::from(status.error.is_some()));
        }
    }
}
