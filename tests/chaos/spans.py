"""From when to when something was hit by a fault, by the histories."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chaos.history import Line


@dataclass(frozen=True, slots=True)
class Hit:
    """Somebody did not work from a time to a time, in ms since the epoch.

    Attributes:
        name: whoever it was; empty if it was nobody.
        loses: Redis may have lost what it had acknowledged.
    """

    name: str
    begin: float
    end: float
    loses: bool = False


def hits(lines: Iterable[Line]) -> Iterator[Hit]:
    """Yield who was hit when; what is not over by the end of the history never was."""
    begun: dict[tuple[str, str], Line] = {}
    for line in lines:
        if line.kind != "fault":
            continue
        key = (line["fault"], line["target"])
        if line["phase"] == "begin":
            begun[key] = line
        elif key in begun:
            yield from _hits_of(begun.pop(key), line.wall_ms)
    for line in begun.values():
        yield from _hits_of(line, float("inf"))


def restarts(lines: Iterable[Line]) -> Iterator[Hit]:
    """Yield who was restarted when, which hurts only if others are hit at that time."""
    begun: dict[str, float] = {}
    for line in lines:
        if line.kind == "restart":
            if line["phase"] == "begin":
                begun[line["name"]] = line.wall_ms
            else:
                yield Hit(line["name"], begun.pop(line["name"]), line.wall_ms)
    for name, begin in begun.items():
        yield Hit(name, begin, float("inf"))


def _hits_of(begin: Line, end: float) -> Iterator[Hit]:
    for name in begin["hurts"].split(","):
        yield Hit(name, begin.wall_ms, end, bool(begin.get("loses")))


def stalled_s(lines: Iterable[Line], begin: float, end: float) -> float:
    """Return how long the machine ran nobody between two times of its monotonic clock."""
    stalls = (line for line in lines if line.kind == "stall" and not line.get("process"))
    return sum(float(line["s"]) for line in stalls if begin < line.at < end + 1)
