#!/bin/sh
# The user that command nodes run as: owns nothing. `daybook migrate` gives it what it needs.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$NODE_PASSWORD" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
CREATE ROLE daybook_node LOGIN PASSWORD :'password';
SQL
