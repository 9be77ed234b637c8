#!/usr/bin/env bash
# A split deployment on this machine, on one printed address: two command nodes on PostgreSQL, two query nodes with read
# databases of their own, Kafka, and nginx with the routes of deploy/nginx.conf. Demo data; Ctrl-C ends everything.
#
# A process that ends, by `kill -9` or otherwise, is started again. DAYBOOK_SPLIT_PORT is where to listen (8080).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
daybook=${DAYBOOK_BIN:-$(cd "$target" && pwd)/debug/daybook}
# Of query nodes, if it is another.
query=${DAYBOOK_QUERY_BIN:-$daybook}
[ -x "$daybook" ] || { echo "no $daybook: run 'make run-split', which builds it" >&2; exit 1; }

say() { printf '\033[1msplit:\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

folder=$(mktemp -d "${TMPDIR:-/tmp}/daybook-split.XXXXXX")
# nginx gives up root for its workers; they have to come to their own folder.
chmod 711 "$folder"
declare -A process=() command_line=()
started_services=
database=
# Brokers that were there before.
kafka_given=${DAYBOOK_TEST_KAFKA:-}

# Where it is said what happens, also while something else is kept quiet.
exec 5>&2

finish() {
    trap '' INT TERM
    trap - EXIT
    exec 2>&5
    local name pid
    # The proxy first, so that nobody is sent to a node that is ending.
    for name in proxy query-1 query-2 command-1 command-2; do
        pid=${process[$name]:-}
        if [ -n "$pid" ]; then
            kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
            end_rest "$pid"
        fi
    done
    # It may be someone else's server: leave it as it was found.
    if [ -n "$database" ]; then
        sql "$DAYBOOK_TEST_POSTGRES" "DROP DATABASE IF EXISTS $database WITH (FORCE)" "DROP ROLE IF EXISTS $database" || true
    fi
    if [ -n "$started_services" ]; then .build/services.sh stop || true; fi
    if [ -n "$database" ] && [ -n "$kafka_given" ]; then
        say "the topics that begin with $database stay on Kafka at $DAYBOOK_TEST_KAFKA"
    fi
    rm -rf "$folder"
    say "ended"
}
trap finish EXIT
trap 'exit 130' INT TERM

# What a process that was killed left behind, such as nginx' workers: the session that it led is named by its id.
end_rest() { kill -KILL -- "-$1" 2>/dev/null || true; }

# Statements, each by itself.
sql() {
    local url=$1 statement
    shift
    for statement in "$@"; do "$psql" -X -q -v ON_ERROR_STOP=1 -d "$url" -c "$statement" >/dev/null; done
}

find_psql() {
    local found
    found=$(command -v psql || ls -d /usr/lib/postgresql/*/bin/psql 2>/dev/null | sort -V | tail -1)
    [ -n "$found" ] && echo "$found"
}

# run NAME COMMAND…: a process of ours, its output in a file, in a session of its own: Ctrl-C is for this script.
run() {
    local name=$1
    shift
    command_line[$name]=$(printf '%q ' "$@")
    setsid "$@" >>"$folder/$name.log" 2>&1 </dev/null 5>&- &
    process[$name]=$!
}

ready() {
    local name=$1 url=$2
    for _ in $(seq 300); do
        "$daybook" health --url "$url" >/dev/null 2>&1 && return
        kill -0 "${process[$name]}" 2>/dev/null || { tail -20 "$folder/$name.log" >&2; die "$name ended"; }
        sleep 0.2
    done
    tail -20 "$folder/$name.log" >&2
    die "$name was not ready within a minute"
}

if services=$(.build/services.sh where); then
    say "on the services that run already"
    kafka_given=1
else
    started_services=1
    # In a session of its own: Ctrl-C is not to leave half of it behind.
    services=$(setsid --wait .build/services.sh start --no-proxy)
fi
eval "$services"
psql=$(find_psql) || { .build/tools.sh postgres; psql=$(find_psql); } || die "there is no psql"

[[ $DAYBOOK_TEST_POSTGRES =~ ^[^:]+://[^/]+/ ]] || die "the URL of PostgreSQL has to name a database"

# A database and a prefix of topics of this run's own; nodes run as a user who is not the owner.
database=split_$(date +%s)_$$
password=$(head -c 18 /dev/urandom | base64 | tr '+/' 'ab')
sql "$DAYBOOK_TEST_POSTGRES" "CREATE DATABASE $database" "CREATE ROLE $database LOGIN PASSWORD '$password'"
owner=$(sed -E "s#^([^:]+://[^/]+)/[^?]*#\1/$database#" <<<"$DAYBOOK_TEST_POSTGRES")
node=$(sed -E "s#^([^:]+://)([^@/]*@)?#\1$database:$password@#" <<<"$owner")
bus=kafka://$DAYBOOK_TEST_KAFKA/$database
export DAYBOOK_LOG=${DAYBOOK_LOG:-info,sqlx=warn}

say "demo data"
"$daybook" demo --data-dir "$folder/demo" >"$folder/people" 2>"$folder/demo.log" || { cat "$folder/demo.log" >&2; die "no demo data"; }
"$daybook" migrate --data-dir "$folder/demo" --write-db-admin "$owner" --write-db "$node" 2>&1 >/dev/null
"$daybook" copy --data-dir "$folder/demo" --from "sqlite:$folder/demo/write.sqlite" --to "$owner" >"$folder/copy.log" 2>&1 ||
    { cat "$folder/copy.log" >&2; die "the demo data did not go to PostgreSQL"; }
key=$folder/session.key
public=$("$daybook" token public-key --data-dir "$folder/demo" --session-key-file "$key")

port=$(.build/proxy.sh free-port "${DAYBOOK_SPLIT_PORT:-8080}")
address=http://127.0.0.1:$port
declare -A ports=()
for name in command-1 command-2 query-1 query-2; do
    ports[$name]=$(.build/proxy.sh free-port 0)
    common=(--data-dir "$folder/$name" --listen "127.0.0.1:${ports[$name]}" --public-url "$address" --trusted-proxy 127.0.0.1 --bus "$bus")
    case $name in
        command-*) run "$name" env DAYBOOK_WRITE_DB="$node" "$daybook" serve --role command --session-key-file "$key" "${common[@]}" ;;
        query-*) run "$name" "$query" serve --role query --session-public-keys "$public" "${common[@]}" ;;
    esac
done
mkdir -m 711 "$folder/nginx"
.build/proxy.sh configure "$folder/nginx" "$port" "${ports[command-1]} ${ports[command-2]}" "${ports[query-1]} ${ports[query-2]}"
for name in command-1 command-2 query-1 query-2; do ready "$name" "http://127.0.0.1:${ports[$name]}"; done
run proxy nginx -p "$folder/nginx" -c "$folder/nginx/conf" -e stderr -g 'daemon off;'
ready proxy "$address"

echo
echo "Daybook, apart, at $address"
cat "$folder/people"
echo
for name in command-1 command-2 query-1 query-2 proxy; do
    printf '  %-10s process %-8s %s\n' "$name" "${process[$name]}" "${ports[$name]:+127.0.0.1:${ports[$name]}, }$folder/$name.log"
done
printf '  %-10s %s\n' PostgreSQL "$owner" Kafka "$DAYBOOK_TEST_KAFKA ($(tr ',' '\n' <<<"$DAYBOOK_TEST_KAFKA" | wc -l) broker(s)), topics $database.*"
echo "Kill any of these five processes: it is started again. Ctrl-C ends everything."

while :; do
    # The shell is not to report it: we do.
    { wait -n -p ended "${process[@]}" || true; } 2>/dev/null
    for name in "${!process[@]}"; do
        [ "${process[$name]}" = "$ended" ] || continue
        say "$name ended; it is started again"
        end_rest "$ended"
        sleep 1
        eval "run $name ${command_line[$name]}"
        say "$name is process ${process[$name]}"
    done
done
