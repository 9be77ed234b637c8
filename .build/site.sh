#!/usr/bin/env bash
# Builds the browser's side: the WASM bundle, its scripts and the styles, laid out for the server to serve or embed.
#
#   .build/site.sh release    small: link-time optimisation, wasm-opt, best compression   → TARGET/site
#   .build/site.sh dev        soon there: a debug server reads it from disk              → TARGET/site-dev
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
kind=${1:-release}

say() { printf '\033[1msite:\033[0m %s\n' "$*" >&2; }

case $kind in
    release) profile=wasm; site=$target/site; options=() ;;
    dev) profile=wasm-dev; site=$target/site-dev; options=(--fast) ;;
    *) echo "usage: site.sh release | dev" >&2; exit 2 ;;
esac

cargo build -p frontend --target wasm32-unknown-unknown --profile "$profile"
module=$target/wasm32-unknown-unknown/$profile/frontend.wasm
bound=$target/bound/$kind
bindgen=$(.build/wasm-bindgen.sh --path) || { say "wasm-bindgen is missing: run 'make tools'"; exit 1; }

# wasm-opt takes its time: not again for the same module and the same tools.
stamp=$( (sha256sum <"$module"; "$bindgen" --version; cat .build/site.sh .build/package-lock.json) | sha256sum | cut -c1-64)
optimiser=$target/tools/binaryen/node_modules/.bin/wasm-opt
[ "$kind" = release ] && [ -x "$optimiser" ] && stamp="$stamp shrunk"

if [ "$(cat "$bound/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$bound"
    mkdir -p "$bound"
    "$bindgen" --target web --no-typescript --out-dir "$bound" --out-name daybook "$module"
    if [ "$kind" = release ]; then
        if [ -x "$optimiser" ]; then
            # Exactly what rustc and wasm-bindgen use: with more, browsers refuse the module.
            features=(
                --enable-bulk-memory --enable-bulk-memory-opt --enable-nontrapping-float-to-int --enable-sign-ext
                --enable-mutable-globals --enable-reference-types --enable-multivalue
            )
            say "wasm-opt (ten seconds to a minute)"
            wasm=$bound/daybook_bg.wasm
            "$optimiser" "${features[@]}" --flatten --rereloop -Oz -Oz "$wasm" -o "$bound/opt.wasm" \
                || "$optimiser" "${features[@]}" -Oz "$wasm" -o "$bound/opt.wasm"
            mv "$bound/opt.wasm" "$wasm"
        else
            say "no wasm-opt here: the bundle is larger than it could be ('make tools' installs it)"
        fi
    fi
    echo "$stamp" >"$bound/stamp"
fi

node .build/bundle.mjs --site "$site" --wasm "$bound" ${options[@]+"${options[@]}"}
