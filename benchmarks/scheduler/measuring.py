"""Measuring several labs in turns."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.scheduler.simulated import SimulatedLab

ROUNDS = 15
EACH = 20
"""So many decisions of a lab, then of the next, so many times."""
_TURNS = 3
"""So often all of a lab is given to others before it is measured."""


@dataclass
class Times:
    """How long decisions of one kind took, in µs."""

    each_us: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """Note one."""
        self.each_us.append(seconds * 1e6)

    @property
    def median(self) -> float:
        """The median; not a number if nothing was measured."""
        return statistics.median(self.each_us) if self.each_us else float("nan")

    @property
    def p99(self) -> float:
        """What 99 % stay below."""
        ordered = sorted(self.each_us) or [float("nan")]
        return ordered[int(len(ordered) * 0.99)]


@dataclass
class Decisions:
    """What was measured of one lab."""

    freed: Times = field(default_factory=Times)
    submit: Times = field(default_factory=Times)
    waiting: Times = field(default_factory=Times)


def in_turns(measures: Sequence[Callable[[], None]], rounds: int = ROUNDS) -> None:
    """Call each in turn, as often as said, forth and back, so that all see the same machine."""
    for number in range(rounds):
        for measure in measures[:: 1 if number % 2 else -1]:
            measure()


def measure_decisions(labs: Sequence[SimulatedLab], rounds: int = ROUNDS) -> list[Decisions]:
    """Measure the decisions of labs in turns."""
    found = [Decisions() for _ in labs]
    pairs = list(zip(labs, found, strict=True))
    in_turns([lambda lab=lab: _mix(lab) for lab in labs], 1)  # type: ignore[misc]
    in_turns([lambda lab=lab, to=to: _measure(lab, to) for lab, to in pairs], rounds)  # type: ignore[misc]
    return found


def _mix(lab: SimulatedLab) -> None:
    # When a lab has just been filled, what is queued is only what could not be served, and some
    # users have more than others: it takes a few turns until shares are even.
    for _ in range(max(2_000, lab.size.queued, _TURNS * lab.size.resources)):
        lab.time_freed()


def _measure(lab: SimulatedLab, to: Decisions) -> None:
    for _ in range(EACH):
        passed, grants = lab.time_freed()
        if grants:
            to.freed.add(passed)
        to.submit.add(lab.time_submit())
        to.waiting.add(lab.time_waiting())
