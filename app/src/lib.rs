//! Daybook's domain, contract and pages: compiled twice, into the server (`ssr`) and into the browser (`hydrate`).

// A view's type is as deep as its markup.
#![recursion_limit = "256"]

pub mod api;
pub mod components;
#[cfg(feature = "ssr")]
pub mod cookies;
pub mod domain;
pub mod islands;
pub mod links;
pub mod live;
pub mod locale;
#[cfg(feature = "ssr")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod ports;
#[cfg(feature = "ssr")]
pub mod shell;
pub mod wire;
pub mod words;
