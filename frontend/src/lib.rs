//! The browser's entry point: finds the islands of the page that the server rendered and brings them to life.
//!
//! Pages that only look (the timeline, the trial balance) have an entry point of their own, `frontend/timeline`.

use app::islands;

/// Called by the page's loader script once the module is there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    islands::begin(&[islands::frame, islands::ledger], islands::better_forms);
    leptos::mount::hydrate_islands();
}
