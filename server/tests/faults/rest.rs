//! What has to hold at rest, whatever happened before.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::Row as _;
use uuid::Uuid;

use super::{
    bank::{Bank, in_transit},
    deployment::Deployment,
    subscriber::Subscriber,
};
use crate::services::node::LONG;

/// Nodes end this soon when they are told to.
const DRAINED: Duration = Duration::from_secs(10);

/// Waits for rest, then looks at everything.
pub async fn at_rest(deployment: &mut Deployment, bank: &Arc<Bank>, listening: &mut [Subscriber]) {
    deployment.ready().await;
    transfers_end(deployment).await;
    let mut head = 0;
    for node in &deployment.queries {
        head = deployment.catches_up(node).await;
    }
    for (door, base) in bank.doors.queries.iter().enumerate() {
        let book =
            bank.http.get(format!("{base}/api/v1/trial-balance")).bearer_auth(bank.token()).send().await.unwrap();
        assert_eq!(in_transit(&book.json().await.unwrap()), 0, "money is on its way though all transfers have ended");
        for subscriber in &mut *listening {
            subscriber.shows_what_a_reload_shows(head, door).await;
        }
    }
    assert_eq!(deployment.head().await, head, "something goes on");
    acknowledged_exactly_once(deployment, bank).await;
    deployment.verify();
    dumps_are_equal(deployment).await;
}

async fn transfers_end(deployment: &Deployment) {
    let since = Instant::now();
    let sql = "SELECT count(*) FILTER (WHERE event_type = 'transfer.transfer_requested'),
            count(*) FILTER (WHERE event_type IN ('transfer.transfer_completed', 'transfer.transfer_failed')) FROM events";
    loop {
        let row = &deployment.ask(sql).await[0];
        let (requested, ended): (i64, i64) = (row.get(0), row.get(1));
        if requested == ended {
            return;
        }
        assert!(since.elapsed() < LONG, "{ended} of {requested} transfers have ended");
        tokio::task::yield_now().await;
    }
}

/// W1, W3, W4.
async fn acknowledged_exactly_once(deployment: &Deployment, bank: &Bank) {
    let mut by_command = HashMap::<Uuid, Vec<u64>>::new();
    let rows = deployment.ask("SELECT position, metadata FROM events ORDER BY position").await;
    for (index, row) in rows.iter().enumerate() {
        let position = row.get::<i64, _>(0).cast_unsigned();
        assert_eq!(position, index as u64 + 1, "W3: positions have no gap");
        let metadata: Value = serde_json::from_slice(row.get(1)).unwrap();
        by_command.entry(metadata["command_id"].as_str().unwrap().parse().unwrap()).or_default().push(position);
    }
    for (command, position) in bank.acknowledged() {
        assert_eq!(by_command.get(&command), Some(&vec![position]), "W1, W4: {command} is there exactly once");
    }
    for command in bank.refused() {
        assert_eq!(by_command.get(&command), None, "W4: {command} was refused");
    }
}

/// R4: every query node shows what one shows that was given nothing but the bus.
async fn dumps_are_equal(deployment: &mut Deployment) {
    let name = format!("fresh-{}", Uuid::now_v7());
    let read = format!("sqlite:{}", deployment.path(&format!("{name}.sqlite")).display());
    let mut fresh = deployment.query_node(&name, &read);
    fresh.ready(&deployment.http).await;
    deployment.catches_up(&fresh).await;
    for node in deployment.queries.iter_mut().chain([&mut fresh]) {
        let took = node.terminate();
        assert!(took < DRAINED, "SIGTERM took {took:?}");
    }
    let expected = deployment.dump(&read);
    assert!(!expected.is_empty());
    for live in &deployment.reads {
        assert!(deployment.dump(live) == expected, "R4: {live} is not what {read} is");
    }
    for node in &mut deployment.queries {
        node.start_again();
    }
    deployment.ready().await;
}
