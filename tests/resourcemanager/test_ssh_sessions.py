"""Ephemeral access of driver `ssh`: the open sessions of past holders are cut, and no others."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwprovisioner.resourcemanager import Hold
from support import sshd
from support.eventually import eventually
from support.processes import is_alive
from support.ssh_holder import (
    driver_for,
    give_back,
    hold,
    is_let_in,
    new_key,
    prepare,
    session,
    ssh,
)
from support.sshd import Sshd


async def test_open_sessions_of_a_past_holder_are_cut_with_what_they_started(
    own_sshd: Sshd, holder: Path, tmp_path: Path
) -> None:
    driver, theirs = driver_for(own_sshd), hold(holder)
    await prepare(driver, theirs)
    noted = tmp_path / "pid"
    started = f"sleep 600 & echo $! > {noted}; echo up; wait"
    with session(own_sshd, holder, started) as running, forwarding(own_sshd, holder) as silent:
        child = int(noted.read_text())
        assert is_alive(child)
        await give_back(driver, theirs)
        assert await asyncio.to_thread(running.wait, 10) != 0
        assert await asyncio.to_thread(silent.wait, 10) != 0
    await eventually(lambda: not is_alive(child))


@contextmanager
def forwarding(server: Sshd, key: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A connection without any session, as for ports that are forwarded."""
    command = ssh(server, key)
    command.insert(1, "-N")
    command[command.index("LogLevel=ERROR")] = "LogLevel=DEBUG"
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"Entering interactive session" not in (line := process.stderr.readline()):
            assert line, "no connection"
        try:
            yield process
        finally:
            process.kill()


async def test_sessions_of_another_sshd_and_of_other_users_are_left_alone(
    own_sshd: Sshd, holder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    driver, theirs = driver_for(own_sshd), hold(holder)
    await prepare(driver, theirs)
    with (
        sshd.running(elsewhere) as other,
        session(other, other.key_file, "echo up; cat") as running,
    ):
        await give_back(driver, theirs)
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"still here\n")
        running.stdin.flush()
        assert await asyncio.to_thread(running.stdout.readline) == b"still here\n"


async def test_the_next_holder_finds_nobody_whose_manager_lost_their_hold(
    own_sshd: Sshd, holder: Path, tmp_path: Path
) -> None:
    await prepare(driver_for(own_sshd), hold(holder))
    with session(own_sshd, holder, "echo up; sleep 600") as running:
        following = new_key(tmp_path / "following")
        await prepare(driver_for(own_sshd), hold(following, 9))
        assert await asyncio.to_thread(running.wait, 10) != 0
    assert not is_let_in(own_sshd, holder)
    assert is_let_in(own_sshd, following)
    await give_back(driver_for(own_sshd), Hold("refb.9", "refb", 9))
    assert not is_let_in(own_sshd, following)


async def test_sessions_that_outlived_their_sshd_are_cut(own_sshd: Sshd, holder: Path) -> None:
    driver, theirs = driver_for(own_sshd), hold(holder)
    await prepare(driver, theirs)
    with session(own_sshd, holder, "echo up; sleep 600") as running:
        own_sshd.stop()
        own_sshd.start()
        assert running.poll() is None
        await give_back(driver, theirs)
        assert await asyncio.to_thread(running.wait, 10) != 0
