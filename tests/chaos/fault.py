"""What a fault is, and what it can hit."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from chaos.lab import Lab

REDIS = "redis"
Doing = Callable[[Lab, str], Awaitable[None]]
Targets = Callable[[Lab], Iterable[str]]


def _itself(lab: Lab, target: str) -> Iterable[str]:
    return target.split(",")


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    Attributes:
        targets: what it can hit; several names between commas are hit together.
        begin: does it.
        end: undoes it, and returns once what was hit is there again.
        span_s: how long it lasts: the shortest and the longest.
        hurts: what does not work meanwhile, by the target, likewise.
        loses: whether Redis may lose what it has acknowledged.
        forgets: whether somebody forgets what only one other knows: not two at a time, then.
        touches: to what nothing else may happen meanwhile, by the target.
    """

    targets: Targets
    begin: Doing
    end: Doing
    span_s: tuple[float, float]
    hurts: Callable[[str], str] = lambda target: target
    loses: bool = False
    forgets: bool = False
    touches: Callable[[Lab, str], Iterable[str]] = _itself


async def nothing(lab: Lab, name: str) -> None:
    """It is over already."""


def nobody(target: str) -> str:
    """Return whom it hurts that all that is needed is there."""
    return ""


def services(kind: str) -> Targets:
    return lambda lab: [name for name in lab.services if name.startswith(kind)]


def together(targets: Targets) -> Targets:
    return lambda lab: (",".join(targets(lab)),)


def everything(lab: Lab) -> Iterable[str]:
    return (REDIS, *lab.services, *lab.managers)


def managers(lab: Lab) -> Iterable[str]:
    return lab.managers


def clients(lab: Lab) -> Iterable[str]:
    return lab.clients


def redis(lab: Lab) -> Iterable[str]:
    return (REDIS,)
