//! What the writer counts, for whoever looks from outside.

use std::time::{Duration, Instant};

use app::wire::Receipt;
use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::SubmitError;

type Outcomes = Family<[(&'static str, &'static str); 1], Counter>;

/// All that can become of a command.
const OUTCOMES: [&str; 11] = [
    "stored",
    "repeated",
    "unchanged",
    "rejected",
    "id_reused",
    "version_mismatch",
    "busy",
    "unavailable",
    "too_large",
    "corrupt",
    "internal",
];

/// Counted from the writer's start; clones count together.
#[derive(Debug, Clone)]
pub struct WriterMetrics {
    commands: Outcomes,
    answered: Histogram,
    batch: Histogram,
    commit: Histogram,
    failed: Counter,
}

impl Default for WriterMetrics {
    fn default() -> Self {
        let commands = Outcomes::default();
        for outcome in OUTCOMES {
            // A rate needs a beginning, which is 0.
            commands.get_or_create(&[("outcome", outcome)]).inc_by(0);
        }
        Self {
            commands,
            // 0.5 ms to 8 s.
            answered: Histogram::new(exponential_buckets(0.0005, 2.0, 15)),
            // 1 to 4096 events.
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            // 0.1 ms to 3 s.
            commit: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
            failed: Counter::default(),
        }
    }
}

impl WriterMetrics {
    /// Shows them in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("commands", "Commands by what became of them", self.commands.clone());
        let help = "From when a command was taken to its answer";
        registry.register_with_unit("command_duration", help, Unit::Seconds, self.answered.clone());
        registry.register("commit_batch_events", "Events that went into one commit", self.batch.clone());
        registry.register_with_unit("commit_duration", "How long a commit took", Unit::Seconds, self.commit.clone());
        let help = "Commits that failed, were overtaken by another node, or of which it is not known";
        registry.register("commit_failures", help, self.failed.clone());
    }

    pub(super) fn answered(&self, answer: &Result<Receipt, SubmitError>, since: Instant) {
        self.commands.get_or_create(&[("outcome", outcome(answer))]).inc();
        self.answered.observe(since.elapsed().as_secs_f64());
    }

    pub(super) fn committed(&self, events: usize, took: Duration) {
        self.batch.observe(f64::from(u32::try_from(events).unwrap_or(u32::MAX)));
        self.commit.observe(took.as_secs_f64());
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }
}

fn outcome(answer: &Result<Receipt, SubmitError>) -> &'static str {
    match answer {
        Ok(receipt) if receipt.repeated => "repeated",
        Ok(receipt) if receipt.events.is_empty() => "unchanged",
        Ok(_) => "stored",
        Err(SubmitError::Rejected(_)) => "rejected",
        Err(SubmitError::IdReused) => "id_reused",
        Err(SubmitError::VersionMismatch { .. }) => "version_mismatch",
        Err(SubmitError::Busy { .. }) => "busy",
        Err(SubmitError::Unavailable(_)) => "unavailable",
        Err(SubmitError::TooLarge { .. }) => "too_large",
        Err(SubmitError::Corrupt(_)) => "corrupt",
        Err(SubmitError::Internal(_)) => "internal",
    }
}
