//! The browser's entry point: finds the islands of the page that the server rendered and brings them to life.
//!
//! The page of one stream has an entry point of its own, `frontend/timeline`: no other page needs the time machine's code.

use app::islands;

/// Called by the page's loader script once the module is there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    islands::begin(&[islands::frame, islands::ledger]);
    leptos::mount::hydrate_islands();
}
