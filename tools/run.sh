#!/usr/bin/env bash
# Runs the whole suite in the foreground: in containers where that works, else on this machine. Says which, and why.
set -euo pipefail
cd "$(dirname "$0")/.."

on_this_machine() {
    echo "run: hwp up, because $1"
    shift
    exec .venv/bin/hwp up "$@"
}

# The compose file brings a Redis of its own; whoever names one must never get another.
for name in HWP_REDIS_URL REDIS_URL REDIS_HOST; do
    [ -z "${!name:-}" ] || on_this_machine "$name names a Redis to use" "$@"
done
# An engine that hangs counts as one that isn't there.
if ! version=$(timeout 10 docker info --format '{{.ServerVersion}}' 2>/dev/null); then
    on_this_machine "no Docker engine answers here" "$@"
fi
if ! tools/compose.sh version >/dev/null 2>&1; then
    on_this_machine "there is a Docker engine, but neither 'docker compose' nor docker-compose" "$@"
fi
echo "run: docker compose, because Docker engine $version answers (without Docker: .venv/bin/hwp up)"
exec tools/compose.sh up --build "$@"
