"""The main job on this very machine, from demand to release: what `make demo` runs.

Starts the suite (`hwp up`) with a resource manager that lends this machine, runs the tests in this
folder with the pytest plugin, tells from the lab's own change feed what was demanded, granted and
released, ends everything, and looks whether anything was left over.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

from hwprovisioner.client import AsyncLab, LabError
from hwprovisioner.client.words import word
from hwprovisioner.v1.allocate_service_pb2 import WatchLabResponse
from hwprovisioner.v1.allocation_pb2 import Allocation, EndReason
from hwprovisioner.v1.demand_pb2 import HostDemand

HERE = Path(__file__).resolve().parent
HWP = Path(sys.executable).with_name("hwp")
LIMIT_S = 85.0
START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
CLEAN_LIMIT_S = 10.0


class DemoFailed(Exception):
    """Something did not go as it should; the message says what."""


class Story:
    """What the lab tells of each allocation, in order."""

    def __init__(self) -> None:
        self.allocations: dict[str, Allocation] = {}
        self.granted: dict[str, dict[str, str]] = {}

    def take(self, change: WatchLabResponse) -> None:
        """Takes one change of the lab."""
        for allocation in change.allocations:
            self.allocations[allocation.id] = allocation
            if allocation.hosts:
                hosts = allocation.hosts.items()
                self.granted[allocation.id] = {name: host.spec.name for name, host in hosts}

    def tell(self, beats: dict[str, int]) -> None:
        """Prints what became of each allocation."""
        for number, (name, allocation) in enumerate(self.allocations.items(), start=1):
            demanded = ", ".join(
                f"{host} ({describe(demand)})"
                for host, demand in sorted(allocation.demands.hosts.items())
            )
            granted = ", ".join(
                f"{host} = {resource}" for host, resource in sorted(self.granted[name].items())
            )
            held_s = allocation.end_time.ToDatetime() - allocation.ready_time.ToDatetime()
            waited_s = allocation.ready_time.ToDatetime() - allocation.submit_time.ToDatetime()
            print(f"{number}. allocation {name}")
            print(f"   demanded  {demanded}")
            print(f"   granted   {granted}, ready after {waited_s.total_seconds():.3f} s")
            print(f"   beaten    heartbeats accepted: {beats.get(name, 0)}")
            print(
                f"   released  {word(EndReason, allocation.end_reason)} after"
                f" {held_s.total_seconds():.3f} s in use"
            )


def describe(demand: HostDemand) -> str:
    """Says in words what a host was to be."""
    wants = [f"{what} {said}" for what in ("cpus", "memory") if (said := getattr(demand, what))]
    wants += [f"label {label}" for label in demand.labels]
    wants += [f"resource {demand.resource}"] if demand.resource else []
    return " and ".join(wants) or "anything"


def say(text: str) -> None:
    """Prints a line of the demo itself."""
    print(f"demo: {text}", flush=True)


@contextlib.asynccontextmanager
async def suite(folder: Path, config: Path) -> AsyncIterator[dict[str, str]]:
    """Runs `hwp up` until the block ends; gives its addresses; checks that it ends well.

    Args:
        folder: For its files.
        config: What its resource manager represents.

    Raises:
        DemoFailed: It does not start, or ends badly.
    """
    ports, log = folder / "ports.json", folder / "up.log"
    with log.open("wb") as output:
        up = await asyncio.create_subprocess_exec(
            HWP, "up", "--config", config, "--state-dir", folder / "state",
            "--write-ports", ports,
            *(f"--port-{part}=0" for part in ("allocate", "heartbeat", "manager")),
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield await addresses(up, ports)
    except Exception:
        print(log.read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        await stop(up)
    if up.returncode != 0:
        print(log.read_text()[-4000:], file=sys.stderr)
        raise DemoFailed(f"`hwp up` ended with exit code {up.returncode}")


async def addresses(up: asyncio.subprocess.Process, ports: Path) -> dict[str, str]:
    """Waits until the suite has said where it listens."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if up.returncode is not None:
            raise DemoFailed(f"`hwp up` ended at once, with exit code {up.returncode}")
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return dict(json.loads(ports.read_text()))  # noqa: ASYNC240  # a small local file
        await asyncio.sleep(0.05)
    raise DemoFailed(f"`hwp up` was not ready within {START_LIMIT_S:.0f} s")


