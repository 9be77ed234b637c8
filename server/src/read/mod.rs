//! The read side: a query node's own copy of the log, and the views that are projected from it.

pub mod changes;
