"""Drivers that hang, raise or answer nonsense, beside one that is good."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from hwprovisioner.resourcemanager import Driver, DriverError, Facts, Resource
from support.manager import Hardware, box
from support.scripted_lab import Session

#: A call ends by then; nothing is measured.
SOON_S = 0.1


async def hang() -> None:
    await asyncio.Event().wait()


async def hang_on() -> None:
    """Ignore one cancellation, as a driver that tidies up in a hurry does."""
    try:
        await hang()
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # and is gone


async def fail() -> None:
    raise ZeroDivisionError("division by zero")


class Odd(BaseException):
    """As some libraries have them, for what nobody should catch."""


async def fail_oddly() -> None:
    raise Odd("neither here nor there")


async def stammer() -> None:
    raise DriverError("no such file: \udcff" + "x" * 10_000)


async def leave() -> None:
    sys.exit("a driver should not do that")


async def give_up() -> None:
    raise asyncio.CancelledError


async def talk_nonsense() -> Any:
    return "nonsense"


def no_coroutine() -> Any:
    return 7


#: What a driver does, and what is said of it.
FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "hangs": (hang, "not done within 0.1 s"),
    "hangs on": (hang_on, "not done within 0.1 s"),
    "raises": (fail, "ZeroDivisionError: division by zero"),
    "raises oddly": (fail_oddly, "Odd: neither here nor there"),
    "stammers": (stammer, "no such file: \\udcffxxx"),
    "exits": (leave, "tried to end the manager: SystemExit"),
    "cancels": (give_up, "the driver gave itself up"),
    "answers nonsense": (talk_nonsense, "the driver returned str, not"),
    "is no coroutine": (no_coroutine, "TypeError"),
}


def misbehaving(
    fault: Callable[[], Any], action: str, times: list[int] | None = None
) -> Callable[[str], type[Driver]]:
    """Return what finds drivers; `bad` ones misbehave at an action, once or so often."""
    good = Hardware().driver()
    left = [1] if times is None else times

    class Bad(good):  # type: ignore[misc, valid-type]  # a class made by a function
        async def describe(self) -> Facts:
            return Facts()

    def call(self: Driver, *arguments: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            return fault()
        return getattr(good, action)(self, *arguments)

    setattr(Bad, action, call)
    return lambda name: Bad if name == "bad" else good


def two() -> dict[str, Resource]:
    bad = box("bad", limit_s=SOON_S)
    return {"bad": Resource(**{**fields(bad), "driver": "bad"}), "good": box("good")}


def fields(resource: Resource) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in resource.__slots__}


async def works(session: Session, hold_id: str, fence: int, resource: str) -> None:
    await session.offer(hold_id, fence, resource)
    await session.hear("ready", hold_id=hold_id)
    await session.release(hold_id, fence + 1, resource)
    await session.hear("cleaned", hold_id=hold_id)
