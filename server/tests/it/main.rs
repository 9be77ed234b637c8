//! Integration tests of the server, in one binary so that it links once; a module for each topic.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod api;
mod backup;
mod cli;
mod copy;
mod deployment;
mod faulty;
mod feed;
mod forms;
mod handler;
mod helpers;
mod history;
mod identity;
mod import;
mod import_http;
mod live;
mod metrics;
#[path = "../services/node.rs"]
#[allow(dead_code)]
mod node;
mod operations;
mod pages;
#[path = "../services/postgres.rs"]
#[allow(dead_code)]
mod postgres;
mod postgres_store;
mod process_manager;
mod projections;
mod queries;
mod ready;
mod rebuild;
mod roles;
mod security;
mod several_writers;
mod starting;
mod store_contract;
mod verify;
mod write_side;
mod write_support;
mod writer;
