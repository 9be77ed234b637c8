//! How many requests a second one client may make: enough for anyone who works with it, too few to hold others up.
//!
//! What is cheap and needed to show anything at all is free: the browser's files, and what watches the process asks for.
//! So is this machine itself: whoever is on it needs no web to load it, and a proxy there that is not named by
//! `--trusted-proxy` would make all its clients one.

use std::{net::IpAddr, num::NonZeroU32};

use app::api::AppError;

use super::super::Problem;
use crate::limit::{Limit, network};

/// A burst is what comes in as many seconds.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// Counts requests by client.
pub struct RateLimit(Option<Limit<IpAddr>>);

impl RateLimit {
    /// `None`: no limit.
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        Self(per_second.map(|rate| Limit::per_second(rate, BURST_SECONDS)))
    }

    /// Counts a request; 429 with the seconds to wait if there were too many.
    pub(super) fn check(&self, client: IpAddr, path: &str) -> Result<(), Problem> {
        let free = path.starts_with("/pkg/") || matches!(path, "/healthz" | "/readyz");
        match &self.0 {
            Some(limit) if !free && !client.to_canonical().is_loopback() => {
                limit.check(network(client)).map_err(|retry_after| AppError::TooMany { retry_after }.into())
            }
            Some(_) | None => Ok(()),
        }
    }
}
