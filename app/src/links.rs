//! Addresses of pages, in one place.

use crate::{
    domain::{AccountId, CommandId, TransferId},
    wire::{StreamId, Version},
};

pub const SIGN_IN: &str = "/sign-in";

pub fn account(id: AccountId) -> String {
    format!("/accounts/{id}")
}

pub fn transfer(id: TransferId) -> String {
    format!("/transfers/{id}")
}

/// The timeline of one stream.
pub fn stream(id: StreamId) -> String {
    format!("/timeline/{id}")
}

/// The timeline of one stream, standing at a version.
pub fn moment(id: impl Into<StreamId>, version: Version) -> String {
    format!("/timeline/{}?at={version}", id.into())
}

/// All events that a command led to.
pub fn correlation(command: CommandId) -> String {
    format!("/timeline?correlation={command}")
}
