#!/usr/bin/env bash
# A real Apache Kafka as processes of this machine (KRaft, no ZooKeeper), on free ports of 127.0.0.1, data in a fresh
# temporary folder.
#
#   .build/kafka.sh install                    Java, Maven and the jars (43 MB, once, under the target folder)
#   .build/kafka.sh start [--brokers N] [--guarded]
#                                              starts N brokers (1); prints what to export. Guarded ones have a second
#                                              port, where whoever signs in, as `command` or `query` with the password
#                                              `NAME-secret`, may only do what was allowed; at the first all is
#   .build/kafka.sh stop [FOLDER]              ends exactly those of FOLDER, or of $DAYBOOK_TEST_KAFKA_DIR, and removes it
#   .build/kafka.sh run [--brokers N] [--guarded]
#                                              as start, and as stop when its standard input ends: for a test process
#   .build/kafka.sh acls ARGUMENT…             Kafka's own kafka-acls
#   .build/kafka.sh witness                    kcat, a reader of topics that has nothing to do with Daybook
#   .build/kafka.sh broker FOLDER N ACTION     one broker: kill (as kill -9), down (as SIGTERM), up, freeze, thaw
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$PWD/.build/kafka
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/tools"
target=$(cd "$target" && pwd)
jars=$target/tools/kafka

say() { printf '\033[1mkafka:\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else die "needs root or sudo for: $*"
    fi
}

apt_install() {
    have apt-get || die "please install by hand: $*"
    say "$*, by apt-get"
    (
        flock 9
        as_root apt-get -qq -o Acquire::Retries=3 update
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"
    ) 9>"$target/tools/apt.lock" >"$target/tools/kafka.apt.log" 2>&1 || { tail -20 "$target/tools/kafka.apt.log" >&2; die "apt-get could not install $*"; }
}

# Once, whoever else asks for it at the same time.
install() (
    have java || apt_install default-jre-headless
    exec 8>"$target/tools/kafka.lock"
    flock 8
    cmp -s "$here/pom.xml" "$jars/pom.xml" && return
    have mvn || apt_install maven
    say "Apache Kafka, by Maven (43 MB, about 15 s)"
    rm -rf "$jars"
    mkdir -p "$jars"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars/lib" -DincludeScope=runtime >"$target/tools/kafka.mvn.log" 2>&1 ||
        { tail -20 "$target/tools/kafka.mvn.log" >&2; die "Maven could not fetch Kafka"; }
    cp "$here/pom.xml" "$jars/pom.xml"
)

free_ports() {
    # All are held at once, so that none is given out twice.
    python3 - "$1" <<'PY' 2>/dev/null || node -e '
        const net = require("net"), count = Number(process.argv[1]);
        const held = Array.from({ length: count }, () => net.createServer().listen(0, "127.0.0.1"));
        Promise.all(held.map(s => new Promise(done => s.once("listening", done)))).then(() => {
            console.log(held.map(s => s.address().port).join(" ")); held.forEach(s => s.close()); });' "$1"
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PY
}

# The broker's process, if it runs. An id alone may have been given to someone else since.
process_of() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$1/server.properties" && echo "$pid"
}

