"""Any process may be killed at any moment: nothing acknowledged is lost, nothing is lent twice."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwprovisioner.client import AsyncLab
from support.eventually import eventually
from support.real_suite import HWP, Suite, running
from support.recorded_hardware import RecordedHardware

TTL = "2s"
MANAGER = "hwprovisioner.resourcemanager"


@pytest.fixture
def hardware(tmp_path: Path) -> RecordedHardware:
    return RecordedHardware(tmp_path / "hardware", "board")


@contextlib.contextmanager
def holding(suite: Suite, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A test run that asks for the board, and says so when it has it."""
    process = subprocess.Popen(
        [HWP, "run", "--cpus", "1", "--ttl", TTL, *arguments, "--", "sh", "-c", "echo on; cat"],
        env=suite.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:  # closes the pipes, and so ends the command
        yield process


def wait_until_held(run: subprocess.Popen[str]) -> None:
    assert run.stdout is not None
    assert run.stdout.readline() == "on\n"


def end(run: subprocess.Popen[str]) -> int:
    assert run.stdin is not None
    run.stdin.close()
    return run.wait(20)


async def test_the_board_comes_back_when_the_test_run_is_killed(
    tmp_path: Path, hardware: RecordedHardware
) -> None:
    async with running(tmp_path / "suite", resources=hardware.resources) as suite:
        with holding(suite) as first:
            wait_until_held(first)
            with holding(suite) as second:
                first.kill()
                wait_until_held(second)
                assert end(second) == 0
        await eventually(lambda: [use.action for use in hardware.uses].count("clean") == 2)
    hardware.check_never_twice()


@pytest.mark.parametrize("service", ["hwprovisioner.allocate", "hwprovisioner.heartbeat"])
async def test_a_held_board_stays_held_when_a_service_is_killed(
    tmp_path: Path, hardware: RecordedHardware, service: str
) -> None:
    async with running(tmp_path / "suite", resources=hardware.resources) as suite:
        with holding(suite, "--ttl", "10s") as run:
            wait_until_held(run)
            killed = suite.kill(service)
            await eventually(lambda: suite.pid_of(service) != killed, within=20)
            await eventually(lambda: suite.hwp("get", "resources").returncode == 0, within=20)
            assert end(run) == 0
        ended = await eventually(lambda: allocations(suite), within=20)
        assert [one["endReason"] for one in ended] == ["END_REASON_RELEASED"]
        await eventually(lambda: is_free(suite), within=20)
    hardware.check_never_twice()


async def test_a_held_board_stays_held_when_its_manager_is_killed(
    tmp_path: Path, hardware: RecordedHardware
) -> None:
    async with running(tmp_path / "suite", resources=hardware.resources) as suite:
        with holding(suite) as run:
            wait_until_held(run)
            killed = suite.kill(MANAGER)
            await eventually(lambda: suite.pid_of(MANAGER) != killed, within=20)
            await eventually(lambda: is_online(suite), within=20)
            assert [use.action for use in hardware.uses].count("prepare") == 1
            assert end(run) == 0
        await eventually(lambda: is_free(suite), within=20)
    hardware.check_never_twice()


async def test_an_acknowledged_allocation_outlives_the_death_of_everything(
    tmp_path: Path, hardware: RecordedHardware
) -> None:
    async with running(tmp_path / "suite", resources=hardware.resources) as suite:
        async with AsyncLab(suite.allocate, suite.heartbeat) as lab:
            async with lab.allocate(cpus=1, lease_ttl="60s") as held:
                allocation_id = held.allocation_id
                os.kill(suite.process.pid, signal.SIGKILL)
                suite.process.wait()
                async with running(tmp_path / "suite", resources=hardware.resources) as again:
                    found = again.hwp_json("get", "allocations", allocation_id)
                    assert found["state"] == "ALLOCATION_STATE_READY"
    hardware.check_never_twice()


def allocations(suite: Suite) -> list[dict[str, str]]:
    return list(suite.hwp_json("get", "allocations", "--state", "ended").get("allocations", []))


def is_free(suite: Suite) -> bool:
    return not any(one.get("holds") for one in suite.hwp_json("get", "resources")["resources"])


def is_online(suite: Suite) -> bool:
    listed = suite.hwp_json("get", "resources")["resources"]
    return all(one["presence"] == "PRESENCE_ONLINE" for one in listed)
