"""Calls of drivers, each with its time limit, each failure turned into words."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

from hwprovisioner.resourcemanager.answers import both_ends, looked_at, looking_at, said
from hwprovisioner.resourcemanager.driver import Channel, Driver, Report
from hwprovisioner.resourcemanager.errors import DriverError, Later
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import (
    Connection,
    Facts,
    Hold,
    Instance,
    Makes,
    Power,
    Traits,
)

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long a driver may take to leave once it is cancelled. Then it is left to itself.
LEAVE_LIMIT_S = 5.0
#: How long switching power may take; less than the lab waits.
POWER_LIMIT_S = 120.0
#: The same for opening a console or a connection.
REACH_LIMIT_S = 20.0
#: For a driver whose default limits are incomplete.
_LIMIT_S = 600.0

#: Calls that ignored their cancellation, kept so that they are not collected while they run.
_abandoned: set[asyncio.Task[Any]] = set()


async def describe(driver: Driver) -> Facts:
    """Return what the driver finds out.

    Raises:
        DriverError: It failed, and why.
    """
    call = looking_at(driver.describe)
    return await _checked(driver, "describe", call, _limit(driver, "check_s"), Facts)


async def check(driver: Driver) -> None:
    """Return if the resource can be lent.

    Raises:
        DriverError: It cannot, and why.
    """
    await _checked(driver, "check", driver.check, _limit(driver, "check_s"), type(None))


def ready_up_limit_s(driver: Driver) -> float:
    """Return how long readying up may take altogether."""
    return _limit(driver, "ready_up_s")


async def prepare(
    driver: Driver, hold: Hold, report: Report, left_s: float | None = None
) -> Connection:
    """Ready the resource up, in what is left of the time for that.

    Raises:
        Later: It cannot be done now, but may be soon.
        DriverError: It failed, and why.
    """
    limit_s = _limit(driver, "ready_up_s")
    call = looking_at(lambda: driver.prepare(hold, report))
    return await _checked(driver, "prepare", call, limit_s, Connection, left_s)


async def tear_down(driver: Driver, hold: Hold, report: Report) -> None:
    """End what was prepared.

    Raises:
        DriverError: It failed, and why.
    """
    limit_s = _limit(driver, "tear_down_s")
    await _checked(driver, "tear down", lambda: driver.tear_down(hold, report), limit_s, type(None))


async def clean(driver: Driver, hold: Hold, report: Report) -> None:
    """Clean the resource.

    Raises:
        DriverError: It failed, and why.
    """
    limit_s = _limit(driver, "clean_s")
    await _checked(driver, "clean", lambda: driver.clean(hold, report), limit_s, type(None))


async def repair(driver: Driver, trouble: str, report: Report) -> None:
    """Try to bring a resource back.

    Raises:
        DriverError: It did not work, and why.
    """
    limit_s = _limit(driver, "clean_s")
    await _checked(driver, "repair", lambda: driver.repair(trouble, report), limit_s, type(None))


async def make(maker: Maker, instance: Instance, report: Report) -> None:
    """Make an instance.

    Raises:
        Later: It cannot be done now, but may be soon.
        DriverError: It failed, and why.
    """
    limit_s = _limit(maker, "ready_up_s")
    await _checked(maker, "make", lambda: maker.make(instance, report), limit_s, type(None))


async def hand_over(
    maker: Maker, instance: Instance, hold: Hold, report: Report, left_s: float
) -> Connection:
    """Let a holder in to an instance, in what is left of the time to ready up.

    Raises:
        DriverError: It failed, and why.
    """
    limit_s = _limit(maker, "ready_up_s")
    call = looking_at(lambda: maker.hand_over(instance, hold, report))
    return await _checked(maker, "hand over", call, limit_s, Connection, left_s)


async def destroy(maker: Maker, name: str, report: Report) -> None:
    """Destroy an instance.

    Raises:
        DriverError: It failed, and why.
    """
    limit_s = _limit(maker, "clean_s")
    await _checked(maker, "destroy", lambda: maker.destroy(name, report), limit_s, type(None))


async def existing(maker: Maker) -> Collection[str]:
    """Return the names of the instances that there are.

    Raises:
        DriverError: They cannot be found out, and why.
    """
    limit_s = _limit(maker, "check_s")
    # mypy takes an abstract class for no `type`.
    kind: type[Any] = Collection
    names = await _checked(maker, "existing", maker.existing, limit_s, kind)
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise DriverError("existing: the driver returned something else than names")
    return set(names)


async def is_well(maker: Maker, instance: Instance) -> bool:
    """Say whether an instance that waits for a holder can still be handed over.

    Raises:
        DriverError: It cannot be found out, and why.
    """
    limit_s = _limit(maker, "check_s")
    return await _checked(maker, "look at", lambda: maker.is_well(instance), limit_s, bool)


async def power(driver: Driver, action: Power, hold: Hold, report: Report) -> None:
    """Switch the power of what a hold has.

    Raises:
        DriverError: It failed, and why.
    """
    call = functools.partial(driver.power, action, hold, report)
    await _checked(driver, f"power {action}", call, POWER_LIMIT_S, type(None))


async def console(driver: Driver, hold: Hold) -> Channel:
    """Open the serial console of what a hold has.

    Raises:
        DriverError: It failed, and why.
    """
    call = functools.partial(driver.console, hold)
    return both_ends(await _checked(driver, "console", call, REACH_LIMIT_S, tuple))


async def dial(driver: Driver, hold: Hold, connection: Connection, port: int) -> Channel:
    """Open a TCP connection to a port of what a hold has.

    Raises:
        DriverError: Nothing answers there, or it failed, and why.
    """
    call = functools.partial(driver.dial, hold, connection, port)
    return both_ends(await _checked(driver, "forward", call, REACH_LIMIT_S, tuple))


def traits(driver: Driver) -> Traits:
    """Return what the driver says that it can do; nothing, if it cannot say."""
    try:
        makes = driver.makes
        if not isinstance(makes, Makes | None):
            raise TypeError(f"makes is {type(makes).__name__}")
        can = (bool(driver.has_power), bool(driver.has_console), bool(driver.has_repair))
        found = Traits(looked_at(makes) if makes else None, *can)
    except Exception:  # a driver's bug must not take the others down
        _log.exception("driver %s cannot say what it can do", driver.resource.driver)
        return Traits()
    return found


def _limit(driver: Driver, name: str) -> float:
    try:
        asked: float | None = getattr(driver.time_limits(), name)
        default: float | None = getattr(driver.default_time_limits, name)
    except Exception:  # a driver's bug must not take the others down
        _log.exception("driver %s cannot say its time limits", driver.resource.driver)
        return _LIMIT_S
    return asked or default or _LIMIT_S


async def _called(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Call a driver, so that whatever it does at that happens within a task of its own."""
    try:
        return await call()
    except (SystemExit, KeyboardInterrupt) as error:
        # Either would end the whole manager.
        raise DriverError(f"the driver tried to end the manager: {error!r}") from error


