#!/usr/bin/env bash
# A shell with .venv active: interactive, or reading standard input, or running $CMD.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=/dev/null
source "$root/.venv/bin/activate"
if [ -n "${CMD:-}" ]; then
    exec bash -c "$CMD"
fi
# The user's own start file may set PATH anew, so .venv is activated once more after it.
exec bash --rcfile <(
    echo '[ -f ~/.bashrc ] && . ~/.bashrc'
    printf '. %q\n' "$root/.venv/bin/activate"
)
