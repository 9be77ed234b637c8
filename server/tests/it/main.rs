//! Integration tests of the server, in one binary so that it links once; a module for each topic.
#![allow(clippy::unwrap_used)]

mod api;
mod cli;
mod helpers;
mod security;
