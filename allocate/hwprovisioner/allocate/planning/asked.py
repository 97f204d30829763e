"""What is asked for: a host as one plain demand, a set as all requests that ask for the same."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sortedcontainers import SortedList

from hwprovisioner.allocate.demand import HostDemand, SetDemand
from hwprovisioner.allocate.matching import name_mismatch
from hwprovisioner.allocate.planning.inventory import Shape

_ANSWERS_KEPT = 100_000


@dataclass(slots=True, eq=False)
class HostClass:
    """All hosts that one plain demand asks for."""

    option: HostDemand
    by_name: bool
    shapes: int = 0
    """The bits of the shapes that match."""
    users: int = 0
    """How many request classes ask for it."""
    rivals: int = 0
    """The bits of the request classes that compete for what it asks for, as of a version."""
    rivals_at: int = -1
    answers: dict[tuple[str, Shape], bool] = field(default_factory=dict)
    """Whether a resource's name is right, for those that have been looked at."""

    def matches(self, name: str, shape: Shape) -> bool:
        """Say whether a resource, which is of a shape, is what is asked for."""
        return bool(self.shapes & 1 << shape.index) and self.admits(name, shape)

    def admits(self, name: str, shape: Shape) -> bool:
        """Say whether a resource of a shape that matches has a name that will do."""
        if not self.by_name:
            return True
        answer = self.answers.get((name, shape))
        if answer is None:
            if len(self.answers) >= _ANSWERS_KEPT:
                self.answers.clear()
            answer = not name_mismatch(self.option, shape.spec, name)
            self.answers[name, shape] = answer
        return answer


@dataclass(slots=True, eq=False)
class RequestClass:
    """All requests that ask for the same set."""

    key: str
    bit: int
    demand: SetDemand
    hosts: dict[str, tuple[HostClass, ...]]
    """By host, its options, the best first."""
    lone: tuple[HostClass, ...] = ()
    """The options of its only host; empty of a set."""
    awaits: int = 0
    """The bits of the shapes of which one more may help: of all that match, or of those that a set
    lacked when it was looked for last."""
    lack: int = 0
    """How many more of these there must be at least before a set is whole."""
    queued: int = 0
    spans: "SortedList[int]" = field(default_factory=SortedList)
    """How long the queued ones last at most that say so, in ms."""
    findable: dict[object, tuple[int, bool]] = field(default_factory=dict)
    """By scope, whether it can be found there, and as of which version of the inventory."""

    @property
    def least_cpus(self) -> int:
        """The fewest processors that one of its hosts may do with."""
        return min(option.option.cpus.low or 0 for option in self.options)

    @property
    def options(self) -> Iterable[HostClass]:
        """Return the options of all hosts, each once."""
        return dict.fromkeys(option for options in self.hosts.values() for option in options)


def shapes_of(options: Iterable[HostClass]) -> int:
    """Return the bits of the shapes that match one of some options, but for those by name."""
    mask = 0
    for option in options:
        if not option.option.resource:
            mask |= option.shapes
    return mask


def any_shape(options: Iterable[HostClass]) -> int:
    """Return the bits of the shapes that match one of some options."""
    mask = 0
    for option in options:
        mask |= option.shapes
    return mask