up() {
    local broker=$1
    # Its own session: a signal to whoever started it (Ctrl-C) is not for the broker.
    setsid java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/log4j2.properties" \
        -cp "$jars/lib/*" kafka.Kafka "$broker/server.properties" >>"$broker/out" 2>&1 </dev/null 8>&- 9>&- &
    echo $! >"$broker/pid"
    # The shell is not to report its end.
    disown
}

wait_until_up() {
    local broker=$1 port
    port=$(cat "$broker/port")
    for _ in $(seq 600); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
        # By its id alone: on a busy machine it may not be called Java yet.
        kill -0 "$(cat "$broker/pid")" 2>/dev/null || { tail -20 "$broker/out" >&2; die "a broker ended"; }
        sleep 0.1
    done
    tail -20 "$broker/out" >&2
    die "a broker did not start within 60 s"
}

end() {
    local broker=$1 signal=$2 pid
    pid=$(process_of "$broker") || return 0
    kill "-$signal" "$pid" 2>/dev/null || return 0
    for _ in $(seq 300); do
        process_of "$broker" >/dev/null || return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# A second port, where nobody may do anything that is not allowed; the brokers and whoever comes by the first may all.
guard() {
    local broker=$1 port=$2
    sed -i -e "s|^listeners=.*|&,GUARDED://127.0.0.1:$port|" -e "s|^advertised.listeners=.*|&,GUARDED://127.0.0.1:$port|" \
        -e "s|^listener.security.protocol.map=.*|&,GUARDED:SASL_PLAINTEXT|" "$broker/server.properties"
    cat >>"$broker/server.properties" <<END
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.name.guarded.sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
    user_command="command-secret" user_query="query-secret";
END
}

start() {
    local count=1 guarded= folder ports voters id
    while [ $# -gt 0 ]; do
        case $1 in
            --brokers) count=${2:-}; shift 2 || die "how many brokers?" ;;
            --guarded) guarded=1; shift ;;
            *) die "what is '$1'? --brokers N or --guarded" ;;
        esac
    done
    [[ $count =~ ^[1-9]$ ]] || die "1 to 9 brokers, not '$count'"
    install
    folder=$(mktemp -d "${TMPDIR:-/tmp}/daybook-kafka.XXXXXX")
    started=$folder
    read -ra ports < <(free_ports $((3 * count)))
    voters=$(for ((id = 1; id <= count; id++)); do printf '%s@127.0.0.1:%s ' "$id" "${ports[count + id - 1]}"; done)
    voters=${voters% }
    voters=${voters// /,}
    local replicas=$((count < 3 ? count : 3)) cluster
    local insync=$((replicas < 3 ? 1 : 2))
    # 16 random bytes; with a minus in front it would read as an option.
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=')
    for ((id = 1; id <= count; id++)); do
        local broker=$folder/$id port=${ports[id - 1]} controller=${ports[count + id - 1]}
        mkdir "$broker"
        echo "$port" >"$broker/port"
        cat >"$broker/server.properties" <<END
process.roles=broker,controller
node.id=$id
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$broker/data
default.replication.factor=$replicas
min.insync.replicas=$insync
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$insync
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.retention.check.interval.ms=1000
END
        [ -z "$guarded" ] || guard "$broker" "${ports[2 * count + id - 1]}"
        java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$jars/lib/*" kafka.tools.StorageTool format -t "$cluster" \
            -c "$broker/server.properties" >"$broker/out" 2>&1 || { tail -20 "$broker/out" >&2; die "a broker's folder could not be made"; }
        up "$broker"
    done
    local addresses= guards=
    for ((id = 1; id <= count; id++)); do
        wait_until_up "$folder/$id"
        addresses+=,127.0.0.1:${ports[id - 1]}
        guards+=,127.0.0.1:${ports[2 * count + id - 1]}
    done
    echo "export DAYBOOK_TEST_KAFKA=${addresses#,}"
    echo "export DAYBOOK_TEST_KAFKA_DIR=$folder"
    [ -z "$guarded" ] || echo "export DAYBOOK_TEST_KAFKA_GUARDED=${guards#,}"
}

stop() {
    local folder=$1 broker
    [[ $folder == */daybook-kafka.* ]] || die "'$folder' is no folder of these brokers"
    for broker in "$folder"/*/; do end "${broker%/}" KILL; done
    rm -rf "$folder"
}

started=
case ${1:-} in
    install) install ;;
    witness) have kcat || apt_install kcat ;;
    start)
        trap '[ $? = 0 ] || [ -z "$started" ] || stop "$started"' EXIT
        start "${@:2}"
        ;;
    run)
        trap '[ -z "$started" ] || stop "$started"' EXIT
        start "${@:2}"
        cat >/dev/null
        ;;
    acls)
        install
        java -Xmx128m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$jars/lib/*" \
            org.apache.kafka.tools.AclCommand "${@:2}"
        ;;
    stop) stop "${2:-${DAYBOOK_TEST_KAFKA_DIR:?says which brokers to stop}}" ;;
    broker)
        broker=${2:?folder}/${3:?number}
        case ${4:-} in
            kill) end "$broker" KILL ;;
            down) end "$broker" TERM ;;
            up) up "$broker"; wait_until_up "$broker" ;;
            freeze) kill -STOP "$(process_of "$broker")" ;;
            thaw) kill -CONT "$(process_of "$broker")" ;;
            *) die "what is '${4:-}'? kill, down, up, freeze or thaw" ;;
        esac
        ;;
    *) die "what is '${1:-}'? install, start, stop, run, acls, witness or broker" ;;
esac