async def _checked(
    driver: Driver,
    action: str,
    call: Callable[[], Coroutine[Any, Any, T]],
    limit_s: float,
    answer: type[T],
    left_s: float | None = None,
) -> T:
    """Call a driver and return what it answers, if that is of the right type.

    Raises:
        DriverError: It did not, or not within the time that is left of the limit.
    """
    name = f"{driver.resource.driver} {action} of {driver.resource.name}"
    task = asyncio.create_task(_called(call), name=name)
    try:
        done, _ = await asyncio.wait(
            [task], timeout=limit_s if left_s is None else max(0.0, left_s)
        )
    except asyncio.CancelledError:
        await _leave(task)
        raise
    if not done:
        await _leave(task)
        raise DriverError(f"{action}: not done within {limit_s:g} s")
    try:
        result = task.result()
    except DriverError as error:
        kind = Later if isinstance(error, Later) else DriverError
        raise kind(f"{action}: {said(error)}") from error
    except asyncio.CancelledError:
        raise DriverError(f"{action}: the driver gave itself up") from None
    except BaseException as error:  # that of the driver's task, so it concerns nobody else
        _log.exception("driver %s failed at %s", driver.resource.driver, action)
        raise DriverError(f"{action}: {type(error).__name__}: {said(error)}") from error
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
