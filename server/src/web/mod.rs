//! The web in front of both sides: pages, server functions, the JSON API, live streams, assets.
//!
//! It owns what HTTP is about (who asks, from where, in which form, within which limits) and no rule of the ledger.
//! It reaches the two sides through `app::ports` alone.

pub mod assets;
pub mod docs;
mod door;
pub mod health;
pub mod listen;
mod live;
pub mod network;
pub mod openapi;
pub mod pages;
pub mod problem;
mod refill;
pub mod request;
pub mod rest;
pub mod router;
pub mod security;
pub mod state;

pub use problem::Problem;
pub use request::{Admin, Caller, SignedIn};
pub use router::router;
pub use state::{AppState, Live, WebOptions};
