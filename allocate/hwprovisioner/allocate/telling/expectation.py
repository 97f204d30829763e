"""When a request that waits is expected to be granted. Pure: equal arguments, equal answers.

Those who have what it waits for are through one after the other, and whoever is before it takes
what they give back, and has it for a while. This is played through a number of times, each span
drawn from the spans that were seen: of those that have lasted for a while already, from the longer
ones. The times that come out are a distribution, of which the middle and the 90 % are told. (To
take the middle of each span would tell nothing of the first of several, who is through long before
the middle.)
"""

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

HOLDERS = 500
"""So many of those who have something are looked at; of more, a sample."""
_RELEASES = 500
"""So many are counted one by one; after that, as many come in a time as before."""
_EFFORT = 8_000
"""So many spans are drawn: the more there are in one play, the less chance matters in it."""
_LEAST_DRAWS, _MOST_DRAWS = 15, 101
MIDDLE, LIKELY = 0.5, 0.9
_MINUTE_MS = 60_000
_STEPS = ((10, 0.5), (60, 1), (240, 5), (1440, 15))
"""Up to so many minutes ahead, times are rounded up to so many minutes."""
_COARSEST = 60.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever has something that others wait for."""

    since_ms: int
    ends_ms: int = 0
    """When it has ended at the latest; 0 if nobody knows."""
    spans: Sequence[int] = ()
    """How long such as this have lasted, in ms, sorted; empty if nothing is known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """When something is expected, in ms since the epoch; 0 if nothing is known that would tell."""

    middle_ms: int = 0
    """As likely before as after."""
    likely_ms: int = 0
    """By then with a likelihood of 90 %."""


_Rest = tuple[float, Sequence[int], int, int, float]
"""How much longer a holder may last: at most so long, and as one of the spans from a place on, so
many of them, less what it has lasted."""


class Releases:
    """When what is in use is given back, the first of it, the second, and so on."""

    def __init__(
        self,
        holders: Sequence[Holder],
        spans: Sequence[int],
        now_ms: int,
        furthest: int,
        share: float = 1.0,
    ) -> None:
        """Play it through.

        Args:
            holders: those who have it, at most `HOLDERS`, in an order that does not change.
            spans: how long those last who take what is given back, in ms; empty if unknown.
            now_ms: now, in ms since the epoch.
            furthest: so many releases will be asked for at most.
            share: what part of those who have it `holders` are.
        """
        self._now_ms = now_ms
        self._share = share
        self._count = min(_RELEASES, max(1, math.ceil(furthest * share)))
        draws = _EFFORT // (len(holders) + self._count + 1)
        draws = min(_MOST_DRAWS, max(_LEAST_DRAWS, draws))
        # The same numbers each time: what is told changes with what has happened, not by chance.
        chance = random.Random(draws)  # noqa: S311  # nothing is kept secret with it
        rests = [_rest_of(holder, now_ms) for holder in holders]
        self._runs = [self._run(rests, spans, chance) for _ in range(draws if holders else 0)]
        self._ordered: dict[int, list[float]] = {}
        """The times of a release in all plays, in order, where they were asked for."""

    def nth(self, number: int) -> Expected:
        """Return when the `number`-th release, from 1, is expected."""
        place = max(1, math.ceil(number * self._share))
        near = min(place, self._count)
        times = self._ordered.get(near)
        if times is None:
            times = self._ordered[near] = sorted(run[near - 1] for run in self._runs)
        # Far ahead, chance evens out.
        further = place / near
        return Expected(
            self._instant(times, MIDDLE, further), self._instant(times, LIKELY, further)
        )

    def _instant(self, times: Sequence[float], share: float, further: float) -> int:
        if not times:
            return 0
        time = times[min(len(times) - 1, math.ceil(share * len(times)) - 1)] * further
        return 0 if math.isinf(time) else self._now_ms + max(1, int(time))

    def _run(
        self, rests: Sequence[_Rest], spans: Sequence[int], chance: random.Random
    ) -> list[float]:
        """Return the times from now at which something is given back, in order."""
        number, draw = len(spans), chance.random
        ends = [
            min(latest, seen[first + int(draw() * longer)] - lasted)
            for latest, seen, first, longer, lasted in rests
        ]
        heapq.heapify(ends)
        released: list[float] = []
        for _ in range(self._count):
            first = ends[0]
            released.append(first)
            after = first + spans[int(draw() * number)] if number else math.inf
            heapq.heapreplace(ends, after)
        return released


def _rest_of(holder: Holder, now_ms: int) -> _Rest:
    latest: float = max(0, holder.ends_ms - now_ms) if holder.ends_ms else math.inf
    spans, lasted = holder.spans, max(0, now_ms - holder.since_ms)
    if not spans:
        return latest, (0,), 0, 1, -latest
    first = bisect_right(spans, lasted)
    if first == len(spans):
        # It has lasted longer than all that were seen: nothing tells how much is left of it.
        return latest, spans, 0, len(spans), 0
    return latest, spans, first, len(spans) - first, lasted


def rounded(instant_ms: int, now_ms: int) -> int:
    """Return an instant rounded up, the coarser the further it is, 0 for 0."""
    if not instant_ms:
        return 0
    minutes = (instant_ms - now_ms) / _MINUTE_MS
    step = next((step for limit, step in _STEPS if minutes <= limit), _COARSEST)
    step_ms = int(step * _MINUTE_MS)
    return -(-instant_ms // step_ms) * step_ms
