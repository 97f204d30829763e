"""Readies up for one hold, within its time limit; what cannot be had now is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from hwprovisioner.resourcemanager import calls
from hwprovisioner.resourcemanager.backoff import Backoff
from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.errors import DriverError, Later
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.model import Connection
from hwprovisioner.resourcemanager.represented import Represented

_log = logging.getLogger(__name__)


async def ready_up(
    represented: Represented, journal: Journal, hold_id: str, report: Report, backoff: Backoff
) -> Connection:
    """Ready up for a hold.

    Raises:
        DriverError: It failed, and why.
        OSError: The journal could not be written.
    """
    loop = asyncio.get_running_loop()
    limit_s = calls.ready_up_limit_s(represented.driver)
    deadline = loop.time() + limit_s
    tries = 0
    while True:
        try:
            return await _once(represented, journal, hold_id, report, deadline - loop.time())
        except Later as error:
            tries += 1
            delay_s = backoff.delay_s(tries)
            if loop.time() + delay_s >= deadline:
                raise DriverError(f"{error}; tried {tries} times within {limit_s:g} s") from error
            _log.info("hold %s on %s waits: %s", hold_id, represented.name, error)
            report(f"{error}; try {tries + 1} in {delay_s:.1f} s")
        await asyncio.gather(asyncio.sleep(delay_s), _give_way(represented, delay_s))


async def _once(
    represented: Represented, journal: Journal, hold_id: str, report: Report, left_s: float
) -> Connection:
    if represented.instances is not None:
        return await represented.instances.prepare(hold_id, report, left_s)
    return await calls.prepare(represented.driver, journal.holds[hold_id].hold, report, left_s)


async def _give_way(represented: Represented, within_s: float) -> None:
    """Destroy an instance of the pool: it may count for the same quota."""
    if represented.instances is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await represented.instances.pool.give_way()
