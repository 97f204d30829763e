"""Driver `exec`, with a script that switches a board on and off."""

from pathlib import Path

import pytest

from support.conformance import LIMIT_S, conforms

pytestmark = pytest.mark.timeout(LIMIT_S)

#: A board is on while a file named after its hold is there.
SCRIPT = """#!/bin/sh
question=$(cat)
board=boards/$(echo "$question" | sed -n 's/.*"hold": {"id": "\\([^"]*\\)".*/\\1/p')
case "$question" in
  *'"action": "prepare"'*)
    echo "power on" >&2
    touch "$board"
    echo '{"connection": {"protocol": "serial", "address": "localhost", "port": 2007}}' ;;
  *'"action": "tear_down"'*)
    rm -f "$board" ;;
  *'"action": "describe"'*)
    echo '{"cpus": 4, "os": {"family": "linux"}}' ;;
esac
"""
FILE = """
resources:
  static:
    board:
      driver: exec
      kind: edge
      options: {command: ./board.sh, parameters: {outlet: 7, password: correct-horse}}
    stuck:
      driver: exec
      kind: edge
      options: {command: "sh -c 'echo the relay is stuck >&2; exit 1'"}
"""


def test_it_keeps_what_every_driver_promises(tmp_path: Path) -> None:
    (tmp_path / "board.sh").write_text(SCRIPT)
    (tmp_path / "board.sh").chmod(0o755)
    (tmp_path / "boards").mkdir()
    conforms(tmp_path, "exec", FILE, "--broken", "stuck")
    assert not list((tmp_path / "boards").iterdir())
