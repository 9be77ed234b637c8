#!/usr/bin/env bash
# Builds the browser's side: the WASM modules, their scripts and the styles, laid out for the server to serve or embed.
#
#   .build/site.sh release    small: link-time optimisation, wasm-opt, best compression   → TARGET/site
#   .build/site.sh dev        soon there: a debug server reads it from disk              → TARGET/site-dev
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
kind=${1:-release}

say() { printf '\033[1msite:\033[0m %s\n' "$*" >&2; }

case $kind in
    release) profile=(--profile wasm); built=wasm; site=$target/site; options=() ;;
    # The server's own profile, so that what runs while compiling is compiled once for both.
    dev) profile=(--config profile.dev.opt-level=1 --config profile.dev.debug=false); built=debug; site=$target/site-dev; options=(--fast) ;;
    *) echo "usage: site.sh release | dev" >&2; exit 2 ;;
esac

cargo build -p frontend -p frontend-timeline --target wasm32-unknown-unknown "${profile[@]}"
bound=$target/bound/$kind
bindgen=$(.build/wasm-bindgen.sh --path) || { say "wasm-bindgen is missing: run 'make tools'"; exit 1; }
optimiser=$target/tools/binaryen/node_modules/.bin/wasm-opt
[ "$kind" = release ] && [ -x "$optimiser" ] && shrink=true || shrink=false
[ "$kind" = dev ] || "$shrink" || say "no wasm-opt here: the bundle is larger than it could be ('make tools' installs it)"

# bind NAME CRATE: the crate's module with its script, as NAME_bg.wasm and NAME.js.
bind() {
    local name=$1 module=$target/wasm32-unknown-unknown/$built/$2.wasm folder=$bound/$1 stamp
    # wasm-opt takes its time: not again for the same module and the same tools.
    stamp=$( (sha256sum <"$module"; "$bindgen" --version; cat .build/site.sh .build/package-lock.json; echo "$shrink") | sha256sum | cut -c1-64)
    [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    "$bindgen" --target web --no-typescript --out-dir "$folder" --out-name "$name" "$module"
    if "$shrink"; then
        # Exactly what rustc and wasm-bindgen use: with more, browsers refuse the module.
        local features=(
            --enable-bulk-memory --enable-bulk-memory-opt --enable-nontrapping-float-to-int --enable-sign-ext
            --enable-mutable-globals --enable-reference-types --enable-multivalue
        )
        say "wasm-opt of $name (ten seconds to a minute)"
        local wasm=$folder/${name}_bg.wasm
        "$optimiser" "${features[@]}" --flatten --rereloop -Oz -Oz "$wasm" -o "$folder/opt.wasm" \
            || "$optimiser" "${features[@]}" -Oz "$wasm" -o "$folder/opt.wasm"
        mv "$folder/opt.wasm" "$wasm"
    fi
    echo "$stamp" >"$folder/stamp"
}

bind daybook frontend
bind timeline frontend_timeline

node .build/bundle.mjs --site "$site" --wasm "$bound" ${options[@]+"${options[@]}"}
