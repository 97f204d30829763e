"""Which faults come when: a pure function of the seed."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: The lab works undisturbed for so long at first, and has so long to come back at last.
QUIET_S = (1.0, 3.0)
PAUSES_S = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault to come.

    Attributes:
        at_s: since the beginning.
        kind: of the registry.
        target: which of the things that it can hit, from 0 to below 1.
        span_s: how long it lasts.
    """

    at_s: float
    kind: str
    target: float
    span_s: float


def planned(
    seed: int, seconds: float, spans: Mapping[str, tuple[float, float]]
) -> Iterator[Planned]:
    """Yield the faults of a run, in order.

    Each kind comes once before any comes twice.

    Args:
        seed: decides everything.
        seconds: how long the run is.
        spans: the shortest and the longest of each kind, in s.
    """
    chance = random.Random(f"faults/{seed}")
    at_s, rest = QUIET_S[0], list[str]()
    while spans and at_s < seconds - QUIET_S[1]:
        rest = rest or chance.sample(sorted(spans), len(spans))
        kind = rest.pop()
        yield Planned(at_s, kind, chance.random(), chance.uniform(*spans[kind]))
        at_s += chance.uniform(*PAUSES_S)
