//! How the reader writes numbers and days. Chosen by the server from `Accept-Language`, handed to islands as a prop,
//! so that both sides of hydration write the same.

use serde::{Deserialize, Serialize};

/// Conventions of one language region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    /// Between groups of three digits: `,` `.` `'` or a no-break space.
    pub group: char,
    /// Before the decimals: `.` or `,`.
    pub decimal: char,
    pub date: DateOrder,
}

/// Day and month, as in "22 Nov 2026", "Nov 22, 2026" or "2026-11-22".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DateOrder {
    DayMonth,
    MonthDay,
    Iso,
}
