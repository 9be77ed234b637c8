//! The web in front of both sides: pages, server functions, the JSON API, live streams, assets.
//!
//! It owns what HTTP is about (who asks, from where, in which form, within which limits) and no rule of the ledger.
//! It reaches the two sides through `app::ports` alone.

#[cfg(feature = "query")]
pub mod assets;
#[cfg(feature = "query")]
pub mod docs;
mod door;
pub mod front;
#[cfg(feature = "command")]
pub mod functions;
pub mod health;
pub mod listen;
#[cfg(feature = "query")]
mod live;
pub mod network;
#[cfg(feature = "query")]
pub mod openapi;
#[cfg(feature = "query")]
pub mod pages;
pub mod problem;
#[cfg(feature = "command")]
mod refill;
pub mod request;
pub mod rest;
pub mod router;
pub mod security;
pub mod state;
mod traced;

pub use problem::Problem;
pub use request::{Admin, Caller, SignedIn};
pub use router::router;
pub use state::{AppState, Live, WebOptions};
