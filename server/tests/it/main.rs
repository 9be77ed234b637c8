//! Integration tests: one binary, a module a topic.
#![allow(clippy::unwrap_used)]

mod store_contract;
mod verify;
mod write_support;
mod writer;
