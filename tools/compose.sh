#!/usr/bin/env bash
# Runs docker compose, whichever of its two generations is there. Exits 3, saying why, where neither is.
set -euo pipefail
cd "$(dirname "$0")/.."
if docker compose version >/dev/null 2>&1; then
    exec docker compose "$@"
elif command -v docker-compose >/dev/null; then
    exec docker-compose "$@"
fi
echo "compose: neither 'docker compose' nor docker-compose is on this machine" >&2
exit 3
