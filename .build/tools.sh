#!/usr/bin/env bash
# Installs what the build needs and is not there yet, each thing once, and says what and about how long.
#
#   .build/tools.sh compiler   a C compiler and the wasm32 target; says what is missing of Rust and Node
#   .build/tools.sh bundle     the wasm32 target and wasm-bindgen: enough for `make run`
#   .build/tools.sh shrink     wasm-opt, which makes a release's bundle smaller; the build goes on without
#   .build/tools.sh browser    Chromium and Playwright, for the browser tests
#   .build/tools.sh postgres   PostgreSQL, for the tests of the write side
#   .build/tools.sh proxy      nginx, for `make run-split` and `make services`
#
# Needs Rust by rustup, Node 20 and, for packages of the system, root or sudo. Everything but those packages and the wasm32
# target lands under the target folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/tools"
target=$(cd "$target" && pwd)

say() { printf '\033[1mtools:\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else die "needs root or sudo for: $*"
    fi
}

# One at a time: dpkg refuses a second one, and the parts of this script may run side by side.
apt_install() {
    have apt-get || die "please install by hand: $*"
    (
        flock 9
        as_root apt-get -qq -o Acquire::Retries=3 update
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"
    ) 9>"$target/tools/apt.lock" >"$target/tools/apt.log" 2>&1 || { tail -20 "$target/tools/apt.log" >&2; die "apt-get could not install $*"; }
}

compiler() {
    have cargo || die "Rust is missing: install it with rustup, version $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer"
    have node || die "Node is missing: install version 20 or newer"
    have cc || { say "a C compiler, by apt-get (about a minute)"; apt_install build-essential; }
}

wasm_target() {
    local libraries
    libraries=$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib
    compgen -G "$libraries/libstd-*.rlib" >/dev/null && return
    have rustup || die "the standard library for wasm32-unknown-unknown is missing, and there is no rustup to fetch it"
    say "the standard library for wasm32, by rustup (seconds)"
    rustup target add wasm32-unknown-unknown
}

# The command and the library speak a private format, so their versions must be the very same.
wasm_bindgen() {
    local version
    version=$(.build/wasm-bindgen.sh --wanted)
    .build/wasm-bindgen.sh --path >/dev/null 2>&1 && return
    say "wasm-bindgen $version, compiled by cargo (one to three minutes on two cores)"
    # Not --locked: the lock file inside that package may name versions which a registry no longer or not yet serves.
    # Not optimised: it runs for a second or two, and is there in half the time.
    CARGO_PROFILE_DEV_DEBUG=none \
        cargo install --quiet --debug wasm-bindgen-cli --bin wasm-bindgen --version "=$version" --root "$target/tools" \
        --target-dir "$target/tools/build"
    rm -rf "$target/tools/build"
}

wasm_opt() {
    local folder=$target/tools/binaryen
    cmp -s .build/package-lock.json "$folder/package-lock.json" && [ -x "$folder/node_modules/.bin/wasm-opt" ] && return
    say "wasm-opt, from the npm package binaryen (100 MB, seconds to a minute)"
    mkdir -p "$folder"
    cp .build/package.json "$folder/"
    cp .build/package-lock.json "$folder/"
    if ! npm ci --loglevel error --no-audit --no-fund --prefix "$folder" >&2; then
        rm -rf "$folder"
        say "wasm-opt could not be had: the bundle will be about twice as large"
    fi
}

chromium() {
    [ -n "${DAYBOOK_CHROMIUM:-}" ] && return
    [ -x /usr/bin/chromium ] && return
    say "Chromium, by apt-get (about 300 MB, one or two minutes)"
    apt_install chromium fonts-liberation
}

postgres() {
    compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null && return
    have initdb && return
    say "PostgreSQL, by apt-get (about a minute)"
    apt_install postgresql
}

nginx_proxy() {
    have nginx && return
    say "nginx, by apt-get (seconds)"
    apt_install nginx-light
}

playwright() {
    local installed=end2end/node_modules/.package-lock.json
    [ "$installed" -nt end2end/package-lock.json ] && return
    say "Playwright, by npm (seconds)"
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --loglevel error --no-audit --no-fund --prefix end2end >&2
    touch "$installed"
}

[ $# -gt 0 ] || set -- bundle shrink browser postgres
for part in "$@"; do
    case $part in
        compiler) compiler; wasm_target ;;
        bundle) compiler; wasm_target; wasm_bindgen ;;
        shrink) wasm_opt ;;
        browser) chromium; playwright ;;
        postgres) postgres ;;
        proxy) nginx_proxy ;;
        *) die "what is '$part'? compiler, bundle, shrink, browser, postgres or proxy" ;;
    esac
done
