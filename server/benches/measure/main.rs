//! Daybook measured against what stands under it: `make bench`, or `cargo bench -p server --bench measure -- append`.
//!
//! Every figure is a ratio: both sides run in turns, in this process, on the same disk, at the same durability. Medians
//! over the rounds are compared. Nothing here passes or fails.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod append;
mod http;
mod live;
mod rebuild;
mod support;

use clap::Parser;

/// Measures Daybook against its peers and prints ratios.
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
    Append,
    Http,
    Rebuild,
    Live,
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    support::machine();
    let wanted = |what| options.what.is_empty() || options.what.contains(&what);
    if wanted(What::Append) {
        runtime.block_on(append::run(options.rounds));
    }
    if wanted(What::Http) {
        runtime.block_on(http::run(options.rounds));
    }
    if wanted(What::Rebuild) {
        runtime.block_on(rebuild::run(options.rounds));
    }
    if wanted(What::Live) {
        runtime.block_on(live::run(options.rounds));
    }
}
