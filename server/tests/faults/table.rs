//! The table of faults, from top to bottom.

use std::{sync::Arc, time::Duration};

use super::{
    bank::Bank,
    broker,
    choices::{Choices, setting},
    clock, database,
    deployment::Deployment,
    disk, embedded, live, mock, nodes, rest, steps,
    subscriber::Subscriber,
    summary::{Summary, Trial},
    views,
};

/// Commands a second, so that the faults have something of the machine, too.
const RATE: u64 = 150;

/// Times for each kind of fault.
#[derive(Clone)]
struct Times {
    kills: u64,
    others: u64,
    outage: Duration,
    only: Option<String>,
}

impl Times {
    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only.split(',').any(|one| one == part))
    }
}

/// A deployment, the bank that works on it, and who listens.
struct Run {
    summary: Summary,
    choices: Choices,
    bank: Arc<Bank>,
    listening: Vec<Subscriber>,
    /// What happened since everything was looked at.
    tried: Vec<(Trial, u64, String)>,
    /// Looks at everything after each kind of fault, not only after a group of them.
    thorough: bool,
    all: Deployment,
}

impl Run {
    async fn start(summary: Summary, mut choices: Choices, thorough: bool) -> Self {
        let all = Deployment::start().await;
        let bank = Bank::open(all.doors(), RATE, &mut choices).await;
        let listening = bank.subscribe().await;
        Self { summary, choices, bank, listening, tried: Vec::new(), thorough, all }
    }

    /// The bank works; `fault` happens.
    async fn series(
        &mut self,
        what: &str,
        times: u64,
        fault: impl AsyncFnOnce(&mut Deployment, &Arc<Bank>, &mut Choices) -> String,
    ) {
        let trial = self.summary.try_out(what);
        let work = self.bank.work(&mut self.choices);
        let found = fault(&mut self.all, &self.bank, &mut self.choices).await;
        work.stop().await;
        self.tried.push((trial, times, found));
        if self.thorough {
            self.rest().await;
        }
    }

