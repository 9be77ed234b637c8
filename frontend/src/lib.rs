//! The browser's entry point: finds the islands of the page that the server rendered and brings them to life.

/// Called by the page's loader script once the module is there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    // Referenced so that the linker keeps the islands, which are exported by name.
    app::keep_islands();
    leptos::mount::hydrate_islands();
}
