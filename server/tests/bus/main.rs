//! The bus over a real Apache Kafka (B1, B2, B3), in a binary of its own: whoever runs it needs brokers.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod brokers;
mod contract;
mod described;
mod guarded;
#[allow(dead_code)]
#[path = "../it/history.rs"]
mod history;
mod parts;
mod people;
mod proxied;
mod relay;
mod replay;
mod restored;
mod rotation;
#[path = "../services/mod.rs"]
mod services;
mod split;
mod topic;
mod traced;

use services::{kafka as cluster, postgres};
