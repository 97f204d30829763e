#!/usr/bin/env bash
# Lists the project's shell scripts: the files, committed or new, that begin as one.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
    # Listed and gone, empty, or binary: no script.
    if ! { [ -f "$file" ] && IFS= read -r first <"$file"; } 2>/dev/null; then
        continue
    fi
    if [[ $first =~ ^'#!'.*[/\ ](ba|da)?sh($|\ ) ]]; then
        echo "$file"
    fi
done
