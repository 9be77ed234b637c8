//! A row that cannot be imported, and where exactly it goes wrong.

use std::fmt;

/// Line and column count from 1; the column in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    pub line: u64,
    pub column: u64,
    /// The name of the column that the trouble is in.
    pub name: Option<&'static str>,
    pub what: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if let Some(name) = self.name {
            write!(f, " ({name})")?;
        }
        write!(f, ": {}", self.what)
    }
}
