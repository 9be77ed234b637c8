//! The account aggregate: balance, what is held of it, and what is promised to it.

mod command;
mod decide;
mod event;
mod evolve;
mod state;

pub use command::{AccountCommand, Direction, Entry};
pub use decide::decide;
pub use event::{AccountEvent, DeclineReason};
pub use evolve::evolve;
pub use state::{Account, Incoming, Outgoing, Status};
