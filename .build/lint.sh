#!/usr/bin/env bash
# Format, clippy and boundaries. No warnings.
#
# The server's side and the browser's are two builds that must never become one: cargo would give `app` the features `ssr`
# and `hydrate` together. So each has a call of its own. A third build is each of the server's roles alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
.build/boundaries.sh
cargo clippy --quiet -p app -p server --features app/ssr --all-targets -- -D warnings
.build/roles.sh
cargo clippy --quiet -p app -p frontend -p frontend-timeline --features app/hydrate --target wasm32-unknown-unknown -- -D warnings
