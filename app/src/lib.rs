//! Daybook's domain, contract and pages: compiled twice, into the server (`ssr`, and `pages` where it
//! has any) and into the browser (`hydrate`).

// A view's type is as deep as its markup.
#![recursion_limit = "256"]

pub mod api;
#[cfg(any(feature = "pages", feature = "hydrate"))]
pub mod components;
#[cfg(feature = "ssr")]
pub mod cookies;
pub mod domain;
#[cfg(any(feature = "pages", feature = "hydrate"))]
pub mod islands;
pub mod links;
#[cfg(any(feature = "pages", feature = "hydrate"))]
pub mod live;
pub mod locale;
#[cfg(feature = "pages")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod ports;
#[cfg(feature = "pages")]
pub mod shell;
pub mod wire;
pub mod words;
