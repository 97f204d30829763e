#!/bin/sh
# Makes a small image with a shell on the Docker engine that answers, of this machine's busybox: no registry is asked.
# Usage: busybox_image.sh NAME; NAME is left alone if it is there.
set -eu
if docker image inspect "$1" >/dev/null 2>&1; then
    exit
fi
program=$(readlink -f "$(command -v busybox)") || { echo "there is no busybox on PATH" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/tmp"
chmod 1777 "$work/tmp"
cp "$program" "$work/bin/busybox"
for name in sh sleep cat echo env hostname id nc nproc true false touch test uname; do
    ln -s busybox "$work/bin/$name"
done
tar -C "$work" --owner 0 --group 0 -c bin tmp | docker import - "$1" >/dev/null
