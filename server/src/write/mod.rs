//! The write side: decides commands, appends their events, carries transfers to their end. It never reads a view.

pub mod anchor;
pub mod keys;
pub mod store;
pub mod verify;
