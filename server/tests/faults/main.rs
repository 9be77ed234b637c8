//! Faults, tried for real: real processes, real databases and brokers, real signals, and a bank that works meanwhile.
//!
//! One run through the table of faults; after each of them, in a short run after each kind, everything is looked at that has
//! to hold at rest (`rest`).
//! `DAYBOOK_TEST_KILLS` (20), `DAYBOOK_TEST_FAULTS` (1, times for each other fault), `DAYBOOK_TEST_OUTAGE` (5, seconds) and
//! `DAYBOOK_TEST_SEED` say how much; `DAYBOOK_TEST_FAULT` names one part: kills, postgres, cuts, brokers, paused, topics,
//! views, disk, clock, mock, live, embedded.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod bank;
mod broker;
mod choices;
mod clock;
mod database;
mod deployment;
mod disk;
mod embedded;
#[allow(dead_code)]
#[path = "../it/history.rs"]
mod history;
mod live;
mod mock;
mod nodes;
#[allow(dead_code)]
#[path = "../bus/parts.rs"]
mod parts;
mod proxy;
mod rest;
#[path = "../services/mod.rs"]
mod services;
mod steps;
mod subscriber;
mod summary;
mod table;
mod views;

use services::kafka as cluster;
