#!/usr/bin/env bash
# What processes apart need: PostgreSQL, Apache Kafka, and nginx in front of them.
#
#   .build/services.sh start [--brokers N] [--no-proxy]
#                                              starts them, once, and prints what to export; three brokers if memory allows
#   .build/services.sh stop                    ends exactly those, by process id, and removes their data
#   .build/services.sh where                   prints what to export if they run; fails if they do not
#
# Each is taken from where it is to be had first: a variable (DAYBOOK_TEST_POSTGRES, the URL of a user who may make
# databases and roles; DAYBOOK_TEST_KAFKA, HOST:PORT,…; DAYBOOK_TEST_PROXY, a URL), `docker compose` where an engine runs
# (not the proxy: what it leads to is on this machine), or processes of this machine with their data in a temporary folder.
# What was started is remembered in one file under the target folder, or in DAYBOOK_SERVICES.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
state=${DAYBOOK_SERVICES:-$target/services}

say() { printf '\033[1mservices:\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Not that of a whole deployment from the same file.
project=daybook-services
# Of one broker, with room for the rest of a split deployment.
broker_kib=$((1024 * 1024))

brokers_that_fit() {
    local free
    free=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null || echo 0)
    if [ "${free:-0}" -ge $((4 * broker_kib)) ]; then echo 3; else echo 1; fi
}

has_engine() { docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

answers() {
    local address=$1
    (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null
}

# host:port of a postgres:// URL.
address_of() {
    local rest=${1#*://}
    rest=${rest#*@}
    rest=${rest%%[/?]*}
    case $rest in *:*) echo "$rest" ;; *) echo "$rest:5432" ;; esac
}

where() {
    [ -f "$state" ] || return 1
    (
        # shellcheck source=/dev/null
        . "$state"
        [ -n "${DAYBOOK_TEST_POSTGRES:-}" ] && answers "$(address_of "$DAYBOOK_TEST_POSTGRES")" || exit 1
        [ -n "${DAYBOOK_TEST_KAFKA:-}" ] && answers "${DAYBOOK_TEST_KAFKA%%,*}"
    ) || return 1
    grep '^export ' "$state"
}

stop() {
    [ -f "$state" ] || { say "nothing is running"; return; }
    (
        unset DAYBOOK_TEST_POSTGRES_FOLDER DAYBOOK_TEST_KAFKA_DIR DAYBOOK_TEST_PROXY_FOLDER composed
        # shellcheck source=/dev/null
        . "$state"
        if [ -n "${DAYBOOK_TEST_PROXY_FOLDER:-}" ]; then .build/proxy.sh stop "$DAYBOOK_TEST_PROXY_FOLDER"; fi
        if [ -n "${composed:-}" ]; then docker compose --project-name "$project" down --volumes >&2; fi
        if [ -n "${DAYBOOK_TEST_POSTGRES_FOLDER:-}" ]; then .build/postgres.sh stop; fi
        if [ -n "${DAYBOOK_TEST_KAFKA_DIR:-}" ]; then .build/kafka.sh stop "$DAYBOOK_TEST_KAFKA_DIR"; fi
    )
    rm -f "$state"
    say "ended"
}

start() {
    local brokers='' proxy=1
    while [ $# -gt 0 ]; do
        case $1 in
            --brokers) brokers=$2; shift 2 ;;
            --no-proxy) proxy=; shift ;;
            *) die "what is '$1'? --brokers N or --no-proxy" ;;
        esac
    done
    if where; then say "they run already; 'make services-stop' ends them"; return; fi
    if [ -f "$state" ]; then stop; fi
    : >"$state"
    # Half of it is of no use.
    trap '[ $? = 0 ] || stop' EXIT
    local compose=
    if [ -z "${DAYBOOK_TEST_POSTGRES:-}" ] && [ -z "${DAYBOOK_TEST_KAFKA:-}" ] && has_engine; then compose=1; fi
    if [ -n "$compose" ]; then
        say "PostgreSQL and Kafka, by docker compose"
        echo "composed=1" >>"$state"
        # Whatever .env says: the address below has the password, too.
        POSTGRES_PASSWORD=daybook docker compose --project-name "$project" up --detach --wait postgres kafka >&2
        {
            echo "export DAYBOOK_TEST_POSTGRES=postgres://daybook:daybook@127.0.0.1:5433/ledger?sslmode=disable"
            echo "export DAYBOOK_TEST_KAFKA=127.0.0.1:9094"
        } >>"$state"
    else
        if [ -n "${DAYBOOK_TEST_POSTGRES:-}" ]; then say "the PostgreSQL that DAYBOOK_TEST_POSTGRES names"
        else say "PostgreSQL, as a process of this machine"; fi
        .build/postgres.sh start >>"$state"
        if [ -n "${DAYBOOK_TEST_KAFKA:-}" ]; then
            say "the Kafka that DAYBOOK_TEST_KAFKA names"
            printf 'export DAYBOOK_TEST_KAFKA=%q\n' "$DAYBOOK_TEST_KAFKA" >>"$state"
        else
            brokers=${brokers:-$(brokers_that_fit)}
            say "Kafka, $brokers broker(s) as processes of this machine"
            .build/kafka.sh start --brokers "$brokers" >>"$state"
        fi
    fi
    if [ -z "$proxy" ]; then
        say "without a proxy"
    elif [ -n "${DAYBOOK_TEST_PROXY:-}" ]; then
        say "the proxy that DAYBOOK_TEST_PROXY names"
        printf 'export DAYBOOK_TEST_PROXY=%q\n' "$DAYBOOK_TEST_PROXY" >>"$state"
    else
        say "nginx, as a process of this machine, for a command node at port 3001 and a query node at port 3002"
        .build/proxy.sh start >>"$state"
    fi
    where || die "they were started and do not answer"
}

case ${1:-} in
    start) start "${@:2}" ;;
    stop) stop ;;
    where) where ;;
    *) die "what is '${1:-}'? start, stop or where" ;;
esac
