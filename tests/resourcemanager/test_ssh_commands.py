"""Driver `ssh` with a real sshd: the commands that it runs on a machine, and their ends."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError, calls
from support.eventually import eventually
from support.ssh_driver import HOLD, driver_for, reachable
from support.sshd import Sshd
from support.tcp_proxy import proxy_to


async def test_commands_run_in_order_and_are_reported(ssh_server: Sshd, tmp_path: Path) -> None:
    log = tmp_path / "log"
    driver = driver_for(
        ssh_server,
        ready_up=[f"echo one >> {log}", {"run": f"echo two | tee -a {log}; echo warn >&2"}],
        tear_down=[f"echo down >> {log}"],
        clean=[f"echo clean >> {log}"],
    )
    lines: list[str] = []
    await calls.prepare(driver, HOLD, lines.append)
    await calls.tear_down(driver, HOLD, lines.append)
    await calls.clean(driver, HOLD, lines.append)
    assert log.read_text().split() == ["one", "two", "down", "clean"]
    assert "two" in lines
    assert "warn" in lines
    assert lines[0] == f"$ echo one >> {log}"


async def test_commands_are_not_logged(ssh_server: Sshd, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    driver = driver_for(ssh_server, check=["test -n s3cr3t"], clean=["test -n s3cr3t"])
    await calls.check(driver)
    await calls.clean(driver, HOLD, lambda line: None)
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo disk full >&2; exit 3", "ended with status 3: disk full"),
        ("kill -9 $$", "ended with signal KILL"),
        ({"run": "sleep 1000", "timeout": "200ms"}, "was not done within 0.2 s"),
        ("no-such-command", "no-such-command"),
    ],
)
async def test_a_command_that_fails_ends_the_list(
    ssh_server: Sshd, tmp_path: Path, command: object, words: str
) -> None:
    driver = driver_for(ssh_server, ready_up=[command, f"touch {tmp_path}/after"])
    with pytest.raises(DriverError) as caught:
        await calls.prepare(driver, HOLD, lambda line: None)
    assert words in str(caught.value)
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize("pty", [False, True])
async def test_a_cancelled_command_ends_on_the_machine(
    ssh_server: Sshd, tmp_path: Path, pty: bool
) -> None:
    driver = driver_for(ssh_server, ready_up=[{"run": says_pid(tmp_path), "pty": str(pty).lower()}])
    task = asyncio.create_task(calls.prepare(driver, HOLD, lambda line: None))
    pid = await pid_in(tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not Path(f"/proc/{pid}").exists())


async def test_a_command_ends_on_the_machine_when_its_manager_is_cut_off_or_killed(
    ssh_server: Sshd, tmp_path: Path
) -> None:
    # The end of a process looks the same from there: its connection is closed.
    async with proxy_to(ssh_server.port) as proxy:
        access = replace(reachable(ssh_server), port=proxy.port)
        driver = driver_for(ssh_server, access, ready_up=[says_pid(tmp_path)])
        task = asyncio.create_task(calls.prepare(driver, HOLD, lambda line: None))
        pid = await pid_in(tmp_path)
        proxy.cut()
        with pytest.raises(DriverError, match=r"connection (was )?lost"):
            await task
    await eventually(lambda: not Path(f"/proc/{pid}").exists())


def says_pid(folder: Path) -> str:
    return f"sleep 99 & echo $! > {folder}/new; mv {folder}/new {folder}/pid; wait"


async def pid_in(folder: Path) -> int:
    await eventually((folder / "pid").exists)
    return int((folder / "pid").read_text())


async def test_a_command_that_prints_without_end_is_read_away(ssh_server: Sshd) -> None:
    driver = driver_for(ssh_server, ready_up=["head -c 20000000 /dev/zero; echo; echo end"])
    lines: list[str] = []
    await calls.prepare(driver, HOLD, lines.append)
    assert lines[-1] == "end"
