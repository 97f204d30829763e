"""Driver `exec` with real scripts: the processes that they are, and their ends."""

import asyncio
import os
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError, Hold, calls
from hwprovisioner.resourcemanager.loading import load_driver
from support.eventually import eventually
from support.exec_script import HOLD, Make, config
from support.processes import is_alive


async def test_a_script_that_never_reads_its_input_is_no_trouble(tmp_path: Path) -> None:
    whole = {"labels": ["x" * 1000] * 500}
    driver = load_driver("exec")(config("/bin/true").resources["relay"])
    await calls.clean(driver, Hold("h", "relay", 1, demand=whole), lambda line: None)


async def test_at_the_time_limit_the_whole_process_group_is_killed(
    script: Make, tmp_path: Path
) -> None:
    driver = script(
        f"""
        trap '' TERM INT
        sleep 1000 & echo $! > {tmp_path}/child.new; mv {tmp_path}/child.new {tmp_path}/child
        echo $$ > {tmp_path}/parent
        wait
        """,
        options=", timeout: 1s",
    )
    with pytest.raises(DriverError, match="prepare: not done within 1 s"):
        await calls.prepare(driver, HOLD, lambda line: None)
    pids = [int((tmp_path / name).read_text()) for name in ("child", "parent")]
    await eventually(lambda: not any(is_alive(pid) for pid in pids))


async def test_a_cancelled_script_is_killed(script: Make, tmp_path: Path) -> None:
    driver = script(f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 1000")
    task = asyncio.create_task(calls.prepare(driver, HOLD, lambda line: None))
    await eventually((tmp_path / "pid").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(int((tmp_path / "pid").read_text()))


async def test_what_a_script_leaves_running_on_purpose_stays(script: Make, tmp_path: Path) -> None:
    driver = script(f"""
        sleep 1000 & echo $! > {tmp_path}/pid
        echo '{{"connection": {{"protocol": "vm"}}}}'
    """)
    await calls.prepare(driver, HOLD, lambda line: None)
    pid = int((tmp_path / "pid").read_text())
    assert is_alive(pid)
    os.kill(pid, 9)


async def test_no_descriptor_is_left_open(script: Make) -> None:
    driver = script("echo x >&2")
    await calls.check(driver)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await calls.check(driver)
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
