#!/usr/bin/env bash
# nginx as the reverse proxy of processes apart, on this machine, with the routes of deploy/nginx.conf.
#
#   .build/proxy.sh start                      in front of a command node at port 3001 and a query node at port 3002; prints
#                                              what to export. It listens at DAYBOOK_SPLIT_PORT (8080), or where it may
#   .build/proxy.sh stop FOLDER                ends exactly that one, and removes its folder
#   .build/proxy.sh configure FOLDER PORT 'COMMAND_PORT…' 'QUERY_PORT…'    only writes FOLDER/conf, for `nginx -c`
#   .build/proxy.sh free-port PORT             a port of 127.0.0.1 that is free: this one if it can be
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1mproxy:\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

free_port() {
    node -e '
        const s = require("net").createServer();
        s.on("error", () => s.listen(0, "127.0.0.1"));
        s.on("listening", () => { console.log(s.address().port); s.close(); });
        s.listen(Number(process.argv[1]), "127.0.0.1");' "$1"
}

# deploy/nginx.conf with this machine's ports; what is written lands in the folder.
configure() {
    local folder=$1 port=$2 commands=$3 queries=$4 temporary=
    servers() { printf '\\1server 127.0.0.1:%s\\2;\\n' "$@"; }
    for kind in client_body proxy fastcgi uwsgi scgi; do temporary+="    ${kind}_temp_path $folder/$kind;\\n"; done
    {
        sed -e "s|^\( *\)server 127.0.0.1:3001\(.*\);|$(servers $commands)|" \
            -e "s|^\( *\)server 127.0.0.1:3002\(.*\);|$(servers $queries)|" \
            -e "s|listen 127.0.0.1:8080;|listen 127.0.0.1:$port;|" \
            -e "s|^http {|http {\n    access_log off;\n$temporary|" deploy/nginx.conf
        printf 'pid %s/pid;\n' "$folder"
    } >"$folder/conf"
}

start() {
    local folder port
    command -v nginx >/dev/null || .build/tools.sh proxy
    folder=$(mktemp -d "${TMPDIR:-/tmp}/daybook-proxy.XXXXXX")
    # nginx gives up root for its workers; they have to come to their own folder.
    chmod 711 "$folder"
    port=$(free_port "${DAYBOOK_SPLIT_PORT:-8080}")
    configure "$folder" "$port" 3001 3002
    setsid nginx -p "$folder" -c "$folder/conf" -e "$folder/log" >"$folder/log" 2>&1 </dev/null ||
        { cat "$folder/log" >&2; rm -rf "$folder"; die "nginx did not start"; }
    printf 'export DAYBOOK_TEST_PROXY=%q\n' "http://127.0.0.1:$port"
    printf 'export DAYBOOK_TEST_PROXY_FOLDER=%q\n' "$folder"
}

stop() {
    local folder=$1 pid
    # An id alone may have been given to someone else since.
    if pid=$(cat "$folder/pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$folder/conf"; then
        nginx -p "$folder" -c "$folder/conf" -e "$folder/log" -s stop
        while [ -e "$folder/pid" ] && [ -e "/proc/$pid" ]; do sleep 0.05; done
    fi
    rm -rf "$folder"
}

case ${1:-} in
    start) start ;;
    stop) stop "$2" ;;
    configure) configure "${@:2}" ;;
    free-port) free_port "$2" ;;
    *) die "what is '${1:-}'? start, stop, configure or free-port" ;;
esac
