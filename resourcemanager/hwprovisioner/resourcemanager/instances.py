"""What holds have of a resource whose driver makes what it lends.

From the pool if there is what they ask for, else made for them. Which instance is whose is in the
journal before anyone is let in to it.
"""

from __future__ import annotations

import asyncio
import logging

from hwprovisioner.resourcemanager import calls
from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Connection, Instance
from hwprovisioner.resourcemanager.pool import Pool

_log = logging.getLogger(__name__)


class Instances:
    """Gives each hold of one resource an instance."""

    def __init__(self, maker: Maker, journal: Journal, pool: Pool) -> None:
        self.pool = pool
        self._maker = maker
        self._journal = journal

    async def prepare(self, hold_id: str, report: Report, left_s: float) -> Connection:
        """Ready up for a hold, in what is left of the time for that.

        Raises:
            Later: It cannot be done now, but may be soon.
            DriverError: It failed, and why.
            OSError: The journal could not be written.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + left_s
        if not self._journal.holds[hold_id].hold.pooled:
            connection = await self._from_pool(hold_id, report, deadline)
            if connection is not None:
                return connection
            try:
                async with asyncio.timeout_at(deadline):
                    await self.pool.make_room()
            except TimeoutError:
                words = "what has to go before there is room cannot be destroyed in time"
                raise DriverError(words) from None
        # Of the pool, and crashed since: `make` leaves alone what is whole.
        hold = self._journal.holds[hold_id].hold
        return await calls.prepare(self._maker, hold, report, deadline - loop.time())

    async def _from_pool(self, hold_id: str, report: Report, deadline: float) -> Connection | None:
        """Hand over what is ready; `None` if nothing is that can be handed over."""
        asked = Instance.of(self._journal.holds[hold_id].hold)
        while (instance := self.pool.take(asked)) is not None:
            try:
                self._journal.put(self._journal.holds[hold_id].given(instance.name))
            except OSError:
                self.pool.put_back(instance)
                raise
            await self._journal.flush()
            report("taken from the warm pool")
            try:
                return await self._hand_over(instance, hold_id, report, deadline)
            except DriverError as error:
                words = "instance %s cannot be handed over, another one is taken: %s"
                _log.warning(words, instance.name, error)
                self._journal.put(self._journal.holds[hold_id].given(""))
                self.pool.destroy(instance)
        return None

    async def _hand_over(
        self, instance: Instance, hold_id: str, report: Report, deadline: float
    ) -> Connection:
        if not await calls.is_well(self._maker, instance):
            raise DriverError("it is not well")
        hold = self._journal.holds[hold_id].hold
        left_s = deadline - asyncio.get_running_loop().time()
        return await calls.hand_over(self._maker, instance, hold, report, left_s)
