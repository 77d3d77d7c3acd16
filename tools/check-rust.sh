#!/bin/sh
# Rust format and lint. A tool that this machine lacks is named and left out; under CI it is an error.
set -eu
cd "$(dirname "$0")/.."

# run NAME HOW COMMAND...: run the cargo command, or say how to get it
run() {
    name=$1 how=$2
    shift 2
    if cargo "$name" --version >/dev/null 2>&1; then
        cargo "$@"
    elif [ -n "${CI:-}" ]; then
        printf 'cargo %s is missing: %s\n' "$name" "$how" >&2
        exit 1
    else
        printf 'NOT CHECKED: cargo %s is missing: %s\n' "$name" "$how" >&2
    fi
}

run fmt 'install rustfmt-web (Debian) or "rustup component add rustfmt"' fmt --all --check
run clippy 'Debian does not package it; "rustup component add clippy"' \
    clippy --locked --quiet --workspace --all-targets -- -D warnings
