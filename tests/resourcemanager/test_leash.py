"""Scripts whose manager is killed in the middle of their work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from support.eventually import eventually
from support.processes import is_alive

_MANAGER = """
import asyncio, sys
from hwprovisioner.resourcemanager.drivers import _script
asyncio.run(_script.run(sys.argv[1:], b"", print))
"""
_SCRIPT = """
echo $$ >> {pids}
sleep 600 &
echo $! >> {pids}
{end}
"""


def pids_in(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def start(pids: Path, end: str) -> subprocess.Popen[bytes]:
    script = _SCRIPT.format(pids=pids, end=end)
    return subprocess.Popen([sys.executable, "-c", _MANAGER, "/bin/sh", "-c", script])


async def test_a_script_and_what_it_started_die_with_a_killed_manager(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with start(pids, end="wait") as manager:
        await eventually(lambda: len(pids_in(pids)) == 2)
        assert all(is_alive(pid) for pid in pids_in(pids))
        manager.kill()
    await eventually(lambda: not any(is_alive(pid) for pid in pids_in(pids)))


async def test_what_a_script_left_running_when_it_ended_outlives_the_manager(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    with start(pids, end="exit 0") as manager:
        assert manager.wait(20) == 0
    script, left = pids_in(pids)
    assert not is_alive(script)
    assert is_alive(left)
    os.kill(left, signal.SIGKILL)
