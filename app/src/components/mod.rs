//! Small parts that pages and islands share: icons, marks, ids, figures, states. Plain functions over values, compiled
//! for both sides; they know nothing of ports, signals or the browser, so both sides of hydration write the same.

mod figure;
mod icon;
mod id;
mod state;

pub use figure::{amount_class, date_cell, figure};
pub use icon::{Icon, brand, icon, mark};
pub use id::{copy_button, entry_link, id, id_copied, moment_link, short_id};
pub use state::{Track, account_state, state, track, transfer_badge};
