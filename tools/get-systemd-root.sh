#!/bin/sh
# A root tree with a real systemd for tests/integration/test_systemd.py, made once: .tools/systemd-root (about 350 MB).
#
#   tools/get-systemd-root.sh      make it where it is missing; print its path
#
# Needs root and debootstrap (apt-get install -y --no-install-recommends debootstrap). Nothing in it starts here: the
# tests boot it in namespaces of its own.
set -eu
cd "$(dirname "$0")/.."

mkdir -p .tools
root=$(cd .tools && pwd -P)/systemd-root
if [ ! -e "$root/.complete" ]; then
    [ "$(id -u)" = 0 ] || { echo "get-systemd-root: needs root" >&2; exit 3; }
    command -v debootstrap >/dev/null || {
        echo "get-systemd-root: apt-get install -y --no-install-recommends debootstrap" >&2
        exit 3
    }
    exec 9>"$root.lock"
    flock 9
    if [ ! -e "$root/.complete" ]; then
        rm -rf "$root"
        echo "get-systemd-root: making $root, about two minutes" >&2
        debootstrap --variant=minbase \
            --include=systemd,systemd-sysv,dbus,iproute2,procps,python3,ca-certificates bookworm "$root" >"$root.log" 2>&1 || {
            tail -5 "$root.log" >&2
            exit 3
        }
        rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
        echo '127.0.0.1 localhost' >"$root/etc/hosts"
        : >"$root/etc/machine-id"
        # Nothing in it may touch the kernel that it shares.
        for unit in systemd-sysctl.service systemd-modules-load.service systemd-journald-audit.socket \
            sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount apt-daily.timer apt-daily-upgrade.timer \
            fstrim.timer e2scrub_all.timer; do
            ln -sf /dev/null "$root/etc/systemd/system/$unit"
        done
        : >"$root/.complete"
    fi
fi
printf '%s\n' "$root"
