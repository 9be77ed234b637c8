//! The rules of the ledger and its event contract, tested from outside: what goes in, what comes out.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod account;
mod account_closing;
mod contract;
mod date;
mod given;
mod money;
mod properties;
mod reader;
mod transfer;
mod transfer_steps;
mod world;
