//! Brings what others recorded into the ledger: bank transactions from CSV, and whole logs from NDJSON.
//!
//! A CSV file goes in through the front door, each row a command whose id follows from format, account and transaction
//! id: importing again changes nothing, and an interrupted import continues. The file is read twice, the first time to
//! check every row, and never held in memory. A log goes in as it came out, byte for byte, hash for hash.

mod bad_row;
mod balances;
mod ledger;
pub mod log_file;
mod plan;
mod records;
mod rows;
mod send;

pub use bad_row::BadRow;
pub use ledger::{Direct, Http, Ledger, SendError, StatementError};
pub use plan::Plan;
pub use rows::{Check, Checked, Kind, Row, Rows, check};
pub use send::{Outcome, Sample, import};
