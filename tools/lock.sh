#!/usr/bin/env bash
# Writes requirements.lock anew from pyproject.toml, for every platform and Python that is supported.
# Arguments go to uv: --upgrade, --upgrade-package NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work"
"$work/bin/pip" install --quiet --disable-pip-version-check uv
# libvirt-python is built with libvirt's headers, so setting up would fail wherever they are not: .ci/run adds it.
# No header and no annotations: the file then names packages and nothing of the machine that wrote it.
"$work/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
    --no-emit-package libvirt-python \
    --all-extras --group dev pyproject.toml --output-file requirements.lock "$@"
