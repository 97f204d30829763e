#!/usr/bin/env bash
# Fails when the .proto files break those of the main branch: of origin, or of this repository if there is no origin.
set -euo pipefail
cd "$(dirname "$0")/.."
for base in origin/main main; do
    if git cat-file -e "$base:protos/hwprovisioner" 2>/dev/null; then
        before=$(mktemp -d)
        trap 'rm -rf "$before"' EXIT
        git archive "$base" protos buf.yaml | tar -x -C "$before"
        .venv/bin/buf breaking --against "$before"
        echo "buf breaking: compatible with $base"
        exit 0
    fi
done
echo "buf breaking: nothing to compare with (no main branch with .proto files)"
