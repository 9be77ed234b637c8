//! The rules of the ledger: pure functions over immutable facts.
//!
//! `decide` holds every rule, `evolve` is total and holds none. No clock, no randomness, no I/O: time and ids
//! come in with the command. The same code runs in the server and, compiled to WebAssembly, in the browser.

pub mod account;
mod date;
mod ids;
mod money;
mod rejection;
pub mod session;
pub mod transfer;

pub use date::{Date, DateError};
pub use ids::{AccountId, CommandId, EventId, IdError, SessionId, TransferId, UserId, beside, derive_uuid};
pub use money::{AmountError, Currency, CurrencyError, format_amount, parse_amount};
pub use rejection::{NAME_MAX, Rejection, TEXT_MAX, check_reason};
