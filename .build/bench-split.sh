#!/usr/bin/env bash
# Daybook on PostgreSQL and Kafka, measured against its peers: `make bench-split`. The servers are started for it, with
# fsync as they come; the peers are built in a workspace of their own, under target/peers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}

cargo build --quiet --release --manifest-path server/benches/peers/Cargo.toml --target-dir "$target/peers"
export DAYBOOK_BENCH_PEERS=$target/peers/release/bench-peers
[[ $DAYBOOK_BENCH_PEERS = /* ]] || DAYBOOK_BENCH_PEERS=$PWD/$DAYBOOK_BENCH_PEERS

eval "$(.build/postgres.sh start --for $$)"
kafka=$(.build/kafka.sh start)
eval "$kafka"
trap '.build/kafka.sh stop' EXIT

cargo bench -p server --bench split -- "$@"
