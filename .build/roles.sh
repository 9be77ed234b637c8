#!/usr/bin/env bash
# Each role builds alone, without warnings, and what a role does not need is not compiled into it: neither the other side's
# modules, as the compiler itself lists what it read, nor the crates that only those need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. .build/complain.sh

# alone ROLE SOURCES CRATES: patterns of what a build of ROLE does not hold.
alone() {
    local role=$1 sources=$2 crates=$3 built found list
    built=$(cargo clippy --quiet -p server --no-default-features --features "$role" --message-format json-render-diagnostics -- -D warnings)
    for crate in app server; do
        list=$(grep -o "\"[^\"]*/lib$crate-[0-9a-f]*\.rmeta\"" <<<"$built" | tr -d '"' | tail -1 | sed "s|/lib\($crate-[^/]*\)\.rmeta$|/\1.d|")
        grep -q "$crate/src/lib.rs" "$list" || complain "the compiler says what it read for $crate" <<<"$list"
        found=$(sed -n 's/^\([^:]*\/src\/[^:]*\.rs\):$/\1/p' "$list" | grep -E "$sources" || true)
        [ -z "$found" ] || complain "a build with --features $role holds nothing of the other side" <<<"$found"
    done
    found=$(cargo tree --quiet -p server --no-default-features --features "$role" --edges normal --prefix none --format '{p}' |
        grep -E "^($crates) " | sort -u || true)
    [ -z "$found" ] || complain "a build with --features $role has no crate that only the other side needs" <<<"$found"
}

alone command 'server/src/(read/|metrics/query|bus/in_process|bus/kafka/(consumer|merge|node|people_subscription|replay|resume)\.|web/(assets|docs|live|openapi|pages)\.|cli/(both_sides|dump|query_side|rebuild|recover)\.)|app/src/(pages|components|islands|shell)' \
    'rust-embed'
alone query 'server/src/(write/|import/|config/operator|metrics/command|bus/(in_process|lease|kafka/(producer|relay|said|sent))|web/(functions|refill)\.|cli/(backup|both_sides|command_side|copy|demo|export|import|recover|token|user|verify)\b)' \
    'argon2|csv|indicatif'

[ "$failures" = 0 ] || exit 1
echo "roles: each builds alone"
