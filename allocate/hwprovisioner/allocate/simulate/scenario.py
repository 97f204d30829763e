"""What is simulated: a lab, the streams of requests that come to it, and its policy. Values."""

from dataclasses import dataclass
from enum import StrEnum

from hwprovisioner.allocate.demand import SetDemand, Spec
from hwprovisioner.allocate.policy import Policy


class Law(StrEnum):
    """How a span of time is drawn."""

    FIXED = "fixed"
    UNIFORM = "uniform"
    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long the allocations of a stream last."""

    law: Law
    first_ms: int
    """The span, the shortest, the mean, or the median, as the law has it."""
    second_ms: int = 0
    """The longest of a uniform one."""
    sigma: float = 0.0
    """Of a lognormal one: how far the logarithms are spread."""
    most_ms: int = 0
    """What is drawn longer is cut to that; 0 for no limit."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the requests of a stream come, in ms from the beginning of the day."""

    from_ms: int
    until_ms: int
    limit: int = 0
    """No more requests than that, 0 for any number."""
    every_ms: int = 0
    per_hour: float = 0.0
    """On average, at random (a Poisson process)."""
    at_ms: tuple[int, ...] = ()
    at_once: int = 1
    """So many at each of `at_ms`."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one user for the same."""

    name: str
    user: str
    priority: int
    """What counts, within the bounds of the policy."""
    key: str
    """What is asked for as text: equal texts are one matching class."""
    demand: SetDemand
    arrivals: Arrivals
    lasting: Lasting
    declared_ms: int = 0
    """What each says that it lasts at most, 0 for nothing."""
    is_exact: bool = False
    """Each says how long it will really last."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A resource, and the time it takes before and after each use."""

    name: str
    group: str
    spec: Spec
    prepare_ms: int = 0
    clean_ms: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A lab and a day."""

    duration_ms: int
    seed: int
    machines: tuple[Machine, ...]
    streams: tuple[Stream, ...]
    policy: Policy
