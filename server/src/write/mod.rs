//! The write side: decides commands, appends their events, carries transfers to their end. It never reads a view.

pub mod anchor;
pub mod backup;
pub mod copy;
pub mod database;
mod error;
mod following;
pub mod handler;
pub mod identity;
mod in_time;
pub mod keys;
pub mod log_file;
pub mod log_source;
pub mod process_manager;
pub mod recover;
pub mod relay_lease;
pub mod store;
pub mod verify;
pub mod writer;
