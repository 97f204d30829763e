"""Driver `ssh`, with a real sshd."""

from pathlib import Path

import pytest

from support import sshd
from support.conformance import LIMIT_S, conforms

pytestmark = pytest.mark.timeout(LIMIT_S)


def test_it_keeps_what_every_driver_promises(tmp_path: Path) -> None:
    with sshd.running(tmp_path) as server:
        access = (
            f"host: 127.0.0.1, user: {server.user}, key_file: {server.key_file},"
            f" host_key: {server.host_key}, ephemeral: true"
        )
        file = f"""
resources:
  static:
    refb:
      driver: ssh
      access: {{{access}, port: {server.port}}}
      options:
        ready_up: [echo booting, touch {tmp_path}/up]
        tear_down: [rm -f {tmp_path}/up]
        clean: [test ! -e {tmp_path}/up]
        authorized_keys: {tmp_path}/authorized_keys
        console: cat
        power: {{on: "true", off: "true"}}
    gone:
      driver: ssh
      access: {{{access}, port: 1}}
"""
        conforms(tmp_path, "ssh", file, "--broken", "gone", "--cancellations", "3")
        assert (tmp_path / "authorized_keys").read_text() == (tmp_path / "user.pub").read_text()
