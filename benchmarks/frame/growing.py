"""What an operation costs by how much there is: the processor time of all services together.

Processor time, unlike time, hardly changes with what else a machine does.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.frame import machine
from benchmarks.frame.case import Case, Need, Opening, Wanted
from benchmarks.frame.stage import Stage


@dataclass(frozen=True)
class Theory:
    """How costs should grow."""

    words: str
    at: Callable[[float], float]
    """In any unit: it is drawn through the first point."""


CONSTANT = Theory("constant", lambda size: 1.0)
LINEAR = Theory("proportional", lambda size: size)


def logarithmic(part: float) -> Theory:
    """Return costs of which a part, where there are 100, grows with the logarithm."""
    return Theory("logarithmic", lambda size: 1 - part + part * math.log2(size) / math.log2(100))


@dataclass(frozen=True)
class Growth:
    """A figure by how much there is of something."""

    of: str
    """What there is more and more of."""
    what: str
    """What costs."""
    sizes: Sequence[int]
    theory: Theory

    def reading(self, size: int) -> str:
        """Return the name of the reading at a size."""
        return f"{self.what} at {size:,} {self.of}"


def case(name: str, growth: Growth, opening: Opening, needs: Sequence[Need] = ()) -> Case:
    """Return the case that measures a growth; its sides give the readings of all sizes."""
    least, most = growth.sizes[0], growth.sizes[-1]
    readings = {size: growth.reading(size) for size in growth.sizes}
    return Case(
        name=name,
        what=f"{growth.what}, by {growth.of}; expected: {growth.theory.words}",
        wanted=(
            *(Wanted(name=each, of=each) for each in readings.values()),
            Wanted(name=f"at {most:,} / at {least:,}", of=readings[most], to=readings[least]),
        ),
        needs=needs,
        open=opening,
        full=True,
        growth=growth,
        rounds=3,
    )


def used_s(stage: Stage, names: Iterable[str]) -> float:
    """Return the processor time that processes of a stage have used so far, in s."""
    processes = machine.sample().processes
    named: Mapping[str, int] = stage.named
    family = machine.descendants(processes, [named[name] for name in names])
    assert os.getpid() not in family
    return sum(processes[pid].own_s for pid in family)
