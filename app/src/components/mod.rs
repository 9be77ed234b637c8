//! Small parts that pages are made of: icons, ids with their copy button, links into the timeline. Plain functions over
//! values; they know nothing of ports, signals or the browser.

mod icon;
mod id;

pub use icon::{Icon, brand, icon};
pub use id::{copy_button, id_copied, short_id};
