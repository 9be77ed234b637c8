//! The transfer aggregate, and the process that carries a transfer from request to end.
//!
//! The process manager prepares both sides before it moves anything, so that after the destination's promise
//! nothing can refuse any more.

mod aggregate;
mod process;

pub use aggregate::{Transfer, TransferCommand, TransferEvent, TransferStatus, decide, evolve};
pub use process::{Step, after_account_event, after_transfer_event};
