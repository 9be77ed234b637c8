#!/usr/bin/env bash
# The boundaries of ARCHITECTURE.md, checked. Each line below that starts with `forbid` is one of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. .build/complain.sh

# The Rust sources under a folder, with line comments taken out: prose may name anything.
code() {
    [ -d "$1" ] || return 0
    find "$1" -name '*.rs' -print0 | sort -z | xargs -0 -r awk '{
        line = $0
        sub(/(^|[^:"])\/\/.*/, "", line)
        if (line ~ /[^ \t]/) print FILENAME ":" FNR ": " line
    }'
}

# forbid FOLDER PATTERN RULE [EXCEPT]: no line of code in FOLDER, what matches EXCEPT taken out of it, matches PATTERN.
forbid() {
    local found
    # The pattern looks at the code only, not at the file's name before it.
    found=$(code "$1" | pattern=$2 except=${4:-} awk '{
        line = substr($0, index($0, ": ") + 2)
        if (ENVIRON["except"] != "") gsub(ENVIRON["except"], "", line)
        if (line ~ ENVIRON["pattern"]) print
    }')
    [ -z "$found" ] || complain "$3" <<<"$found"
}

# `crate::read` by itself, at the head of a path, or within braces: `use crate::{bus, read::Feed}`. The braces may go over
# several lines, so a grouped import of the crate's root is not allowed at all where a boundary runs.
edge='([^A-Za-z0-9_]|$)'
forbid server/src/write "(crate|super)::read$edge" "the write side never names the read side"
forbid server/src/write 'crate::[{*]' "the write side imports from the crate's rooms one by one, so that this check can see which"
forbid server/src/read "(crate|super)::write$edge" "the read side never names the write side"
forbid server/src/read 'crate::[{*]' "the read side imports from the crate's rooms one by one, so that this check can see which"
forbid server/src/read '(^|[^A-Za-z0-9_])decide([^A-Za-z0-9_]|$)' "the read side names nothing that decides"
forbid app/src/domain 'leptos|server_fn|wasm_bindgen|web_sys|js_sys' "the domain knows nothing of how it is shown"
forbid app/src/domain 'crate::|super::(api|components|live|pages|ports|wire)' "the domain knows nothing of the rest of the app" 'crate::domain(::|;)'
forbid app/src/domain '(SystemTime|Instant|OffsetDateTime|UtcDateTime)::now|Uuid::(now_v7|new_v4)|getrandom|std::(fs|net|env|process)' "the domain has no clock, no randomness and no input or output"

# What is compiled for the browser, features and all.
tree=$(cargo tree --quiet -p app --features hydrate --target wasm32-unknown-unknown --edges normal --prefix none --format '{p}')
[ "$(wc -l <<<"$tree")" -gt 20 ] || complain "cargo tree shows the browser's dependencies" <<<"$tree"
server_only=$(grep -E '^(axum|axum-core|tokio|hyper|sqlx|sqlx-core|rdkafka|leptos_axum|argon2|server) ' <<<"$tree" | sort -u || true)
[ -z "$server_only" ] || complain "the app that is built for the browser holds no part of a server" <<<"$server_only"

[ "$failures" = 0 ] || exit 1
echo "boundaries: all hold"
