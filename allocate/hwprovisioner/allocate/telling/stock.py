"""How the resources that match stand, counted by shape. Pure."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning.asked import HostClass
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.inventory import Shape, bits
from hwprovisioner.allocate.planning.keeping import Keeper
from hwprovisioner.allocate.planning.wish import Scope, Wish

FREE = "free"
IN_USE = "in use"
KEPT = "kept for a set whose turn it is"
FAILED = "failed it before"
_TOO_LITTLE = "with too little free"
_ROOMS = 64
"""Of so many shared resources with something free, the roomiest, it is told what is too little."""
_NAMES = 1_000
"""So many resources are looked at one by one where it matters what they are called."""
_BOOKED = 256


@dataclass(frozen=True, slots=True)
class Matching:
    """What matches some options: shapes, and resources that matter by name."""

    shapes: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How many resources match, and how they stand."""

    total: int
    states: Mapping[str, int]
    """None of them is 0."""
    booked: int = 0
    """So many could be had but for a booking."""
    booked_ms: int = 0
    """From when the first of them is booked."""


class Stock:
    """The resources as they are now."""

    def __init__(self, finder: Finder, keepers: Mapping[str, Keeper]) -> None:
        """Look at what `finder` finds in, of which `keepers` keep some."""
        self._finder = finder
        self._inventory = finder.classes.inventory
        self._kept = {name for keeper in keepers.values() for name in keeper.names}
        self._kept_of = Counter(self._inventory.shape_of(name).index for name in self._kept)

    def matching(self, options: Sequence[HostClass]) -> Matching:
        """Return what matches one of some options of a host."""
        shapes, names = 0, dict[str, None]()
        for option in options:
            if not option.by_name:
                shapes |= option.shapes
            elif len(names) < _NAMES:
                names |= dict.fromkeys(itertools.islice(self._by_name(option), _NAMES))
        return Matching(shapes, tuple(n for n in names if not shapes & self._bit_of(n)))

    def available(self, matching: Matching) -> int:
        """Return how many resources are free, or kept for somebody."""
        count = 0
        for index in bits(matching.shapes):
            shape = self._inventory.shapes[index]
            count += len(shape.free) + len(shape.roomy) + self._kept_of[index]
        return count + sum(self.state_of(name) in (FREE, KEPT) for name in matching.names)

    def in_use(self, matching: Matching, most: int) -> tuple[list[str], int]:
        """Return the names of at most so many of what is in use, be it in part, and how many are.

        Of shared resources, those of which nothing is in use count as well.
        """
        shapes = [self._inventory.shapes[index] for index in bits(matching.shapes)]
        names = itertools.chain((n for shape in shapes for n in shape.names), matching.names)
        found = list(itertools.islice((n for n in names if self._is_used(n)), most))
        if len(found) < most:
            return found, len(found)
        free = sum(len(shape.free) + sum(shape.closed.values()) for shape in shapes)
        return found, sum(len(shape.names) for shape in shapes) + len(matching.names) - free

    def count(self, options: Sequence[HostClass], wish: Wish, others: Mapping[str, str]) -> Count:
        """Count how what matches a host stands.

        Args:
            options: of the host.
            wish: the request, with what it keeps itself in `also`.
            others: how some resources stand for this request only.
        """
        matching = self.matching(options)
        states = Counter(self.state_of(name) for name in matching.names)
        for index in bits(matching.shapes):
            states.update(self._states_of(self._inventory.shapes[index]))
        total = sum(states.values())
        special = dict(others) | dict.fromkeys(wish.excluded, FAILED)
        full, more = self._too_full(options, matching, special)
        special |= full
        states[FREE] -= more
        states[_TOO_LITTLE] += more
        for name, state in special.items():
            if self._is_in(name, matching):
                states[self.state_of(name)] -= 1
                states[state] += 1
        booked = list(self._booked(options, matching, special, wish))
        states[FREE] -= len(booked)
        left = {state: number for state, number in states.items() if number > 0}
        return Count(total, left, len(booked), min(booked, default=0))

    def state_of(self, name: str) -> str:
        """Return how a resource stands: why it is closed, free, kept or in use."""
        standing = self._inventory.standing(name)
        if standing.closed:
            return standing.closed
        if name in self._kept:
            return KEPT
        return FREE if self._inventory.is_open(name) else IN_USE

    def _states_of(self, shape: Shape) -> Mapping[str, int]:
        free = len(shape.free) + len(shape.roomy)
        kept = self._kept_of[shape.index]
        used = len(shape.names) - sum(shape.closed.values()) - free - kept
        return shape.closed | Counter({FREE: free, KEPT: kept, IN_USE: used})

    def _too_full(
        self, options: Sequence[HostClass], matching: Matching, special: Mapping[str, str]
    ) -> tuple[dict[str, str], int]:
        """Return which shared resources have something free, but too little, and how many more."""
        found: dict[str, str] = {}
        more = 0
        for index in bits(matching.shapes & self._inventory.divisible & self._inventory.open):
            shape = self._inventory.shapes[index]
            wanted = [each.option for each in options if each.shapes & 1 << index]
            names = [name for _, name in itertools.islice(reversed(shape.roomy), _ROOMS)]
            short = {name: self._shortage(name, wanted) for name in names if name not in special}
            found |= {name: reason for name, reason in short.items() if reason}
            if all(short.values()):
                more += len(shape.roomy) - len(names)
        return found, more

    def _shortage(self, name: str, wanted: Sequence[HostDemand]) -> str:
        room = self._inventory.standing(name).room
        short = [room.shortage(option) for option in wanted]
        return short[0] if all(short) else ""

    def _booked(
        self,
        options: Sequence[HostClass],
        matching: Matching,
        special: Mapping[str, str],
        wish: Wish,
    ) -> Iterator[int]:
        """Return from when those are booked that could be had otherwise."""
        for name, booked in itertools.islice(self._finder.booked.items(), _BOOKED):
            if name in special or not self._is_in(name, matching) or self.state_of(name) != FREE:
                continue
            room = self._finder.room(wish, Scope.OPEN, name)
            if not any(room.share_for(each.option) for each in options):
                yield min(each.from_ms for each in booked if each.until_ms > wish.now_ms)

    def _by_name(self, option: HostClass) -> Iterator[str]:
        if name := option.option.resource:
            if name in self._inventory and option.shapes & self._bit_of(name):
                if option.admits(name, self._inventory.shape_of(name)):
                    yield name
            return
        for index in bits(option.shapes):
            shape = self._inventory.shapes[index]
            yield from (name for name in shape.names if option.admits(name, shape))

    def _is_in(self, name: str, matching: Matching) -> bool:
        if name not in self._inventory:
            return False
        return bool(matching.shapes & self._bit_of(name)) or name in matching.names

    def _is_used(self, name: str) -> bool:
        standing = self._inventory.standing(name)
        return not standing.closed and standing.room.slots < standing.room.spec.slots

    def _bit_of(self, name: str) -> int:
        return 1 << self._inventory.shape_of(name).index
