#!/usr/bin/env bash
# What `make test` and CI run. Cheap checks first; tools are fetched and built while the compiler checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
started=$SECONDS
logs=$(mktemp -d)
background=
starting=

finish() {
    status=$?
    if [ -n "$starting" ]; then wait "$starting" || true; fi
    # Exactly the one that was started here, if one was.
    if [ -s "$logs/postgres" ]; then
        (unset DAYBOOK_TEST_POSTGRES_FOLDER && . "$logs/postgres" && .build/postgres.sh stop) || true
    fi
    # With what it started, and only while it runs: it is ours.
    if [ -n "$background" ] && kill -0 "$background" 2>/dev/null; then kill -- "-$background" || true; fi
    rm -rf "$logs"
    [ "$status" = 0 ] || printf '\n\033[1;31m✗ failed after %s s\033[0m\n' "$((SECONDS - started))"
}
trap finish EXIT

step() {
    local name=$1 from=$SECONDS
    shift
    printf '\n\033[1m▸ %s\033[0m\n' "$name"
    "$@"
    printf '\033[32m✓ %s\033[0m (%s s, %s s in all)\n' "$name" "$((SECONDS - from))" "$((SECONDS - started))"
}

shown_and_kept() {
    local log=$logs/$1
    shift
    "$@" 2>&1 | tee "$log"
}

wait_for() {
    local status=0
    wait "$background" || status=$?
    background=
    cat "$logs/$1"
    return "$status"
}

with_postgres() {
    local status=0
    wait "$starting" || status=$?
    starting=
    cat "$logs/postgres-says" >&2
    [ "$status" = 0 ] || return "$status"
    # shellcheck source=/dev/null
    . "$logs/postgres"
}

.build/postgres.sh start >"$logs/postgres" 2>"$logs/postgres-says" &
starting=$!

# Ends when its standard input does: with this script, however that ends.
coproc kafka { .build/kafka.sh witness && .build/kafka.sh run; } 2>"$logs/kafka"

kafka_is_up() {
    local line lines=0
    while [ "$lines" -lt 2 ] && IFS= read -r line <&"${kafka[0]}"; do
        eval "$line"
        lines=$((lines + 1))
    done
    cat "$logs/kafka"
    [ "$lines" = 2 ]
}

# Each role as a binary that holds nothing else.
build_each_role() {
    local role
    for role in command query; do
        cargo build --quiet -p server --no-default-features --features "$role" --bin daybook
        cp "${CARGO_TARGET_DIR:-target}/debug/daybook" "$logs/daybook-$role"
    done
}

# `make run-split` on the servers of these tests, which it leaves as it found them, and on those binaries.
split_comes_and_goes() {
    local said=$logs/split folder=$logs/apart status=0 before left
    local databases=(psql -XAtq -d "$DAYBOOK_TEST_POSTGRES" -c 'SELECT datname FROM pg_database ORDER BY 1')
    before=$("${databases[@]}")
    # nginx has to come to its folder.
    chmod 711 "$logs"
    mkdir -m 711 "$folder"
    DAYBOOK_BIN=$logs/daybook-command DAYBOOK_QUERY_BIN=$logs/daybook-query \
        DAYBOOK_SERVICES=$logs/services DAYBOOK_SPLIT_PORT=0 TMPDIR=$folder setsid .build/split.sh >"$said" 2>"$said-says" &
    background=$!
    until grep -q 'Ctrl-C ends everything' "$said"; do
        kill -0 "$background" 2>/dev/null || { cat "$said-says"; return 1; }
        sleep 0.2
    done
    "${CARGO_TARGET_DIR:-target}/debug/daybook" health --url "$(sed -n 's/^Daybook, apart, at //p' "$said")"
    kill "$background"
    wait "$background" || status=$?
    background=
    # Ended by a signal.
    [ "$status" = 130 ] || { cat "$said-says"; echo "it ended with $status"; return 1; }
    left=$(ls "$folder"; pgrep -af "$folder" || true; diff <(echo "$before") <("${databases[@]}") || true)
    [ -z "$left" ] || { printf 'left behind:\n%s\n' "$left"; return 1; }
}

step "the compiler" .build/tools.sh compiler
# In a group of its own, so that it can be ended as a whole.
setsid .build/tools.sh bundle browser proxy >"$logs/tools" 2>&1 &
background=$!
step "lint" .build/lint.sh
step "tools" wait_for tools
step "the bundle for the browser" .build/site.sh dev
step "build each role alone" build_each_role
step "build the server and its tests" cargo build --quiet -p app -p server --features app/ssr --bins --tests
step "PostgreSQL" with_postgres
step "Kafka" kafka_is_up
step "Rust tests" shown_and_kept rust-tests cargo test --quiet -p app -p server --features app/ssr --lib --bins --test domain --test it
# Most of it is waiting for brokers.
step "Rust tests of the bus" shown_and_kept bus-tests cargo test --quiet -p app -p server --features app/ssr --test bus -- --test-threads 4
step "a split deployment comes and goes" split_comes_and_goes
# The short run: `make faults` is the long one.
step "faults, tried for real" shown_and_kept faults env DAYBOOK_TEST_STREAMS="${DAYBOOK_TEST_STREAMS:-500}" \
    cargo test --quiet -p app -p server --features app/ssr --test faults
step "Rust tests of the read side, on PostgreSQL" shown_and_kept read-tests \
    env DAYBOOK_TEST_READ_SERVER="$DAYBOOK_TEST_POSTGRES" cargo test --quiet -p app -p server --features app/ssr --test it -- \
    feed:: projections:: queries:: rebuild:: live::
step "browser tests" shown_and_kept browser-tests .build/e2e.sh

# One line that says how many tests there were, over all runners; with no test at all something is wrong with this script.
rust=$(awk '/^test result: ok/ { sum += $4 } END { print sum + 0 }' "$logs/rust-tests" "$logs/bus-tests" "$logs/faults" "$logs/read-tests")
browser=$(awk '$2 == "passed" { sum += $1 } END { print sum + 0 }' "$logs/browser-tests")
[ "$rust" -gt 0 ] && [ "$browser" -gt 0 ] || { echo "no tests ran: $rust Rust, $browser browser"; exit 1; }
printf '\n\033[1;32m✓ %s Rust tests and %s browser tests\033[0m in %s s\n' "$rust" "$browser" "$((SECONDS - started))"
printf '%s passed, 0 failed\n' "$((rust + browser))"
