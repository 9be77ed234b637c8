//! Addresses of pages, in one place.

use crate::{
    domain::{AccountId, CommandId, EventId, TransferId},
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

/// The moment of an event, wherever that is.
pub fn event(id: EventId) -> String {
    format!("/timeline/event/{id}")
}

/// All events that a command led to.
pub fn correlation(command: CommandId) -> String {
    format!("/timeline?correlation={command}")
}

/// The parameter of a page's address that names the event that a plain form led to. Never carried on by links of pages.
pub const DONE: &str = "__done";

/// A page that says what happened: by the id of an event.
pub fn with_done(page: &str, event: impl std::fmt::Display) -> String {
    format!("{page}{}{DONE}={event}", if page.contains('?') { '&' } else { '?' })
}

/// Percent-encodes all that is not safe everywhere in an address.
#[cfg(feature = "ssr")]
pub fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            use std::fmt::Write as _;
            write!(escaped, "%{byte:02X}").unwrap_or_default();
        }
        escaped
    })
}

/// An address of this site: a path, and no other host in disguise.
pub fn is_ours(next: &str) -> bool {
    next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_sent_on_to_this_site_only() {
        assert!(is_ours("/accounts/1?x=y"));
        for next in ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", ""] {
            assert!(!is_ours(next), "{next}");
        }
    }
}
