#!/usr/bin/env bash
# A real PostgreSQL for tests: on a free port of 127.0.0.1, its data in a fresh temporary folder.
#
#   eval "$(.build/postgres.sh start)"     prints where it is: export DAYBOOK_TEST_POSTGRES=postgres://…
#   .build/postgres.sh stop                ends exactly that one, and removes its data
#
#   .build/postgres.sh server FOLDER ACTION     that one: kill (as kill -9), stop (at once), up; freeze (it keeps its
#                                               connections and answers nothing), thaw
#
# `start --for PID` ends it by itself once that process has ended. Where DAYBOOK_TEST_POSTGRES is set already, that server
# is used, and not stopped: its user has to be allowed to make databases and roles.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1mpostgres:\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

programs() {
    local folder
    for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr); do
        [ -x "$folder/initdb" ] && { echo "$folder"; return; }
    done
    folder=$(command -v initdb) && dirname "$folder"
}

# PostgreSQL refuses to run as root.
as_its_user() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

# Its first process. An id alone may have been given to someone else since.
first_of() {
    local first
    first=$(head -1 "$1/data/postmaster.pid" 2>/dev/null) &&
        tr '\0' ' ' 2>/dev/null <"/proc/$first/cmdline" | grep -qF -- "$1/data" && echo "$first"
}

# Sends a signal to all of its processes, the first one first: it starts the others.
signal() {
    local first
    first=$(first_of "$1")
    kill "-$2" "$first"
    pkill "-$2" -P "$first"
}

stop() {
    local folder=$1
    # At once: nothing in it is worth a checkpoint.
    if first_of "$folder" >/dev/null; then
        signal "$folder" CONT 2>/dev/null || true
        (cd "$folder" && as_its_user "$bin/pg_ctl" -D "$folder/data" -w -m immediate stop >/dev/null) || say "it had ended"
    fi
    rm -rf "$folder"
}

start() {
    local watched=$1 folder port
    if [ -n "${DAYBOOK_TEST_POSTGRES:-}" ]; then
        printf 'export DAYBOOK_TEST_POSTGRES=%q\n' "$DAYBOOK_TEST_POSTGRES"
        return
    fi
    bin=$(programs) || { .build/tools.sh postgres; bin=$(programs); } || die "PostgreSQL could not be installed"
    folder=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/daybook-postgres.XXXXXX")")
    # It speaks TLS, too, with the certificate that other tests have.
    cp server/tests/it/localhost.pem server/tests/it/localhost.key "$folder"
    chmod 600 "$folder/localhost.key"
    if [ "$(id -u)" = 0 ]; then chown -R postgres "$folder"; fi
    (
        # Its user may not be allowed into the folder that this was called from.
        cd "$folder"
        as_its_user "$bin/initdb" -D "$folder/data" -U daybook --auth=trust -E UTF8 --locale=C.UTF-8 >"$folder/initdb.log" 2>&1 \
            || { cat "$folder/initdb.log" >&2; exit 1; }
        # Another process can take a port between asking for it and using it.
        for try in 1 2 3; do
            port=$(free_port)
            echo "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c max_connections=500 \
                -c ssl=on -c ssl_cert_file=$folder/localhost.pem -c ssl_key_file=$folder/localhost.key" >"$folder/options"
            if as_its_user "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" start -o "$(cat "$folder/options")" \
                </dev/null >"$folder/start.log" 2>&1; then
                echo "$port" >"$folder/port"
                break
            fi
        done
    )
    [ -f "$folder/port" ] || { cat "$folder/log" "$folder/start.log" >&2; rm -rf "$folder"; die "PostgreSQL did not start"; }
    if [ -n "$watched" ]; then
        setsid .build/postgres.sh end-after "$watched" "$folder" </dev/null >/dev/null 2>&1 &
    fi
    printf 'export DAYBOOK_TEST_POSTGRES=%q\n' "postgres://daybook@127.0.0.1:$(cat "$folder/port")/postgres?sslmode=disable"
    printf 'export DAYBOOK_TEST_POSTGRES_FOLDER=%q\n' "$folder"
}

# As it was started, once what a killed one left has ended.
up() {
    local folder=$1
    cd "$folder"
    for _ in $(seq 300); do
        if as_its_user "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" start -o "$(cat "$folder/options")" \
            </dev/null >"$folder/start.log" 2>&1; then return; fi
        sleep 0.2
    done
    cat "$folder/start.log" >&2
    die "PostgreSQL did not start again"
}

case "${1:-}" in
    start)
        if [ "${2:-}" = --for ]; then start "${3:?--for needs a process id}"; else start ""; fi
        ;;
    stop)
        # Without a folder it was not started here.
        [ -n "${DAYBOOK_TEST_POSTGRES_FOLDER:-}" ] || exit 0
        bin=$(programs)
        stop "$DAYBOOK_TEST_POSTGRES_FOLDER"
        ;;
    server)
        bin=$(programs)
        folder=${2:?folder}
        case "${3:-}" in
            kill) kill -KILL "$(first_of "$folder")" ;;
            stop) (cd "$folder" && as_its_user "$bin/pg_ctl" -D "$folder/data" -w -m immediate stop >/dev/null) ;;
            up) up "$folder" ;;
            freeze) signal "$folder" STOP ;;
            thaw) signal "$folder" CONT ;;
            *) die "what is '${3:-}'? kill, stop, up, freeze or thaw" ;;
        esac
        ;;
    end-after)
        bin=$(programs)
        while kill -0 "$2" 2>/dev/null; do sleep 1; done
        stop "$3"
        ;;
    *) die "start [--for PID] or stop" ;;
esac
