#!/usr/bin/env bash
# Daybook on PostgreSQL and Kafka, measured against its peers: `make bench-split`. The servers are started for it, with
# fsync as they come; the peers are built in a workspace of their own, under target/peers; a whole split deployment runs
# beside for what a browser sees.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
target=$(cd "$target" && pwd)

cargo build --quiet --release --manifest-path server/benches/peers/Cargo.toml --target-dir "$target/peers"
export DAYBOOK_BENCH_PEERS=$target/peers/release/bench-peers
cargo bench --quiet -p server --bench split --no-run

# One broker: the peers, which have none, are not to be slowed by three.
DAYBOOK_SERVICES=$(mktemp) && export DAYBOOK_SERVICES && rm "$DAYBOOK_SERVICES"
services=$(.build/services.sh start --brokers 1 --no-proxy)
eval "$services"
said=$(mktemp)
DAYBOOK_BIN=$target/release/daybook setsid .build/split.sh >"$said" &
split=$!
finish() {
    kill "$split" 2>/dev/null && wait "$split" || true
    .build/services.sh stop
    rm -f "$said"
}
trap finish EXIT
until grep -q 'Ctrl-C ends everything' "$said"; do
    kill -0 "$split" || { echo "the split deployment did not start" >&2; exit 1; }
    sleep 0.5
done
DAYBOOK_BENCH_SPLIT=$(awk '
    / at http:/ { sub(/.*http:\/\//, ""); proxy = $0 }
    / customer, / && !email { email = $1; password = $2 }
    $1 ~ /^query-/ { node = $4; sub(/,.*/, "", node); nodes = nodes " " node }
    END { print proxy nodes " " email " " password }' "$said")
export DAYBOOK_BENCH_SPLIT

cargo bench --quiet -p server --bench split -- "$@"
