#!/usr/bin/env bash
# Runs the whole suite in the foreground: in containers where that works, else on this machine. Says which, and why.
set -euo pipefail
cd "$(dirname "$0")/.."

# A Docker engine that hangs counts as one that isn't there.
answers() { timeout 10 docker info --format '{{.ServerVersion}}' 2>/dev/null; }

if version=$(answers) && tools/compose.sh version >/dev/null 2>&1; then
    echo "run: docker compose, because Docker engine $version answers (without Docker: .venv/bin/hwp up)"
    exec tools/compose.sh up --build "$@"
fi
echo "run: hwp up, because no Docker engine with compose answers here"
exec .venv/bin/hwp up "$@"
