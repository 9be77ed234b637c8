#!/usr/bin/env bash
# Which wasm-bindgen: `--wanted` prints the version in Cargo.lock, `--path` where a command of exactly that version is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
wanted=$(awk '$0 == "name = \"wasm-bindgen\"" { getline; gsub(/[^0-9.]/, ""); print; exit }' Cargo.lock)

case ${1:-} in
    --wanted) echo "$wanted" ;;
    --path)
        for candidate in "${CARGO_TARGET_DIR:-target}/tools/bin/wasm-bindgen" "$(command -v wasm-bindgen || true)"; do
            [ -x "$candidate" ] || continue
            if [ "$("$candidate" --version)" = "wasm-bindgen $wanted" ]; then echo "$candidate"; exit; fi
        done
        exit 1
        ;;
    *) echo "usage: wasm-bindgen.sh --wanted | --path" >&2; exit 2 ;;
esac
