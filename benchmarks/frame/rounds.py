"""Rounds: each side once, forth and back, and who used the processors meanwhile."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.frame import machine
from benchmarks.frame.case import Effort, Fresh, Reading, Readings, Side
from benchmarks.frame.machine import Load

_QUIET_LIMIT_S, _QUIET_LOOK_S = 6.0, 0.5
_SETTLE_LIMIT_S, _SETTLE_LOOK_S = 5.0, 0.1
_IDLE_CORES = 0.1


class Processes(Protocol):
    """Those whose share is told."""

    named: dict[str, int]
    spent_s: dict[str, float]
    """What those have used that have ended, by name, in s."""


@dataclass(frozen=True)
class Round:
    """What was measured side by side."""

    sides: Mapping[str, Readings]
    loads: Mapping[str, Load] = field(default_factory=dict)
    tolerated: bool = False
    """It counts whatever others did."""

    @property
    def disturbed(self) -> bool:
        """Others used the machine while a side was measured."""
        return not self.tolerated and any(load.disturbed for load in self.loads.values())

    @property
    def readings(self) -> dict[str, Reading]:
        """All readings by name."""
        return {name: each for side in self.sides.values() for name, each in side.items()}

    def side_of(self, name: str) -> str:
        """Return the side that gave a reading."""
        return next(side for side, given in self.sides.items() if name in given)


def rounds(sides: Mapping[str, Side], processes: Processes, effort: Effort) -> Iterator[Round]:
    """Measure until there are enough quiet rounds, or no more are to be spared.

    Args:
        sides: what is measured.
        processes: whose share is told.
        effort: how many rounds.
    """
    quiet = 0
    for number in range(effort.rounds + effort.spare):
        found = _take(sides, processes, effort, is_back=bool(number % 2))
        yield found
        quiet += not found.disturbed
        if quiet == effort.rounds:
            return
        if found.disturbed and not effort.quick:
            _wait_quiet()


def _take(sides: Mapping[str, Side], processes: Processes, effort: Effort, is_back: bool) -> Round:
    readings: dict[str, Readings] = {}
    loads: dict[str, Load] = {}
    for name, side in list(sides.items())[:: -1 if is_back else 1]:
        if isinstance(side, Fresh):
            side.prepare()
        _settle()
        spent_s, before = dict(processes.spent_s), machine.sample()
        readings[name] = side()
        after = machine.sample()
        ended_s = {who: s - spent_s.get(who, 0.0) for who, s in processes.spent_s.items()}
        loads[name] = machine.load_between(before, after, os.getpid(), processes.named, ended_s)
    return Round({name: readings[name] for name in sides}, loads, effort.tolerant)


def _settle() -> None:
    """Wait until our own processes are done with what the last side left them to do."""
    _look(lambda load: load.ours <= _IDLE_CORES, _SETTLE_LOOK_S, _SETTLE_LIMIT_S)


def _wait_quiet() -> None:
    """Wait until others leave the machine alone, but not for ever."""
    _look(lambda load: not load.disturbed, _QUIET_LOOK_S, _QUIET_LIMIT_S)


def _look(is_well: Callable[[Load], bool], each_s: float, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    before = machine.sample()
    while time.monotonic() < deadline:
        time.sleep(each_s)
        after = machine.sample()
        if is_well(machine.load_between(before, after, os.getpid(), {})):
            return
        before = after
