//! The browser's entry point on pages that only look: the feed, the time machine, the trial balance, and what every page has.

use app::islands;

/// Called by the page's loader script once the module is there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    islands::begin(&[islands::frame, islands::timeline], || ());
    leptos::mount::hydrate_islands();
}
