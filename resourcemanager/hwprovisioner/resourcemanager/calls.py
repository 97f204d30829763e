"""Calls of drivers, each with its time limit, each failure turned into words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from hwprovisioner.resourcemanager.driver import Driver, Report
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Connection, Facts, Hold

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long a driver may take to leave once it is cancelled. Then it is left to itself.
LEAVE_LIMIT_S = 5.0
#: For a driver whose default limits are incomplete.
_LIMIT_S = 600.0

#: Calls that ignored their cancellation, kept so that they are not collected while they run.
_abandoned: set[asyncio.Task[Any]] = set()


async def describe(driver: Driver) -> Facts:
    """Return what the driver finds out.

    Raises:
        DriverError: It failed, and why.
    """
    return await _checked(driver, "describe", driver.describe(), _limit(driver, "check_s"), Facts)


async def check(driver: Driver) -> None:
    """Return if the resource can be lent.

    Raises:
        DriverError: It cannot, and why.
    """
    await _checked(driver, "check", driver.check(), _limit(driver, "check_s"), type(None))


async def prepare(driver: Driver, hold: Hold, report: Report) -> Connection:
    """Ready the resource up.

    Raises:
        DriverError: It failed, and why.
    """
    limit_s = _limit(driver, "ready_up_s")
    return await _checked(driver, "prepare", driver.prepare(hold, report), limit_s, Connection)


async def tear_down(driver: Driver, hold: Hold, report: Report) -> None:
    """End what was prepared.

    Raises:
        DriverError: It failed, and why.
    """
    limit_s = _limit(driver, "tear_down_s")
    await _checked(driver, "tear down", driver.tear_down(hold, report), limit_s, type(None))


async def clean(driver: Driver, hold: Hold, report: Report) -> None:
    """Clean the resource.

    Raises:
        DriverError: It failed, and why.
    """
    limit_s = _limit(driver, "clean_s")
    await _checked(driver, "clean", driver.clean(hold, report), limit_s, type(None))


def _limit(driver: Driver, name: str) -> float:
    asked: float | None = getattr(driver.time_limits(), name)
    default: float | None = getattr(driver.default_time_limits, name)
    return asked or default or _LIMIT_S


async def _checked(
    driver: Driver, action: str, call: Coroutine[Any, Any, T], limit_s: float, answer: type[T]
) -> T:
    name = f"{driver.resource.driver} {action} of {driver.resource.name}"
    task = asyncio.create_task(call, name=name)
    try:
        done, _ = await asyncio.wait([task], timeout=limit_s)
    except asyncio.CancelledError:
        await _leave(task)
        raise
    if not done:
        await _leave(task)
        raise DriverError(f"{action}: not done within {limit_s:g} s")
    try:
        result = task.result()
    except DriverError as error:
        raise DriverError(f"{action}: {error}") from error
    except asyncio.CancelledError:
        raise DriverError(f"{action}: the driver gave itself up") from None
    except Exception as error:
        _log.exception("driver %s failed at %s", driver.resource.driver, action)
        raise DriverError(f"{action}: {type(error).__name__}: {error}") from error
    if not isinstance(result, answer):
        wanted = answer.__name__
        raise DriverError(f"{action}: the driver returned {type(result).__name__}, not {wanted}")
    return result


async def _leave(task: asyncio.Task[Any]) -> None:
    """Cancel a call and see it out. If it does not go, say so and leave it behind."""
    task.cancel()
    try:
        await asyncio.wait([task], timeout=LEAVE_LIMIT_S)
    finally:
        if not task.done():
            _log.error("%s ignores its cancellation and is left to itself", task.get_name())
            _abandoned.add(task)
            task.add_done_callback(_abandoned.discard)
        elif not task.cancelled():
            task.exception()  # seen, so that it is not reported as forgotten
