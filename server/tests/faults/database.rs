//! The log's PostgreSQL: killed, stopped at once, standing still without a word, and cut off between a commit and its answer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    bank::Bank,
    choices::Choices,
    deployment::{Deployment, RELAY, TRANSFERS},
};
use crate::services::node::LONG;

/// A command is stored within this time; on a busy machine a cut may come too early.
const SOON: Duration = Duration::from_secs(10);

/// Commands answer 503 while it is away, and go on alone when it is back.
pub async fn killed(all: &mut Deployment, bank: &Bank, times: u64) -> String {
    let before = bank.counts.unavailable.load(Ordering::Relaxed);
    for _ in 0..times {
        for action in ["kill", "stop"] {
            bank.does(50).await;
            all.postgres.now(action);
            for node in &all.commands {
                answers_503(all, bank, &node.base()).await;
            }
            all.postgres.now("up");
            bank.does(50).await;
        }
    }
    let refused = bank.counts.unavailable.load(Ordering::Relaxed) - before;
    format!("{refused} commands answered 503 meanwhile; they go on alone")
}

async fn answers_503(all: &Deployment, bank: &Bank, node: &str) {
    let since = Instant::now();
    loop {
        let fields = serde_json::json!({"account_id": bank.accounts[0], "amount": 1});
        let request = all.http.post(format!("{node}/api/v1/commands/DepositMoney")).bearer_auth(bank.token());
        // Without an id of its own nobody tries it again.
        let answer = request.json(&fields).send().await.unwrap();
        assert_ne!(answer.status(), 504, "it is answered too late");
        if answer.status() == 503 {
            assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
            return;
        }
        assert!(since.elapsed() < LONG, "without its database a command node answers {answer:?}");
    }
}

/// It keeps its connections and says nothing: a machine that hangs. That of a read database, too.
pub async fn frozen(all: &Deployment, bank: &Bank, times: u64) -> String {
    let mut longest = Duration::ZERO;
    // Its read database is there, too.
    let reads = &all.queries[1];
    let said = |words: &str| reads.logged().lines().filter(|line| line.contains(words)).count();
    for _ in 0..times {
        bank.does(50).await;
        let (lost, open) = (said("is lost: it is restored"), said("is open again"));
        all.postgres.now("freeze");
        let since = Instant::now();
        for node in &all.commands {
            answers_503(all, bank, &node.base()).await;
        }
        longest = longest.max(since.elapsed());
        while said("is lost: it is restored") == lost {
            assert!(since.elapsed() < LONG, "the query node does not notice");
            tokio::task::yield_now().await;
        }
        all.postgres.now("thaw");
        bank.does(50).await;
        bank.is_seen_everywhere().await;
        assert!(said("is open again") > open, "{}", reads.logged());
    }
    format!("both nodes answer 503 after {} s at most; they go on alone", longest.as_secs())
}

/// One node's way to it loses everything, and brings it late: the other one does all the work meanwhile.
pub async fn out_of_reach(all: &Deployment, bank: &Bank, times: u64) -> String {
    for _ in 0..times {
        for lease in [RELAY, TRANSFERS] {
            bank.does(30).await;
            let (holder, _) = all.holder(lease).await;
            all.proxies[holder].freeze(true);
            let since = Instant::now();
            while all.holder(lease).await.0 == holder {
                assert!(since.elapsed() < LONG, "nobody takes over the lease of {}", lease[0]);
            }
            answers_503(all, bank, &all.commands[holder].base()).await;
            bank.does(30).await;
            all.proxies[holder].freeze(false);
            bank.does(50).await;
        }
    }
    "the other node works on; what arrives late changes nothing".to_owned()
}

/// The connection is cut behind COMMIT: the retry is answered with the first result.
pub async fn cut_behind_commit(all: &Deployment, bank: &Arc<Bank>, choices: &mut Choices, times: u64) -> String {
    let (mut cuts, mut settled, mut tries) = (0, 0, 0);
    while cuts < times {
        tries += 1;
        assert!(tries <= 10 * times, "{cuts} of {tries} cuts came behind a commit");
        bank.does(5).await;
        let node = choices.index(2);
        let proxy = &all.proxies[node];
        let (id, head) = (choices.uuid(), all.head().await);
        // Its event names it.
        proxy.swallow_answers_after(&id.to_string());
        let asking = tokio::spawn({
            let bank = bank.clone();
            async move { bank.deposit(id, node).await }
        });
        let since = Instant::now();
        let stored = loop {
            match all.stored(id, head).await {
                None if since.elapsed() < SOON => {}
                stored => break stored,
            }
        };
        proxy.cut();
        let first = asking.await.unwrap();
        if let Some(position) = stored {
            assert!(first.is_none_or(|first| first == position), "{first:?} instead of {position}");
            cuts += 1;
            settled += u64::from(first.is_some());
        }
        // Again under the same id, at each node.
        for door in 0..all.commands.len() {
            let again = loop {
                if let Some(again) = bank.deposit(id, door).await {
                    break again;
                }
                assert!(since.elapsed() < LONG, "{id} is not answered");
            };
            assert!(stored.or(first).is_none_or(|first| first == again), "W4: {again} at {door}, first {stored:?}");
            bank.note(id, again);
        }
    }
    format!("each retry answered with the first result; {settled} nodes found it out before they answered")
}

/// At any moment, under way or not.
pub async fn cut_at_random(all: &Deployment, bank: &Bank, choices: &mut Choices, times: u64) -> String {
    for _ in 0..times {
        bank.does(1 + choices.below(30)).await;
        all.proxies[choices.index(2)].cut();
    }
    "nothing to be seen but retries".to_owned()
}
