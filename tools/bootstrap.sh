#!/bin/sh
# Finds what the build needs; names what is missing, then installs it, or says the one command that does.
#
#   tools/bootstrap.sh            check, install what is missing; silent when all is there
#   tools/bootstrap.sh --check    check only, install nothing
#   tools/bootstrap.sh tests      install the servers and the browser that integration tests start; where that cannot be done, go on
#   tools/bootstrap.sh python     print the Python to build with
#   tools/bootstrap.sh cargo      print the directory of the cargo to build with
#
# Needed: Python >= 3.11 with venv, a C compiler with the libc headers, cargo and rustc of the workspace's rust-version.
# Everything else comes from PyPI and crates.io, into this folder.
# SOAKD_PYTHON names a Python to use instead of the one found.
set -eu
cd "$(dirname "$0")/.."

rust_needed=$(sed -n 's/^rust-version *= *"\(.*\)"$/\1/p' Cargo.toml)
python_needed=3.11

say() { printf '%s\n' "$*" >&2; }

# at_least 1.96.0 1.87: is the first version the second or newer?
at_least() {
    major=${1%%.*} rest=${1#*.}
    minor=${rest%%.*}
    [ "$major" -gt "${2%%.*}" ] || { [ "$major" -eq "${2%%.*}" ] && [ "$minor" -ge "${2#*.}" ]; }
}

# version_of COMMAND: the 1.96.0 of "cargo 1.96.0 (...)"; nothing where the command is missing or broken
version_of() { "$1" --version 2>/dev/null | sed -n '1s/^[a-zA-Z]* \([0-9][0-9.]*\).*/\1/p'; }

find_python() {
    for python in ${SOAKD_PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        "$python" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info and sys.implementation.name == "cpython"))' \
            2>/dev/null || continue
        # what a shim or a link stands for, so that the environment outlives a changed PATH
        "$python" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'
        return
    done
    return 1
}

find_cargo() {
    for folder in "$(dirname "$(command -v cargo || echo /none/cargo)")" "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin" /usr/bin; do
        cargo=$(version_of "$folder/cargo") rustc=$(version_of "$folder/rustc")
        if at_least "${cargo:-0.0}" "$rust_needed" && at_least "${rustc:-0.0}" "$rust_needed"; then
            printf '%s\n' "$folder"
            return
        fi
    done
    return 1
}

c_compiler_links() {
    object=$(mktemp) || return 1
    if printf '#include <stdlib.h>\nint main(void) { return abs(0); }\n' | cc -x c -o "$object" - 2>/dev/null; then
        rm -f "$object"
    else
        rm -f "$object"
        return 1
    fi
}

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# candidate PACKAGE: the version that apt would install, without its epoch; nothing where it has none
candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}\([0-9][0-9.]*\).*/\2/p'; }

# Sets `missing` (for people) and `packages` (for apt).
look() {
    missing='' packages=''
    if ! c_compiler_links; then
        missing="$missing
  - a C compiler with the libc headers"
        packages="$packages gcc libc6-dev"
    fi
    if ! python=$(find_python); then
        missing="$missing
  - Python >= $python_needed"
        packages="$packages python3 python3-venv"
    elif ! has_venv "$python"; then
        missing="$missing
  - the venv module of $python"
        packages="$packages python3-venv"
    fi
    if ! find_cargo >/dev/null; then
        missing="$missing
  - cargo and rustc >= $rust_needed"
        packages="$packages rust"
    fi
}

# Sets `rust` to what apt calls a recent Rust, or to nothing. Debian has it as cargo-web where its cargo is older.
look_for_rust_packages() {
    for rust in 'cargo rustc' 'cargo-web rustc-web'; do
        version=$(candidate "${rust%% *}")
        ! at_least "${version:-0.0}" "$rust_needed" || return 0
    done
    rust=''
}

# Sets `as_root`; fails where there is no way to be root without asking.
find_root() {
    if [ "$(id -u)" -eq 0 ]; then
        as_root=''
    else
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
        as_root='sudo '
    fi
}

# --no-remove: what stands in the way, such as an older Rust, is its owner's to remove
apt_install() {
    ${as_root}env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 \
        --no-install-recommends --no-remove "$@" >/dev/null
}

# Tests that start a server skip without it and say so: nothing here is worth an error.
install_for_tests() {
    wanted=''
    command -v promtool >/dev/null && command -v prometheus >/dev/null || wanted="$wanted prometheus"
    command -v prometheus-alertmanager >/dev/null && command -v amtool >/dev/null || wanted="$wanted prometheus-alertmanager"
    command -v redis-server >/dev/null || wanted="$wanted redis-server"
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || wanted="$wanted chromium"
    [ -n "$wanted" ] || return 0
    if ! command -v apt-get >/dev/null || ! find_root; then
        say "Some integration tests will be skipped; as root: apt-get install -y --no-install-recommends$wanted"
        return 0
    fi
    say "Installing for the tests:$wanted"
    ${as_root}apt-get update -qq || true
    for package in $wanted; do
        if ! apt_install "$package"; then
            say "$package could not be installed: the tests that start one will be skipped"
        elif [ -d /run/systemd/system ]; then
            # the package starts a service of its own, which nobody asked for
            ${as_root}systemctl disable --quiet --now "$package" || true
        fi
    done
}

install() {
    if ! command -v apt-get >/dev/null; then
        say 'No apt-get here: install these with the package manager of this system, then run make again. For example:'
        say '  Fedora, RHEL:  dnf install gcc glibc-devel python3 cargo'
        say '  Arch:          pacman -S gcc python rust'
        say '  openSUSE:      zypper install gcc glibc-devel python311 cargo'
        exit 1
    fi
    if ! find_root; then
        look_for_rust_packages # in lists that may be old: where they know none, the update may
        case $packages in *' rust') packages="${packages% rust} ${rust:-cargo-web rustc-web}" ;; esac
        say 'Neither root nor sudo without a password here. Run this once as root, then make again:'
        say "  apt-get update && apt-get install -y --no-install-recommends$packages"
        exit 1
    fi
    ${as_root}apt-get update -qq
    look_for_rust_packages
    case $packages in *' rust')
        if [ -z "$rust" ]; then
            say "This system packages no Rust >= $rust_needed: install it with rustup (https://rustup.rs), then make again."
            exit 1
        fi
        packages="${packages% rust} $rust"
        ;;
    esac
    say "Installing:$packages"
    # shellcheck disable=SC2086  # a list of words
    apt_install $packages
    look
    if [ -n "$missing" ]; then
        say "Still missing after the installation:$missing"
        exit 1
    fi
}

case "${1:-}" in
python) find_python ;;
cargo) find_cargo ;;
tests) install_for_tests ;;
'' | --check)
    look
    [ -z "$missing" ] && exit 0
    say "Missing on this machine:$missing"
    [ "${1:-}" = --check ] && exit 1
    install
    ;;
*)
    say "usage: tools/bootstrap.sh [--check | python | cargo | tests]"
    exit 2
    ;;
esac