async def stop(up: asyncio.subprocess.Process) -> None:
    """Asks it to stop as Ctrl-C does; what is left after that is killed and told."""
    if up.returncode is None:
        up.send_signal(signal.SIGINT)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(up.wait(), STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(up.pid, signal.SIGKILL)
        raise DemoFailed("processes of `hwp up` were left over, and had to be killed")


async def free_resources(lab: AsyncLab, count: int, within_s: float) -> list[str]:
    """Waits until so many resources are to be had."""
    deadline = time.monotonic() + within_s
    while True:
        names = [resource.spec.name for resource in await lab.list_resources(free=True)]
        if len(names) >= count:
            return names
        if time.monotonic() > deadline:
            raise DemoFailed(f"free are {names or 'none'}, not {count} resources")
        await asyncio.sleep(0.05)


async def run_tests(found: dict[str, str], junit: Path) -> int:
    """Runs the examples as a user would; returns the exit code."""
    environ = os.environ | {"ALLOCATE_API": found["allocate"], "HEARTBEAT_API": found["heartbeat"]}
    environ.pop("PYTEST_ADDOPTS", None)
    pytest = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", HERE, "-v", "-s", "--hw-wait=60s", "--hw-ttl=5s",
        f"--junitxml={junit}", env=environ, cwd=HERE.parent,
    )  # fmt: skip
    try:
        return await pytest.wait()
    finally:
        if pytest.returncode is None:
            pytest.terminate()
            await pytest.wait()


def count_beats(junit: Path) -> dict[str, int]:
    """Reads from the test report how many heartbeats each allocation had."""
    beats: dict[str, int] = {}
    for case in ElementTree.parse(junit).iter("testcase"):  # noqa: S314  # nosec B314  # written just now
        said = {each.get("name", ""): each.get("value", "") for each in case.iter("property")}
        beats[said.pop("hw_allocation", "")] = int(said.pop("hw_heartbeats", "0"))
        for name, value in said.items():
            if name.startswith("second "):
                beats[name.removeprefix("second ")] = int(value)
    return beats


async def watch(lab: AsyncLab, after_revision: int, story: Story) -> None:
    """Follows the change feed until cancelled."""
    async for change in lab.watch_lab(after_revision):
        story.take(change)


async def left_over(lab: AsyncLab) -> list[str]:
    """Lists the allocations that have not ended."""
    alive = await lab.list_allocations(states=("queued", "preparing", "ready"))
    return [allocation.id for allocation in alive]


async def demo(folder: Path) -> None:
    """Does it all."""
    started = time.monotonic()
    say("starting the suite (hwp up) with a resource manager that lends this machine")
    async with suite(folder, HERE / "resources.yml") as found, asyncio.timeout(LIMIT_S):
        lab = AsyncLab(found["allocate"], found["heartbeat"])
        async with lab:
            names = await free_resources(lab, 2, START_LIMIT_S)
            say(f"ready after {time.monotonic() - started:.1f} s; to be had: {', '.join(names)}")
            story = Story()
            listing = await lab.list_resources()
            watching = asyncio.create_task(watch(lab, listing.revision, story))
            say("running examples/ with the pytest plugin")
            failed = await run_tests(found, folder / "junit.xml")
            await free_resources(lab, 2, CLEAN_LIMIT_S)
            alive = await left_over(lab)
            watching.cancel()
            await asyncio.wait((watching,))
        if failed:
            raise DemoFailed(f"the examples failed, exit code {failed}")
        if alive:
            raise DemoFailed(f"allocations were left over: {', '.join(alive)}")
        beats = count_beats(folder / "junit.xml")
        print()
        say(f"what the lab saw, {len(story.allocations)} allocations:")
        story.tell(beats)
        if sorted(beats) != sorted(story.allocations):
            raise DemoFailed("the tests and the lab do not tell of the same allocations")
        print()
        say(f"beaten: {sum(beats.values())} heartbeats; every resource was cleaned and is free")
    say(f"everything is stopped, nothing is left over; {time.monotonic() - started:.1f} s")


def main() -> int:
    """Runs the demo within its limit; returns the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="hwp-demo-"))
    try:
        asyncio.run(demo(folder))
    except (DemoFailed, LabError, TimeoutError) as error:
        print(f"demo: FAILED: {error or f'not done within {LIMIT_S:.0f} s'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
