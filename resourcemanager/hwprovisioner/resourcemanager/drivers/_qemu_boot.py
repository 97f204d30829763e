"""From a machine's first instruction to its holder's first login."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.drivers import (
    _guest_ssh,
    _machine_keys,
    _qemu_command,
    _qemu_net,
    _qemu_power,
)
from hwprovisioner.resourcemanager.drivers._console_watch import ConsoleWatch
from hwprovisioner.resourcemanager.drivers._machine_options import ImageSection
from hwprovisioner.resourcemanager.drivers._qemu_process import CONSOLE, Machine
from hwprovisioner.resourcemanager.drivers._waiting import until
from hwprovisioner.resourcemanager.errors import DriverError


def write_seed(machine: Machine, image: ImageSection) -> None:
    """Write into the machine's folder what it is to know of itself, and the keys to it."""
    seed = _machine_keys.new_seed(machine.folder, image.user)
    (machine.folder / _qemu_command.SEED).write_bytes(seed)


async def boot(machine: Machine, image: ImageSection, address: str, report: Report) -> None:
    """Have a machine that was started run, and wait until it is up.

    Raises:
        DriverError: It ended, or its guest did.
    """
    report("booting")
    async with _watched(machine, image.ready.text) as console:
        async with machine.monitor() as monitor:
            await monitor.execute("cont")

        async def look() -> str:
            await _need_on(machine, console.last)
            return "" if console.is_said else f"last line: {console.last or 'none yet'}"

        match image.ready.by:
            case "console":
                await until(look, f"`{image.ready.text}` on the console", report)
            case "ssh":
                await let_in(machine, image, address, "", report, console)
            case "start":
                await _need_on(machine)


async def let_in(
    machine: Machine,
    image: ImageSection,
    address: str,
    public_key: str,
    report: Report,
    console: ConsoleWatch | None = None,
) -> _guest_ssh.Door:
    """Wait until the machine lets us in by SSH, and let a holder's key in, too, if there is one.

    Raises:
        DriverError: The machine ended, or does not take the key.
    """
    door = await _door(machine, image, address)

    async def look() -> str:
        await _need_on(machine, console.last if console is not None else "")
        return await _guest_ssh.try_door(door, public_key)

    await until(look, "SSH", report)
    return door


async def _door(machine: Machine, image: ImageSection, address: str) -> _guest_ssh.Door:
    port = await _qemu_net.forwarded(machine, _qemu_command.SSH_PORT)
    return _machine_keys.door(machine.folder, address, port, image.user)


async def _need_on(machine: Machine, last: str = "") -> None:
    words = f"; the last line on its console: {last}" if last else ""
    if not machine.is_running:
        raise DriverError(f"the virtual machine's process has ended{words}")
    async with machine.monitor() as monitor:
        status = await _qemu_power.status(monitor)
    if status != "running":
        raise DriverError(f"the virtual machine is no longer running, but {status!r}{words}")


@contextlib.asynccontextmanager
async def _watched(machine: Machine, text: str) -> AsyncIterator[ConsoleWatch]:
    """Read the console meanwhile."""
    reader, writer = await machine.dial(CONSOLE)
    console = ConsoleWatch(text)
    reading = asyncio.create_task(console.read(reader))
    try:
        yield console
    finally:
        reading.cancel()
        writer.close()
        await asyncio.wait([reading])
