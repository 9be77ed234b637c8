//! Nodes that are killed, and nodes that are stopped for longer than their leases last and wake up late.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    bank::Bank,
    choices::Choices,
    deployment::{Deployment, RELAY, TRANSFERS},
};
use crate::services::{
    node::LONG,
    topic::{all_messages, assert_first_copies_in_stream_order},
};

/// Leases last 5 s, and the machine is busy.
const SOON: Duration = Duration::from_secs(30);

/// `kill -9` of a command node, a query node, or the relay's holder, at random moments.
pub async fn killed(all: &mut Deployment, bank: &Bank, choices: &mut Choices, times: u64) -> String {
    let mut killed = [0; 3];
    for _ in 0..times {
        bank.does(10 + choices.below(80)).await;
        let kind = choices.index(3);
        killed[kind] += 1;
        let (nodes, number) = match kind {
            0 => (&mut all.commands, choices.index(2)),
            1 => (&mut all.queries, choices.index(2)),
            _ => {
                let (holder, _) = all.holder(RELAY).await;
                (&mut all.commands, holder)
            }
        };
        // The other one goes on meanwhile, if it is back; the one that is killed may still be starting.
        nodes[1 - number].ready(&all.http).await;
        nodes[number].kill_nine();
        nodes[number].start_again();
    }
    // What fails next is not to meet one that still starts.
    for node in all.commands.iter_mut().chain(&mut all.queries) {
        node.ready(&all.http).await;
    }
    let [command, query, relay] = killed;
    format!("{command} command nodes, {query} query nodes, {relay} holders of the relay's lease")
}

/// SIGTERM to each node in the middle of its work: it ends in order and soon, and the other one goes on.
pub async fn told_to_end(all: &mut Deployment, bank: &Bank, times: u64) -> String {
    let http = all.http.clone();
    let (mut longest, before) = (Duration::ZERO, bank.counts.unanswered.load(Ordering::Relaxed));
    for _ in 0..times {
        for nodes in [&mut all.commands, &mut all.queries] {
            for number in 0..2 {
                nodes[1 - number].ready(&http).await;
                bank.does(20).await;
                longest = longest.max(tokio::task::block_in_place(|| nodes[number].terminate()));
                nodes[number].start_again();
                nodes[number].ready(&http).await;
            }
        }
    }
    assert!(longest < SOON, "one took {longest:?}");
    let unanswered = bank.counts.unanswered.load(Ordering::Relaxed) - before;
    format!("each within {} s; {unanswered} tries were not answered meanwhile", longest.as_secs() + 1)
}

/// One of two relays, and one of two process managers, stands still past its lease and wakes up late.
pub async fn paused(all: &mut Deployment, bank: &Bank, times: u64) -> String {
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        for lease in [RELAY, TRANSFERS] {
            bank.does(30).await;
            let (holder, fence) = all.holder(lease).await;
            let late = lines(all, holder, lease[2]);
            all.commands[holder].signal("STOP");
            let since = Instant::now();
            // The other one takes over, and the bank works on.
            while all.holder(lease).await.1 == fence {
                assert!(since.elapsed() < SOON, "nobody takes over the lease of {}", lease[0]);
            }
            longest = longest.max(since.elapsed());
            assert_ne!(all.holder(lease).await.0, holder);
            bank.does(20).await;
            all.commands[holder].signal("CONT");
            while lines(all, holder, lease[2]) == late {
                assert!(since.elapsed() < LONG, "it does not notice that it is late");
                tokio::task::yield_now().await;
            }
            bank.does(20).await;
        }
    }
    format!("the other takes over within {} s; what the late one says changes nothing", longest.as_secs() + 1)
}

fn lines(all: &Deployment, node: usize, words: &str) -> usize {
    all.commands[node].logged().lines().filter(|line| line.contains(words)).count()
}

/// B1, on a topic whose partitions were never changed: however often events were published again.
pub async fn first_copies_are_in_stream_order(all: &Deployment) -> String {
    let head = all.head().await;
    let messages = all_messages(&all.cluster.brokers, &all.topic("events"));
    assert_first_copies_in_stream_order(&messages, usize::try_from(head).unwrap());
    format!("{head} events in {} messages", messages.len())
}
