//! Daybook's domain, contract and pages: compiled twice, into the server (`ssr`) and into the browser (`hydrate`).

pub mod api;
pub mod components;
#[cfg(feature = "ssr")]
pub mod cookies;
pub mod domain;
pub mod links;
pub mod locale;
#[cfg(feature = "ssr")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod ports;
#[cfg(feature = "ssr")]
pub mod shell;
pub mod wire;
pub mod words;

/// Keeps the islands in the browser's module: they are exported by name and called by the page's loader.
pub fn keep_islands() {}
