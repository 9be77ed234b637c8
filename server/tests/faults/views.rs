//! Read databases that disappear under a node that runs: it notices, says so, and fills a new one.

use std::{path::Path, time::Instant};

use super::{bank::Bank, deployment::Deployment};
use crate::services::{node::LONG, postgres};

pub async fn dropped(all: &mut Deployment, bank: &Bank, times: u64) -> String {
    for _ in 0..times {
        bank.does(30).await;
        delete(&all.path("query-0"));
        told_and_restored(all, 0).await;
        bank.does(30).await;
        postgres::run(&all.postgres.url, "DROP DATABASE views WITH (FORCE)".to_owned()).await.unwrap();
        told_and_restored(all, 1).await;
        bank.is_seen_everywhere().await;
    }
    "said by /readyz and the status; restored by the running node".to_owned()
}

/// The file of the views, with what lies beside it.
pub fn delete(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("read.sqlite") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

async fn told_and_restored(all: &mut Deployment, number: usize) {
    let (since, pid) = (Instant::now(), all.queries[number].pid());
    while all.queries[number].is_ready(&all.http).await {
        assert!(since.elapsed() < LONG, "nobody is told that the views are gone");
    }
    while !all.queries[number].logged().contains("is lost: it is restored") {
        assert!(since.elapsed() < LONG, "the node does not notice that its views are gone");
        tokio::task::yield_now().await;
    }
    all.queries[number].ready(&all.http).await;
    assert_eq!(all.queries[number].pid(), pid);
}
