"""The power switch of a machine. Its process, and with it its console and its ports, stays."""

from __future__ import annotations

from hwprovisioner.resourcemanager.drivers._qmp import Qmp
from hwprovisioner.resourcemanager.model import Power


async def is_on(monitor: Qmp) -> bool:
    """Say whether the guest runs."""
    return (await status(monitor)) == "running"


async def status(monitor: Qmp) -> str:
    """Return in what state the guest is, in QEMU's words."""
    return str((await monitor.execute("query-status"))["status"])


async def switch(monitor: Qmp, action: Power) -> None:
    """Switch it on, off, or off and on, without asking the guest."""
    was_on = await is_on(monitor)
    if action is Power.ON and was_on:
        return
    if was_on:
        await monitor.execute("stop")
    # As if the power had been away: also out of states that QEMU does not go on from.
    await monitor.execute("system_reset")
    await monitor.event("RESET")
    if action is not Power.OFF:
        await monitor.execute("cont")
