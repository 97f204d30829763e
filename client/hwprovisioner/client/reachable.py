"""What a held host can do through the lab, for asyncio programs: power, console, ports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from hwprovisioner.client.consoles import AsyncConsole
from hwprovisioner.client.errors import LabError, LeaseLost
from hwprovisioner.client.facts import HostFacts
from hwprovisioner.client.forwarding import AsyncForward
from hwprovisioner.client.holding import HeldHost
from hwprovisioner.client.reach import Reach
from hwprovisioner.client.session import Session


class AsyncReachable(HeldHost):
    """A granted host as the lab reaches it."""

    __slots__ = ("_reach", "_session")

    def __init__(self, facts: HostFacts, session: Session, reach: Reach) -> None:
        super().__init__(facts, session.lease)
        self._session = session
        self._reach = reach

    async def power(self, action: str) -> None:
        """Switches the host's power: `on`, `off` or `cycle`. Returns when it is done.

        Raises:
            LeaseLost: The host must not be used any more.
            BadDemand: There is no such action.
            LabError: It was not done: NO_POWER_CONTROL, DRIVER_FAILED.
        """
        self._lease.check()
        await self._reach.power(action)

    @contextlib.asynccontextmanager
    async def console(self) -> AsyncIterator[AsyncConsole]:
        """Opens the host's serial console for the length of a block.

        Raises:
            LeaseLost: The host must not be used any more.
            LabError: It could not be opened: NO_CONSOLE, DRIVER_FAILED.
        """
        self._lease.check()
        tunnel = await self._reach.console()
        async with AsyncConsole(tunnel) as console, self._until_lost(tunnel.cut):
            yield console

    @contextlib.asynccontextmanager
    async def forward(self, port: int, local_port: int = 0) -> AsyncIterator[AsyncForward]:
        """Has a local port lead to a port of the host, for the length of a block.

        Args:
            port: A TCP port of the host, as seen from where the host is.
            local_port: The local one; 0: any that is free, which `port` of what is given says.

        Raises:
            LeaseLost: The host must not be used any more.
            BadDemand: That is no port.
            LabError: The local port cannot be had.
        """
        self._lease.check()
        async with AsyncForward(self._reach, port, local_port) as forward:
            async with self._until_lost(lambda _: forward.cut()):
                yield forward

    @contextlib.asynccontextmanager
    async def _until_lost(self, cut: Callable[[LabError], None]) -> AsyncIterator[None]:
        """Cuts what is open as soon as the lease is over."""

        async def watch() -> None:
            await self._session.over()
            lost = self._lease.loss
            cut(lost or LeaseLost("RELEASED", "it was given back", self._lease.allocation_id))

        watching = asyncio.create_task(watch(), name="hwp-reach")
        try:
            yield
        finally:
            watching.cancel()
