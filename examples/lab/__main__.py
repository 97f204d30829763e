"""One resource of each kind, demanded together, used, and gone without a trace.

Starts the suite and what the drivers need, demands all parts of the lab that this machine can have
as one set, runs a command on each that can run one, gives them back, and looks whether anything is
left. Exit status: 0, 1 if anything failed or is left over, 130 after Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from examples.demo import DemoFailed, free_resources, left_over, suite

from hwprovisioner.client import AsyncHardware, AsyncLab, LabError, Phase, Update
from hwprovisioner.client.facts import Connection

from . import leftovers, settings
from .engines import ENGINES
from .parts import PARTS, Fill, Missing, Part

#: For each step; a guest without KVM takes a while to boot.
STEP_LIMIT_S = 240.0
LOOK_S = 0.1


async def lab_demo(folder: Path) -> None:
    """Does it all.

    Raises:
        DemoFailed: Something did not go as it should.
        LabError: The same, as the lab says it.
    """
    started_s = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        fills = await start_engines(stack, folder)
        entries = settings.write(folder, fills)
        parts = [part for part in PARTS if part.name in fills]
        say("starting the suite (hwp up) with a resource manager that represents them")
        async with suite(folder, folder / "resources.yml") as found:
            async with AsyncLab(found["allocate"], found["heartbeat"]) as lab:
                await free_resources(lab, len(parts), STEP_LIMIT_S)
                try:
                    await use(lab, parts)
                finally:
                    await given_back(lab)
                    complain(await leftovers.of_hosts(folder, entries))
        say("no container, machine, instance, key or file of a host is left")
    complain(leftovers.end_processes(folder))
    skipped = [part.name for part in PARTS if part not in parts]
    say(f"skipped: {', '.join(skipped) or 'nothing'}")
    took_s = time.monotonic() - started_s
    say(f"everything is stopped, nothing is left over; {took_s:.1f} s")


async def start_engines(stack: contextlib.AsyncExitStack, folder: Path) -> dict[str, Fill]:
    """Starts what each part needs; says what this machine cannot have, and why."""
    fills = {}
    for part in PARTS:
        try:
            fills[part.name] = await stack.enter_async_context(ENGINES[part.name](folder))
        except Missing as missing:
            say(f"{part.name}: SKIPPED, {part.what} cannot be had here: {missing}")
        else:
            say(f"{part.name}: {part.what}")
    return fills


async def use(lab: AsyncLab, parts: Sequence[Part]) -> None:
    """Demands the parts as one set, runs a command on each, and gives them back."""
    say(f"demanding one set: {', '.join(part.name for part in parts)}")
    demands = {part.name: part.demand for part in parts}
    async with asyncio.timeout(STEP_LIMIT_S):
        async with lab.allocate(demands=demands, lease_ttl="30s", on_update=show) as hardware:
            for part in parts:
                await run_on(hardware, part)
            say("releasing")


async def run_on(hardware: AsyncHardware, part: Part) -> None:
    """Runs the part's command on its host, or says why none can be run."""
    host = hardware[part.name]
    where = place(host.connection)
    if not part.command:
        say(f"{part.name} ({where}): no command is run: {part.why_not}")
        return
    done = await host.run(part.command, timeout=STEP_LIMIT_S)
    say(f"{part.name} ({where}): {part.command} says {done.stdout.strip()!r}")


def place(connection: Connection) -> str:
    """Says how a host is reached."""
    names: Mapping[str, str] = connection.properties
    where = names.get("instance_id") or names.get("container", "")[:12] or connection.address
    port = f":{connection.port}" if connection.port else ""
    return f"by {connection.protocol}{f', {where}{port}' if where else ''}"


async def given_back(lab: AsyncLab) -> None:
    """Waits until every hold has been cleaned."""
    deadline = time.monotonic() + STEP_LIMIT_S
    while held := [one.spec.name for one in await lab.list_resources() if one.holds]:
        if time.monotonic() > deadline:
            raise DemoFailed(f"still held or being cleaned: {', '.join(held)}")
        await asyncio.sleep(LOOK_S)
    if alive := await left_over(lab):
        raise DemoFailed(f"allocations were left over: {', '.join(alive)}")


def show(update: Update) -> None:
    """Prints what whoever waits is told."""
    if not update.repeated or update.phase is Phase.AWAY:
        say(f"{update.waited_s:6.1f} s  {update.line}")


def complain(left: Sequence[str]) -> None:
    """Raises what is left over, if anything is."""
    if left:
        raise DemoFailed("left over: " + "; ".join(left))


def say(text: str) -> None:
    """Prints a line of the demo itself."""
    print(f"lab: {text}", flush=True)


async def until_interrupted(folder: Path) -> None:
    """Runs the demo; the first Ctrl-C or SIGTERM has it give everything back and end."""
    task = asyncio.ensure_future(lab_demo(folder))

    def interrupt() -> None:
        if not task.cancelling():
            say("interrupted: giving everything back")
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    await task


def set_environment(folder: Path) -> None:
    """Marks all that is started, and has their temporary files where they are found."""
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ |= {leftovers.MARK: str(folder), "TMPDIR": str(temporary)}
    tempfile.tempdir = str(temporary)


def main() -> int:
    """Runs the demo; returns the exit status."""
    # A name that may be part of a resource's.
    folder = Path(tempfile.gettempdir()) / f"hwp-lab-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    set_environment(folder)
    status = 0
    try:
        asyncio.run(until_interrupted(folder))
    except asyncio.CancelledError:
        status = 130
    except (DemoFailed, LabError, Missing, TimeoutError) as error:
        print(f"lab: FAILED: {error or 'it took too long'}", file=sys.stderr)
        status = 1
    finally:
        status = remove(folder, status)
    return status


def remove(folder: Path, status: int) -> int:
    """Ends and removes what is left after all; returns the exit status, 1 if there was anything."""
    if left := leftovers.end_processes(folder):
        print(f"lab: FAILED: left over: {'; '.join(left)}", file=sys.stderr)
        status = 1
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        print(f"lab: FAILED: {folder} cannot be removed", file=sys.stderr)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
