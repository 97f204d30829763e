"""A resource while it is represented.

Its driver, what was detected of it, whether it can be lent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from hwprovisioner.resourcemanager import calls, codec
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Facts, Resource
from hwprovisioner.v1 import resource_pb2 as pb

_log = logging.getLogger(__name__)


class Represented:
    """One resource. It looks after its own health; the agent reads and decides."""

    def __init__(
        self,
        resource: Resource,
        driver: Driver,
        *,
        changed: Callable[[Represented], None],
        is_busy: Callable[[], bool],
        checks: asyncio.Semaphore,
    ) -> None:
        self.resource = resource
        self.driver = driver
        self.facts = Facts()
        #: Why it cannot be lent; empty if it can, `None` before the first check.
        self.trouble: str | None = None
        #: What the file says by now, if it changed while something holds the resource.
        self.successor: Resource | None = None
        #: The file no longer has it, but something holds it still.
        self.is_removed = False
        #: Set once it is known whether it can be lent.
        self.is_known = asyncio.Event()
        self._changed = changed
        self._is_busy = is_busy
        self._checks = checks
        self._look = asyncio.Event()

    @property
    def name(self) -> str:
        """Its name in the lab."""
        return self.resource.name

    @property
    def is_exclusive(self) -> bool:
        """One hold at a time has all of it."""
        return self.resource.division is None

    @property
    def can_be_lent(self) -> bool:
        """It is healthy, and the file still has it as it is."""
        is_leaving = self.is_removed or (self.successor is not None and not self.is_exclusive)
        return self.trouble == "" and not is_leaving

    @property
    def excuse(self) -> str:
        """Why it cannot be lent, for people to read."""
        if self.is_removed:
            return "it is no longer in the resources file"
        if self.trouble:
            return self.trouble
        if self.trouble is None:
            return "not checked yet"
        return "its configuration changes once what holds it has ended"

    def spec(self) -> pb.ResourceSpec:
        """Return it as the lab is told of it."""
        return codec.spec(self.resource, self.facts)

    def look_soon(self) -> None:
        """Check its health now rather than at the next turn."""
        self._look.set()

    async def watch(self) -> None:
        """Check its health, now and then, for ever.

        Holds that are being readied or cleaned are not disturbed.
        """
        while True:
            if self.trouble is None or not self._is_busy():
                async with self._checks:
                    await self._check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.resource.check_every_s):
                    await self._look.wait()
            self._look.clear()

    async def _check(self) -> None:
        trouble = ""
        try:
            await calls.check(self.driver)
            if self.trouble != "":
                await self._describe()
        except DriverError as error:
            trouble = str(error).removeprefix("check: ") or "unhealthy"
        was, self.trouble = self.trouble, trouble
        self.is_known.set()
        if trouble != was:
            self._changed(self)

    async def _describe(self) -> None:
        try:
            self.facts = await calls.describe(self.driver)
        except DriverError as error:
            _log.warning("resource %s: %s; only what the file says is known", self.name, error)
