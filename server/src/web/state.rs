//! What every handler can reach.

use std::{num::NonZeroU32, ops::Deref, sync::Arc, time::Duration};

use app::{
    cookies::CookiePolicy,
    ports::{Ports, TokenCheck},
};
use axum::extract::FromRef;
use leptos::config::LeptosOptions;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{
    network::{Network, PublicUrl},
    security::RateLimit,
};
#[cfg(feature = "query")]
pub use crate::read::hub::Hub;

/// Nothing is live in a build without the query side.
#[cfg(not(feature = "query"))]
pub enum Hub {}

/// The hub that is at work.
pub type Live = watch::Receiver<Arc<Hub>>;

/// How this server is reached, and how much it takes.
#[derive(Debug, Clone)]
pub struct WebOptions {
    /// Where browsers find it, if that is not where it listens.
    pub public_url: Option<PublicUrl>,
    /// It speaks TLS itself.
    pub tls: bool,
    /// Plain HTTP that others than this machine may reach.
    pub exposed: bool,
    /// Proxies whose word on the client's address counts.
    pub trusted_proxies: Vec<Network>,
    /// Requests at work at the same time; more are refused at once.
    pub max_requests: usize,
    /// A request that takes longer is given up. Live streams are not requests in this sense.
    pub request_timeout: Duration,
    /// Requests a second of one client; `None`: no limit.
    pub rate_limit: Option<NonZeroU32>,
    /// Bytes of a request's body.
    pub max_body: usize,
}

impl Default for WebOptions {
    fn default() -> Self {
        Self {
            public_url: None,
            tls: false,
            exposed: false,
            trusted_proxies: Vec::new(),
            max_requests: 4096,
            request_timeout: Duration::from_mins(1),
            rate_limit: None,
            max_body: 256 * 1024,
        }
    }
}

impl WebOptions {
    /// Browsers come by TLS, ours or a proxy's.
    pub fn secure(&self) -> bool {
        self.tls || self.public_url.as_ref().is_some_and(PublicUrl::is_https)
    }

    pub fn cookies(&self) -> CookiePolicy {
        CookiePolicy { secure: self.secure() }
    }

    /// Passwords cross a network in the clear: pages say so.
    pub fn insecure(&self) -> bool {
        self.exposed && !self.secure()
    }
}

/// Shared by all requests; cloning it is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// See [`AppState`].
pub struct Parts {
    pub ports: Ports,
    pub tokens: Arc<dyn TokenCheck>,
    /// Live streams; `None` in a process without a query side.
    pub live: Option<Live>,
    pub options: WebOptions,
    /// Cancelled when the server shuts down: whoever holds a stream open ends it then.
    pub stopping: CancellationToken,
    pub(super) permits: Semaphore,
    pub(super) rate: RateLimit,
    leptos: LeptosOptions,
}

impl AppState {
    pub fn new(ports: Ports, tokens: Arc<dyn TokenCheck>, options: WebOptions, stopping: CancellationToken) -> Self {
        Self::with_live(ports, tokens, None, options, stopping)
    }

    pub fn with_live(
        ports: Ports,
        tokens: Arc<dyn TokenCheck>,
        live: Option<Live>,
        options: WebOptions,
        stopping: CancellationToken,
    ) -> Self {
        let permits = Semaphore::new(options.max_requests.min(Semaphore::MAX_PERMITS));
        let rate = RateLimit::new(options.rate_limit);
        let leptos = LeptosOptions::builder().output_name("daybook").build();
        Self(Arc::new(Parts { ports, tokens, live, options, stopping, permits, rate, leptos }))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}