    /// Everything has to hold.
    async fn rest(&mut self) {
        if !self.tried.is_empty() {
            rest::at_rest(&mut self.all, &self.bank, &mut self.listening).await;
            self.tried.drain(..).for_each(|(trial, times, found)| trial.found(times, found));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nothing_acknowledged_is_lost_doubled_or_skipped() {
    let seed = setting("DAYBOOK_TEST_SEED", 20_261_123);
    let times = Times {
        kills: setting("DAYBOOK_TEST_KILLS", 20),
        others: setting("DAYBOOK_TEST_FAULTS", 1),
        outage: Duration::from_secs(setting("DAYBOOK_TEST_OUTAGE", 5)),
        only: std::env::var("DAYBOOK_TEST_FAULT").ok(),
    };
    let (summary, mut choices) = (Summary::begin(seed), Choices::new(seed));
    // Beside each other: much of it is waiting.
    let alone = tokio::spawn(in_one_process(summary.clone(), choices.fork(), times.clone()));
    let apart = async {
        if ["kills", "postgres", "cuts", "brokers", "paused", "topics", "views"].iter().any(|part| times.wants(part)) {
            sides_apart(&summary, choices.fork(), &times).await;
        }
    };
    let mocked = async {
        if times.wants("mock") {
            let trial = summary.try_out("errors, time-outs and lost answers of a MockCluster");
            let (troubles, found) = mock::misbehaves().await;
            trial.found(troubles, found);
        }
    };
    tokio::join!(apart, mocked);
    alone.await.unwrap();
}

async fn in_one_process(summary: Summary, mut choices: Choices, times: Times) {
    let choices = &mut choices;
    let n = times.others;
    if times.wants("embedded") {
        let trial = summary.try_out("kill -9 of the embedded server");
        let found = embedded::killed(choices, RATE, times.kills).await;
        trial.found(times.kills, found);
        let trial = summary.try_out("kill -9 between any two steps of a transfer");
        let (kills, found) = steps::killed_between(choices, RATE).await;
        trial.found(kills, found);
    }
    if times.wants("disk") {
        let trial = summary.try_out("disk full, disk read-only");
        let found = disk::full(choices, RATE, n).await;
        trial.found(n, found);
        let trial = summary.try_out("the log made read-only under a running node");
        let found = disk::read_only(choices, RATE, n).await;
        trial.found(n, found);
    }
    if times.wants("clock") {
        let trial = summary.try_out("clock set back between events");
        let found = clock::set_back(choices, 500 * n).await;
        trial.found(500 * n, found);
    }
    if times.wants("live") {
        let trial = summary.try_out("live readers who take nothing");
        let found = live::slow_reader(choices, 2 * RATE, 500 * n).await;
        trial.found(1, found);
        let streams = setting("DAYBOOK_TEST_STREAMS", 2_000);
        let trial = summary.try_out("live streams opened and dropped");
        let found = live::come_and_go(choices, RATE, usize::try_from(streams).unwrap()).await;
        trial.found(streams, found);
    }
}

async fn sides_apart(summary: &Summary, choices: Choices, times: &Times) {
    let mut run = Run::start(summary.clone(), choices, times.others > 1).await;
    let (kills, n, cuts, outage) = (times.kills, times.others, 3 * times.others, times.outage);
    // While there is little to restore.
    if times.wants("views") {
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| views::dropped(all, bank, n).await;
        run.series("read databases deleted and dropped while running", 2 * n, fault).await;
    }
    if times.wants("kills") {
        let fault = async |all: &mut _, bank: &Arc<_>, choices: &mut _| nodes::killed(all, bank, choices, kills).await;
        run.series("kill -9 of a node", kills, fault).await;
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| nodes::told_to_end(all, bank, n).await;
        run.series("SIGTERM to a node at work", 4 * n, fault).await;
    }
    if times.wants("postgres") {
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| database::killed(all, bank, n).await;
        run.series("kill -9 and immediate stop of PostgreSQL", 2 * n, fault).await;
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| database::frozen(all, bank, n).await;
        run.series("PostgreSQL stands still and says nothing", n, fault).await;
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| database::out_of_reach(all, bank, n).await;
        run.series("one node's network to PostgreSQL loses everything for a while", 2 * n, fault).await;
    }
    run.rest().await;
    if times.wants("cuts") {
        let fault = async |all: &mut _, bank: &Arc<_>, choices: &mut _| {
            database::cut_behind_commit(all, bank, choices, cuts).await
        };
        run.series("connection cut between COMMIT and its answer", cuts, fault).await;
        let fault = async |all: &mut _, bank: &Arc<_>, choices: &mut _| {
            database::cut_at_random(all, bank, choices, 2 * cuts).await
        };
        run.series("connections cut at random moments", 2 * cuts, fault).await;
    }
    run.rest().await;
    if times.wants("brokers") {
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| broker::one_of_three_killed(all, bank, n).await;
        run.series("one of three brokers killed", 3 * n, fault).await;
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| broker::all_stopped(all, bank, outage).await;
        run.series(&format!("all brokers gone for {} s", outage.as_secs()), 1, fault).await;
    }
    if times.wants("paused") {
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| nodes::paused(all, bank, n).await;
        run.series("relay and process manager paused past their leases", 2 * n, fault).await;
    }
    run.rest().await;
    let trial = summary.try_out("B1: the topic, after all that");
    trial.found(1, nodes::first_copies_are_in_stream_order(&run.all).await);
    if times.wants("topics") {
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| broker::topics_deleted(all, bank, n).await;
        run.series("topics deleted", n, fault).await;
        let fault = async |all: &mut _, bank: &Arc<_>, _: &mut _| broker::partitions_added(all, bank, n).await;
        run.series("topic given more partitions", n, fault).await;
    }
    run.rest().await;
    summary.try_out("the bank over all this").found(run.bank.done(), run.bank.counts());
}
