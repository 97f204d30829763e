"""Redis, Allocate or the way between them goes away for longer than a lease.

Running tests go on, and nothing is lent twice.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hwprovisioner.client import AsyncHardware, AsyncLab, Update
from support.eventually import eventually
from support.outage_lab import LIMIT_S, OutageLab, longer_than, running
from support.plugin_run import STRANGERS
from support.user import HWP

TTL_S = 10
AWAY_S = TTL_S + 2

_TEST = f"""
import pathlib, time, pytest

@pytest.mark.hardware(cpus=1, lease_ttl={TTL_S})
def test_it(hardware):
    pathlib.Path("has").touch()
    while not pathlib.Path("go").exists():
        hardware.check()
        time.sleep(0.05)
"""


@contextlib.asynccontextmanager
async def pytest_run(lab: OutageLab) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Have a test run hold a board; gives what ends it and returns what it said."""
    folder = lab.folder / "run"
    folder.mkdir()
    (folder / "test_it.py").write_text(_TEST)
    alone = [word for name in STRANGERS for word in ("-p", f"no:{name}")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", *alone, "test_it.py"),
        cwd=folder,
        env=lab.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async def end() -> str:
        (folder / "go").touch()
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
        return said.decode()

    try:
        await eventually((folder / "has").exists, within=LIMIT_S)
        yield end
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def hwp_run(lab: OutageLab) -> AsyncIterator[asyncio.subprocess.Process]:
    """Have `hwp run` hold a board until its standard input ends."""
    process = await asyncio.create_subprocess_exec(
        *(*HWP, "run", "--cpus", "1", "--ttl", f"{TTL_S}s", "--", "sh", "-c", "echo on; cat"),
        env=lab.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            assert await process.stdout.readline() == b"on\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Waiting:
    """Somebody who waits for a board, and tells when he has it."""

    def __init__(self, lab: AsyncLab) -> None:
        self.place = 0
        self.granted = asyncio.Event()
        self.done = asyncio.Event()
        self.task = asyncio.create_task(self._wait(lab))

    async def _wait(self, lab: AsyncLab) -> None:
        async with lab.allocate(cpus=1, lease_ttl=TTL_S, on_update=self._note):
            self.granted.set()
            await self.done.wait()

    def _note(self, update: Update) -> None:
        self.place = update.place or self.place

    async def queued(self, place: int) -> "Waiting":
        await eventually(lambda: self.place == place, within=LIMIT_S)
        return self


async def redis_stopped(lab: OutageLab) -> None:
    lab.redis.stop()
    await longer_than(AWAY_S)
    lab.redis.start()


async def redis_killed(lab: OutageLab) -> None:
    lab.redis.kill()
    await longer_than(AWAY_S)
    lab.redis.start()


async def redis_hung(lab: OutageLab) -> None:
    os.kill(lab.redis.pid, signal.SIGSTOP)
    await longer_than(AWAY_S)
    os.kill(lab.redis.pid, signal.SIGCONT)


async def allocate_killed(lab: OutageLab) -> None:
    await lab.allocate.kill()
    await longer_than(AWAY_S)
    await lab.allocate.start()


async def beats_again(hardware: AsyncHardware) -> None:
    """Wait until one more beat was taken."""
    beats = hardware.beats
    await eventually(lambda: hardware.lost or hardware.beats > beats, within=LIMIT_S)
    hardware.check()


@pytest.mark.timeout(240)  # Four outages, each longer than a lease.
async def test_running_tests_outlive_outages_and_those_who_wait_keep_their_places(
    tmp_path: Path,
) -> None:
    async with (
        running(tmp_path, "a", "b", "c") as lab,
        lab.sdk() as sdk,
        sdk.allocate(cpus=1, lease_ttl=TTL_S) as hardware,
        pytest_run(lab) as end_pytest,
        hwp_run(lab) as run,
    ):
        first = await Waiting(sdk).queued(1)
        second = await Waiting(sdk).queued(2)
        before = await lab.states()
        assert sorted(before.values()) == ["QUEUED"] * 2 + ["READY"] * 3
        for outage in (redis_stopped, redis_killed, redis_hung, allocate_killed):
            await outage(lab)
            await beats_again(hardware)
            assert await eventually(lab.states, within=LIMIT_S) == before, outage.__name__
            assert hardware.session.lease.left_s > 0
        said = await end_pytest()
        assert "1 passed" in said, said
        assert "leases are paused" in said
        await asyncio.wait_for(first.granted.wait(), LIMIT_S)
        assert not second.granted.is_set()
        _, errors = await asyncio.wait_for(run.communicate(b""), LIMIT_S)
        assert run.returncode == 0, errors.decode()
        assert b"leases are paused" in errors
        await asyncio.wait_for(second.granted.wait(), LIMIT_S)
        for each in (first, second):
            each.done.set()
            await each.task
    lab.hardware.check_never_twice()


async def held(lab: AsyncLab) -> tuple[AsyncHardware, list[float]]:
    """Hold a board for ever; gives when that was over, by the clock of the hardware."""
    loop = asyncio.get_running_loop()
    lost: list[float] = []
    hardware = await lab.allocate(cpus=1, lease_ttl=TTL_S).__aenter__()
    hardware.on_lost(lambda loss: lost.append(loop.time()))
    return hardware, lost


@pytest.mark.timeout(150)
async def test_what_a_replica_that_is_cut_off_alone_promises_is_true_to_the_last(
    tmp_path: Path,
) -> None:
    """Its holders stop before the lab, which has given it up, lends what they had to others."""
    limit_s = 12
    async with (
        running(tmp_path, "a", "b", heartbeats=3, outage_limit=f"{limit_s}s") as lab,
        lab.sdk(0) as deaf,
        lab.sdk(1) as unanswered,
        lab.sdk(2) as well,
    ):
        loop = asyncio.get_running_loop()
        holders = [await held(deaf), await held(unanswered)]
        for hardware, _ in holders:
            await beats_again(hardware)
        waiting = [Waiting(well), Waiting(well)]
        lab.ways[0].deaf = True  # Nothing gets through.
        lab.ways[1].dropping = True  # What it says gets through, and what it is told does not.
        cut_s = loop.time()
        for hardware, lost in holders:
            await eventually(lost.__len__, within=limit_s + TTL_S + LIMIT_S)
            # Without the promise it would have stopped by now.
            assert lost[0] - cut_s > TTL_S
            assert not hardware.session.closed
        for each in waiting:
            await asyncio.wait_for(each.granted.wait(), LIMIT_S)
        lost_s = {hardware.resources["host"]: lost[0] for hardware, lost in holders}
        again_s = {use.resource: use.at for use in lab.hardware.uses if use.action == "prepare"}
        assert again_s.keys() == lost_s.keys()
        for resource, lost_at in lost_s.items():
            assert lost_at < again_s[resource], resource
        for each in waiting:
            each.done.set()
            await each.task
    lab.hardware.check_never_twice()
