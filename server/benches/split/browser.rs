//! The whole way, from the proxy to a browser's stream.

use crate::servers::Servers;

pub async fn run(_rounds: usize, _servers: &Servers) {}
