#!/usr/bin/env bash
# Makes sure that the Docker engine has the base images, python:3.11-slim and redis:7. Where they can't be pulled it
# makes stand-ins of the same names out of Debian packages (needs root and debootstrap): good for tests, never to be
# pushed anywhere.
set -euo pipefail

has() { docker image inspect "$1" >/dev/null 2>&1; }
pulled() { has "$1" || timeout 120 docker pull --quiet "$1" >/dev/null 2>&1; }

if pulled python:3.11-slim && pulled redis:7; then
    exit 0
fi
echo "base images: none to pull here; making stand-ins from Debian packages"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

if ! has python:3.11-slim; then
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$root" >"$work/log" || { tail -n 20 "$work/log"; exit 1; }
    # Trust what this host trusts, or pip in the image can't reach a registry that this host can.
    if [ -d /usr/local/share/ca-certificates ]; then
        cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
        chroot "$root" update-ca-certificates >/dev/null 2>&1
    fi
    # As in the official image: python and pip in /usr/local/bin, and pip may install.
    rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
    for name in python python3; do ln -sf /usr/bin/python3 "$root/usr/local/bin/$name"; done
    ln -sf /usr/bin/pip3 "$root/usr/local/bin/pip"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    authorities=/etc/ssl/certs/ca-certificates.crt
    tar -C "$root" -c . | docker import \
        -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'ENV LANG=C.UTF-8' \
        -c "ENV PIP_CERT=$authorities" -c "ENV SSL_CERT_FILE=$authorities" -c 'CMD ["python3"]' \
        - python:3.11-slim >/dev/null
fi
if ! has redis:7; then
    mkdir "$work/redis"
    printf '%s\n' 'FROM python:3.11-slim' \
        'RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends redis-server' \
        'RUN install -d -o redis -g redis /data' \
        'USER redis' 'WORKDIR /data' 'CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"]' \
        >"$work/redis/Dockerfile"
    docker build --quiet --tag redis:7 "$work/redis" >/dev/null
fi
