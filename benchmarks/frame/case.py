"""What is measured, what it is compared to, and what it should be."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from benchmarks.frame.growing import Growth
    from benchmarks.frame.stage import Stage

_TOP = Path(__file__).resolve().parents[2]


class Reading(NamedTuple):
    """Something measured once."""

    value: float
    unit: str
    where: str
    """File and line that measured it."""


def reading(value: float, unit: str) -> Reading:
    """Return what the calling line has measured."""
    frame = sys._getframe(1)
    file = Path(frame.f_code.co_filename)
    if file.is_relative_to(_TOP):
        file = file.relative_to(_TOP)
    return Reading(float(value), unit, f"{file}:{frame.f_lineno} {frame.f_code.co_qualname}")


Readings = Mapping[str, Reading]
Side = Callable[[], Readings]
"""Measures once. Names of readings are those of the case: no two sides give the same one."""


@dataclass(frozen=True)
class Fresh:
    """A side that has to be prepared before each round, which is no part of what is measured."""

    prepare: Callable[[], None]
    measure: Side

    def __call__(self) -> Readings:
        """Measure once, after `prepare`."""
        return self.measure()


class NotMeasured(Exception):
    """Why something cannot be measured here, and what would help."""


class Need(Protocol):
    """Something that not every machine has."""

    def missing(self) -> str:
        """Return what to do to have it; empty if it is there."""

    def prepare(self) -> None:
        """Get it if that is ours to do, before a full run."""


@dataclass(frozen=True)
class Program:
    """A program on PATH."""

    name: str
    install: str

    def missing(self) -> str:
        """Return how to install it; empty if it is there."""
        return "" if shutil.which(self.name) else f"no {self.name}: {self.install}"

    def prepare(self) -> None:
        """Do nothing: what is installed on this machine is its owner's business."""


H2LOAD = Program("h2load", "apt-get install nghttp2-client")
ETCD = Program("etcd", "apt-get install etcd-server")
REDIS_BENCHMARK = Program("redis-benchmark", "apt-get install redis-tools")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A figure: a reading by itself, or divided by another of the same round.

    Attributes:
        of: the reading, which is ours.
        to: that of a floor or a peer.
        at_most, at_least: what is wanted; with neither the figure is only told.
        words: what the requirement says.
        needs: without these it is not measured.
        full: a short run (`--quick`) leaves it out.
    """

    name: str
    of: str
    to: str = ""
    at_most: float | None = None
    at_least: float | None = None
    words: str = ""
    needs: Sequence[Need] = ()
    full: bool = False


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: so many quiet ones are needed.
        spare: so many more are tried if some are disturbed.
        seconds: for which a side makes load.
        quick: everything is as small as it can be.
        tolerant: disturbed rounds count, too: for whoever works on a case on a busy machine.
    """

    rounds: int = 5
    spare: int = 5
    seconds: float = 3.0
    quick: bool = False
    tolerant: bool = False

    def pick(self, full: int, quick: int) -> int:
        """Return how many, by how much is measured."""
        return quick if self.quick else full


QUICK = Effort(rounds=3, spare=1, seconds=0.5, quick=True)


Opening = Callable[["Stage", Effort], AbstractContextManager[Mapping[str, Side]]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Figures that are measured side by side, with everything they need running.

    Attributes:
        open: starts what is needed on the stage, and gives the sides until its block ends. A side
            that cannot be measured on this machine is left out.
        needs: without these nothing of the case is measured.
        full: a short run (`--quick`) leaves it out.
        growth: it is drawn as a curve.
        rounds: so many at most, where nothing is judged.
    """

    name: str
    what: str
    wanted: Sequence[Wanted]
    open: Opening
    needs: Sequence[Need] = ()
    full: bool = False
    growth: "Growth | None" = None
    rounds: int | None = None
