//! Integration tests of the server, in one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod handler;
mod identity;

mod process_manager;
mod write_side;
