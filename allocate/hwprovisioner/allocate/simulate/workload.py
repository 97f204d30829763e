"""Draws the requests of a day from a seed: equal scenarios and seeds give equal days. Pure.

Each stream has a source of chance of its own, so that a change of one stream leaves the others as
they were.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from hwprovisioner.allocate.simulate.scenario import Arrivals, Lasting, Law, Scenario, Stream

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Job:
    """A request, and how long it would last."""

    id: str
    stream: Stream
    submit_ms: int
    """From the beginning of the day."""
    lasts_ms: int
    max_ms: int
    """From its grant on, as it is declared or as the policy has it; 0 for not known."""
    turn: int

    @property
    def hosts(self) -> int:
        """How many it asks for."""
        return len(self.stream.demand.hosts)

    def held_ms(self, prepare_ms: int) -> int:
        """Return how long it holds what it was granted, given the time until that is ready."""
        whole = prepare_ms + self.lasts_ms
        return min(whole, self.max_ms) if self.max_ms else whole


def jobs_of(scenario: Scenario, seed: int) -> list[Job]:
    """Return all requests of a day, in the order in which they come."""
    slowest_ms = max((machine.prepare_ms for machine in scenario.machines), default=0)
    drawn = [
        (submit_ms, place, number, lasts_ms)
        for place, stream in enumerate(scenario.streams)
        for number, (submit_ms, lasts_ms) in enumerate(_drawn(stream, seed))
        if submit_ms < scenario.duration_ms
    ]
    jobs = []
    for turn, (submit_ms, place, number, lasts_ms) in enumerate(sorted(drawn), 1):
        stream = scenario.streams[place]
        declared_ms = lasts_ms + slowest_ms if stream.is_exact else stream.declared_ms
        max_ms = scenario.policy.max_ms_of(declared_ms)
        jobs.append(Job(f"{stream.name}-{number + 1}", stream, submit_ms, lasts_ms, max_ms, turn))
    return jobs


def _drawn(stream: Stream, seed: int) -> Iterator[tuple[int, int]]:
    chance = random.Random(f"{seed}/{stream.name}")  # noqa: S311
    limit = stream.arrivals.limit
    for count, submit_ms in enumerate(_arrivals(stream.arrivals, chance)):
        if limit and count >= limit:
            return
        yield submit_ms, _lasts(stream.lasting, chance)


def _arrivals(arrivals: Arrivals, chance: random.Random) -> Iterator[int]:
    for at_ms in arrivals.at_ms:
        yield from [at_ms] * arrivals.at_once
    if arrivals.every_ms:
        yield from range(arrivals.from_ms, arrivals.until_ms, arrivals.every_ms)
    if arrivals.per_hour:
        now_ms = arrivals.from_ms + chance.expovariate(arrivals.per_hour) * _HOUR_MS
        while now_ms < arrivals.until_ms:
            yield int(now_ms)
            now_ms += chance.expovariate(arrivals.per_hour) * _HOUR_MS


def _lasts(lasting: Lasting, chance: random.Random) -> int:
    match lasting.law:
        case Law.FIXED:
            drawn: float = lasting.first_ms
        case Law.UNIFORM:
            drawn = chance.uniform(lasting.first_ms, lasting.second_ms)
        case Law.EXPONENTIAL:
            drawn = chance.expovariate(1 / lasting.first_ms)
        case Law.LOGNORMAL:
            drawn = chance.lognormvariate(math.log(lasting.first_ms), lasting.sigma)
    longest = lasting.most_ms or math.inf
    return max(1, round(min(drawn, longest)))
