//! The split deployment measured against its peers and against what stands under it: `make bench-split`, which starts
//! PostgreSQL and Kafka, builds the peers and says where they are.
//!
//! Every figure is a ratio: both sides run in turns, on the same servers and the same disk, at the same durability.
//! Medians over the rounds are compared. Nothing here passes or fails.
#![allow(clippy::pedantic, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../measure/append.rs"]
mod append;
mod browser;
mod catch_up;
#[allow(dead_code)]
#[path = "../measure/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../measure/live.rs"]
mod live;
mod log;
mod postgres;
#[allow(dead_code)]
#[path = "../measure/rebuild.rs"]
mod rebuild;
mod relay;
mod servers;
#[allow(dead_code)]
#[path = "../measure/support/mod.rs"]
mod support;

use clap::Parser;

use servers::Servers;

/// Measures Daybook on PostgreSQL and Kafka against its peers and prints ratios.
#[derive(Parser)]
struct Options {
    /// What to measure; all of it by default.
    what: Vec<What>,
    /// Rounds of both sides each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum What {
    /// Appends by 256 clients, by one, and by 16 to one account.
    Append,
    /// The relay.
    Relay,
    /// A query node that begins with nothing.
    CatchUp,
    /// From the proxy to a browser's stream, and reads a second of one and of two query nodes.
    Browser,
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    support::machine();
    let servers = Servers::from_environment();
    let wanted = |what| options.what.is_empty() || options.what.contains(&what);
    if wanted(What::Append) {
        runtime.block_on(postgres::run(options.rounds, &servers));
    }
    if wanted(What::Relay) {
        runtime.block_on(relay::run(options.rounds, &servers));
    }
    if wanted(What::CatchUp) {
        runtime.block_on(catch_up::run(options.rounds, &servers));
    }
    if wanted(What::Browser) {
        runtime.block_on(browser::run(options.rounds, &servers));
    }
}
