//! Daybook's server: a write side and a read side that meet only on the bus, and the web in front of both.

pub mod bus;
pub mod cli;
pub mod config;
pub mod db_url;
pub mod import;
pub mod limit;
pub mod metrics;
pub mod private;
pub mod read;
pub mod token;
pub mod trace;
pub mod web;
pub mod write;
