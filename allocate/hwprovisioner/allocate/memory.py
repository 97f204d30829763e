"""Keeps the lab's past: read from Redis when the view is loaded, and pruned there."""

import asyncio
import logging

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.fair_share import oldest_hour
from hwprovisioner.state.care import Care
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.view import Change, View

_log = logging.getLogger(__name__)

_PRUNE_S = 3600.0
_RETRY_S = 1.0


class Memory:
    """Follows a view; what ends while it is read may count twice, which ages like all else."""

    def __init__(self, view: View, lab: Lab, reader: Reader, care: Care) -> None:
        """Remember for `lab`, which follows `view` itself."""
        self._lab = lab
        self._reader = reader
        self._care = care
        self._loaded = asyncio.Event()
        view.listen(self._note)

    async def keep(self) -> None:
        """Read the past whenever the view was loaded, and prune it, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_PRUNE_S):
                    await self._loaded.wait()
            except TimeoutError:
                pass
            try:
                await self._read()
            except StateUnavailable as error:
                _log.warning("the lab's past is not read: %s", error)
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        if self._loaded.is_set():
            # A lab in which nothing changes does not tell the time.
            self._lab.clock.set(await self._reader.now_ms())
            history = await self._reader.history()
            self._loaded.clear()
            self._lab.remember(history)
        if now_ms := self._lab.clock.now_ms():
            steady_ms = self._lab.clock.steady_ms(now_ms)
            await self._care.prune_use(oldest_hour(self._lab.policy.half_life_ms, steady_ms))

    def _note(self, change: Change | None) -> None:
        if change is None:
            self._loaded.set()
