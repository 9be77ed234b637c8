//! Integration tests: one binary, a module a topic.
#![allow(clippy::unwrap_used)]

mod handler;
mod identity;
mod process_manager;
mod store_contract;
mod verify;
mod write_side;
mod write_support;
mod writer;
