#!/bin/sh
# Runs make targets in a bare Debian 12 that has only git and make, from a fresh clone of HEAD, and times them.
#
#   tools/try-bare-debian.sh [TARGET...]      default: build
#
# Needs root and debootstrap. The bare tree is kept as .tools/bare-debian-12.tar; every trial starts from it anew, in
# .tools/bare-debian-12, in mount and process namespaces of its own.
# TRY_PREPARE: a command to run before the trial, with $ROOT as the tree (certificates, mirrors of a closed network).
# TRY_USER: a user to create in the tree and to run as, instead of root.
set -eu
cd "$(dirname "$0")/.."
repository=$(pwd)
tarball=$repository/.tools/bare-debian-12.tar
ROOT=$repository/.tools/bare-debian-12
export ROOT
[ "$(id -u)" -eq 0 ] || { echo 'try-bare-debian: root is needed' >&2; exit 1; }
[ $# -gt 0 ] || set -- build

mkdir -p .tools
if [ ! -e "$tarball" ]; then
    command -v debootstrap >/dev/null || { echo 'try-bare-debian: apt-get install debootstrap' >&2; exit 1; }
    rm -rf "$ROOT"
    debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$ROOT" >/dev/null
    echo '127.0.0.1 localhost' >"$ROOT/etc/hosts"
    tar -C "$ROOT" -cf "$tarball.new" .
    mv "$tarball.new" "$tarball"
fi
rm -rf --one-file-system "$ROOT"
mkdir "$ROOT"
tar -C "$ROOT" -xf "$tarball"
cp /etc/resolv.conf "$ROOT/etc/resolv.conf"
[ -z "${TRY_PREPARE:-}" ] || sh -c "$TRY_PREPARE"

git clone --quiet --no-local "$repository" "$ROOT/soakd"
user=${TRY_USER:-root} home=/root
if [ "$user" != root ]; then
    chroot "$ROOT" useradd --create-home "$user"
    home=/home/$user
fi
chroot "$ROOT" chown -R "$user" /soakd

unshare --mount --pid --fork --kill-child --propagation private sh -euc '
    user=$1 home=$2; shift 2
    mount -t proc proc "$ROOT/proc"
    mkdir -p "$ROOT/dev/shm" "$ROOT/dev/pts"
    mount -t tmpfs tmpfs "$ROOT/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$ROOT/dev/pts"
    ln -sf pts/ptmx "$ROOT/dev/ptmx"
    for target; do
        echo "=== make $target"
        started=$(date +%s) status=0
        chroot "$ROOT" env -i HOME="$home" USER="$user" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            su "$user" -s /bin/sh -c "cd /soakd && exec make $target" </dev/null || status=$?
        echo "=== make $target: exit $status after $(($(date +%s) - started)) s"
        [ "$status" -eq 0 ] || exit "$status"
    done
' try "$user" "$home" "$@"
