#!/usr/bin/env bash
# The browser tests, against the debug binary that cargo built last. Arguments go to Playwright: names of specs, --headed …
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
DAYBOOK_BIN=${DAYBOOK_BIN:-$(cd "$target" && pwd)/debug/daybook}
export DAYBOOK_BIN
[ -x "$DAYBOOK_BIN" ] || { echo "no $DAYBOOK_BIN: run 'make e2e', which builds it" >&2; exit 1; }
cd end2end
exec node_modules/.bin/playwright test "$@"
