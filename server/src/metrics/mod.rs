//! What is seen of a process from outside: metrics as Prometheus scrapes them, on a port of their own.
//!
//! What happens is counted where it happens; how things stand is looked at when somebody asks.

#[cfg(feature = "command")]
mod command;
#[cfg(feature = "query")]
mod query;

use std::{net::TcpListener, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{gauge::Gauge, info::Info},
    registry::Registry,
};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "command")]
pub use command::{CommandMetrics, CommandParts};
#[cfg(feature = "query")]
pub use query::QueryMetrics;

/// As Prometheus and others read it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What all names begin with.
pub const PREFIX: &str = "daybook";

/// All that a process shows.
pub struct Metrics {
    registry: Registry,
    #[cfg(feature = "command")]
    command: Option<CommandMetrics>,
    #[cfg(feature = "query")]
    query: Option<QueryMetrics>,
}

impl Metrics {
    /// Of a process without a side yet.
    pub fn new(role: &'static str) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register("build", "Which Daybook this is, and what it does", about(role));
        Self {
            registry,
            #[cfg(feature = "command")]
            command: None,
            #[cfg(feature = "query")]
            query: None,
        }
    }

    #[cfg(feature = "command")]
    pub fn show_command(&mut self, side: impl FnOnce(&mut Registry) -> CommandMetrics) {
        self.command = Some(side(&mut self.registry));
    }

    #[cfg(feature = "query")]
    pub fn show_query(&mut self, side: impl FnOnce(&mut Registry) -> QueryMetrics) {
        self.query = Some(side(&mut self.registry));
    }

    /// As text.
    pub fn scrape(&self) -> Result<String, std::fmt::Error> {
        #[cfg(feature = "command")]
        if let Some(command) = &self.command {
            command.look();
        }
        #[cfg(feature = "query")]
        if let Some(query) = &self.query {
            query.look();
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Registers all that any process shows, to be read for its names.
#[cfg(all(feature = "command", feature = "query"))]
pub fn describe(registry: &mut Registry) {
    registry.register("build", "Which Daybook this is, and what it does", about("all"));
    crate::write::writer::WriterMetrics::default().register(registry);
    command::CommandGauges::new(registry);
    command::RelayGauges::new(registry);
    query::QueryGauges::new(registry).begin("accounts");
}

fn about(role: &'static str) -> Info<[(&'static str, &'static str); 2]> {
    Info::new([("version", env!("CARGO_PKG_VERSION")), ("role", role)])
}

/// Serves them at `/metrics` until `stopping` is cancelled.
pub async fn serve(listener: TcpListener, metrics: Metrics, stopping: CancellationToken) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let router = Router::new().route("/metrics", get(answer)).with_state(Arc::new(metrics));
    let handle = axum_server::Handle::new();
    let served = axum_server::from_tcp(listener)?.handle(handle.clone()).serve(router.into_make_service());
    tokio::select! {
        served = served => served,
        () = stopping.cancelled() => {
            handle.shutdown();
            Ok(())
        }
    }
}

async fn answer(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.scrape() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A number as gauges hold it.
fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Registers a gauge.
fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
