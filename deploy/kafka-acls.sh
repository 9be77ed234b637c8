#!/usr/bin/env bash
# Where Kafka has access control: allows the nodes what they need of Daybook's four topics, and no more.
#
#   deploy/kafka-acls.sh PREFIX COMMAND-USER QUERY-USER ARGUMENT…
#
# PREFIX as in --bus; the users as Kafka calls them, such as User:daybook-command. The arguments are for kafka-acls.sh, which
# comes with Kafka: --bootstrap-server HOST:PORT, --command-config FILE. KAFKA_ACLS says where it is, unless on the PATH.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
prefix=$1 command=$2 query=$3
shift 3
read -ra acls <<<"${KAFKA_ACLS:-kafka-acls.sh}"

allow() { "${acls[@]}" --add --allow-principal "$@"; }

topics=()
for topic in events control replay people; do topics+=(--topic "$prefix.$topic"); done

# Makes the topics, looks whether they promise enough, writes them; and reads what is asked for.
allow "$command" --operation Create --operation Describe --operation DescribeConfigs --operation Read --operation Write \
    "${topics[@]}" "$@"
# Reads them,
allow "$query" --operation Describe --operation Read "${topics[@]}" "$@"
# and asks for what it lacks.
allow "$query" --operation Write --topic "$prefix.control" "$@"
