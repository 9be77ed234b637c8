//! Daybook's server: a write side and a read side that meet only on the bus, and the web in front of both.
//!
//! The features `command` and `query` say which sides a build has.

pub mod bus;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod db_url;
#[cfg(all(feature = "command", feature = "query"))]
pub mod import;
pub mod limit;
pub mod metrics;
pub mod private;
#[cfg(feature = "query")]
pub mod read;
mod tasks;
pub mod token;
pub mod trace;
pub mod web;
#[cfg(feature = "command")]
pub mod write;

#[cfg(not(any(feature = "command", feature = "query")))]
compile_error!("a build has at least one side: --features command, --features query, or both");
