//! Brings what others recorded into the ledger: bank transactions from CSV.
//!
//! A CSV file goes in through the front door, each row a command whose id follows from format, account and transaction
//! id: importing again changes nothing, and an interrupted import continues. The file is read twice, the first time to
//! check every row, and never held in memory. (A whole log goes in by [`crate::write::log_file`].)

mod bad_row;
mod balances;
mod http;
mod ledger;
mod plan;
mod records;
mod rows;
mod send;

pub use bad_row::BadRow;
pub use http::Http;
pub use ledger::{Direct, Ledger, SendError, StatementError};
pub use plan::Plan;
pub use rows::{Check, Checked, Kind, Row, Rows, check};
pub use send::{Outcome, Sample, import};
