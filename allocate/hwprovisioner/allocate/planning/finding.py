"""Finding resources for a request: what is open now or free in time, comes back, or is at all.

A host never needs more candidates than the set has hosts: were all others placed on some of them,
one is left. So what is looked at depends on the request, not on the lab.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hwprovisioner.allocate.demand import Relation, RelationKind
from hwprovisioner.allocate.planning.asked import HostClass, RequestClass, any_shape
from hwprovisioner.allocate.planning.booked import Booked, room_during
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.inventory import Held, Shape, bits
from hwprovisioner.allocate.planning.placement import Candidate, Placed, Placement, place
from hwprovisioner.allocate.planning.relating import Ways
from hwprovisioner.allocate.planning.wish import Scope, Wish
from hwprovisioner.allocate.room import Room

_RANKED = 256
"""Among so many open shapes the best is looked for; of more, among the first ones."""
_ALL = -1


@dataclass(slots=True)
class Finder:
    """Finds resources in an inventory."""

    classes: Classes
    booked: dict[str, tuple[Booked, ...]] = field(default_factory=dict)
    """By resource, what has been booked of it."""
    held: Callable[[str], Sequence[Held]] = lambda name: ()
    """Tells what is in use of a resource."""
    turnover: Callable[[str], int] = lambda name: 0
    """Tells how long it takes after a use until a resource is clean, in ms."""

    def free_again(self, name: str, ends_ms: int) -> int:
        """Return when a resource can be used again after a use that ends then, 0 if unknown."""
        return ends_ms and ends_ms + self.turnover(name)

    def find(self, wish: Wish, scope: Scope = Scope.OPEN) -> Mapping[str, Placed] | None:
        """Return where all hosts of a request would be, None if they cannot all be."""
        if wish.asked.lone and not wish.asked.demand.relations:
            [host] = wish.asked.hosts
            placed = self._place_one(wish, scope)
            return None if placed is None else {host: placed}
        placement = self.place(wish, scope)
        return placement.placed if placement.is_whole else None

    def place(self, wish: Wish, scope: Scope = Scope.OPEN) -> Placement:
        """Place as many hosts of a request as can be."""
        relations = wish.asked.demand.relations
        alike = [each for each in relations if each.kind is RelationKind.SAME]
        others = [each for each in relations if each.kind is not RelationKind.SAME]
        also = (*wish.also, *wish.behind) if scope is Scope.OPEN else None
        best = Placement(lambda name: self.room(wish, scope, name), _none(wish.asked))
        for masks in Ways(self.classes.inventory, wish.asked, alike, also):
            placement = self._place(wish, scope, masks, others)
            if placement.is_whole:
                return placement
            best = max(best, placement, key=lambda each: len(each.placed))
        return best

    def _place_one(self, wish: Wish, scope: Scope) -> Placed | None:
        inventory = self.classes.inventory
        is_simple = scope is Scope.OPEN and wish.is_simple and not self.booked
        for option in wish.asked.lone:
            if is_simple and not (option.by_name or option.shapes & inventory.divisible):
                # Most are so; then it is the first of what is open.
                for shape in self._preferred(option.shapes & inventory.open):
                    assert shape.whole is not None
                    return Placed(next(iter(shape.free)), shape.whole)
            elif placed := self._first_of(wish, option, scope):
                return placed
        return None

    def _first_of(self, wish: Wish, option: HostClass, scope: Scope) -> Placed | None:
        for name, shape in self._names(wish, option, scope, _ALL):
            if self._will_do(wish, option, scope, name, shape):
                share = self.room(wish, scope, name).share_for(option.option)
                assert share is not None
                return Placed(name, share)
        return None

    def candidates(self, wish: Wish, options: Sequence[HostClass], count: int) -> list[Candidate]:
        """Return at most `count` of what is open for a host, the best first."""
        return self._candidates(wish, options, Scope.OPEN, count, _ALL)

    def has_open(self, asked: RequestClass, kept: Iterable[str] = ()) -> bool:
        """Say whether anything is open, or one of those kept, that matches one of the hosts."""
        inventory = self.classes.inventory
        open_now = inventory.open
        for name in kept:
            open_now |= 1 << inventory.shape_of(name).index
        return any(any_shape(options) & open_now for options in asked.hosts.values())

    def lacks_open(self, asked: RequestClass) -> list[str]:
        """Return the hosts for which nothing at all is open."""
        open_now = self.classes.inventory.open
        return [h for h, options in asked.hosts.items() if not any_shape(options) & open_now]

    def room(self, wish: Wish, scope: Scope, name: str) -> Room:
        """Return what a request could have of a resource."""
        standing = self.classes.inventory.standing(name)
        if scope in (Scope.COMING, Scope.EVER):
            return Room.whole(standing.room.spec)
        booked, is_now = self.booked.get(name, ()), scope is Scope.OPEN
        if is_now and not booked:
            return standing.room
        others = [each for each in booked if each.allocation != wish.booking]
        held, span = self.held(name), (wish.now_ms, self.free_again(name, wish.ends_ms))
        return room_during(standing.room, held, others, *span, from_now=is_now)

    def _place(
        self, wish: Wish, scope: Scope, masks: Mapping[str, int], relations: Sequence[Relation]
    ) -> Placement:
        apart = {host: each.label for each in relations for host in each.hosts}
        count = len(wish.asked.hosts)
        found: dict[tuple[object, ...], list[Candidate]] = {}
        candidates = {}
        for host, options in wish.asked.hosts.items():
            among = options, masks.get(host, _ALL), apart.get(host, "")
            if among not in found:
                found[among] = self._candidates(wish, options, scope, count, *among[1:])
            candidates[host] = found[among]
        return place(candidates, lambda name: self.room(wish, scope, name), relations)

    def _candidates(
        self,
        wish: Wish,
        options: Sequence[HostClass],
        scope: Scope,
        count: int,
        mask: int,
        apart: str = "",
    ) -> list[Candidate]:
        """Return at most `count` resources for a host, the best first.

        With a label in `apart`, so many of them that have different values.
        """
        found: list[Candidate] = []
        names, values = set[str](), set[str]()
        for option in options:
            for name, shape in self._names(wish, option, scope, mask):
                if self._will_do(wish, option, scope, name, shape):
                    found.append((name, option.option))
                    names.add(name)
                    values.update(v for label, v in shape.spec.labels if label == apart)
                    if len(names) >= count and (not apart or len(values) >= count):
                        return found
        return found

    def _will_do(
        self, wish: Wish, option: HostClass, scope: Scope, name: str, shape: Shape
    ) -> bool:
        if name in wish.excluded or not option.admits(name, shape):
            return False
        if shape.spec.division is None and not self.booked and scope is not Scope.THEN:
            return True
        return self.room(wish, scope, name).share_for(option.option) is not None

    def _names(
        self, wish: Wish, option: HostClass, scope: Scope, mask: int
    ) -> Iterator[tuple[str, Shape]]:
        inventory = self.classes.inventory
        within = option.shapes & mask
        own = [option.option.resource] if option.option.resource else wish.reserved
        for name in own:
            if name in inventory and self._is_within(wish, scope, name):
                shape = inventory.shape_of(name)
                if within & 1 << shape.index:
                    yield name, shape
        if option.option.resource:
            return
        yield from self._shut(wish.also, within)
        yield from self._of_shapes(option, scope, within)
        yield from self._shut(wish.behind, within)

    def _shut(self, names: Iterable[str], within: int) -> Iterator[tuple[str, Shape]]:
        inventory = self.classes.inventory
        for name in names:
            shape = inventory.shape_of(name)
            if within & 1 << shape.index and not inventory.is_open(name):
                yield name, shape

    def _of_shapes(
        self, option: HostClass, scope: Scope, within: int
    ) -> Iterator[tuple[str, Shape]]:
        if scope is Scope.OPEN:
            within = self._roomy(within & self.classes.inventory.open, option.option.cpus.low or 0)
        shapes = self._preferred(within)
        if scope is Scope.THEN:
            yield from self._unused_first(list(shapes))
            return
        for shape in shapes:
            for name in _of_shape(shape, option, scope):
                yield name, shape

    def _roomy(self, within: int, cpus: int) -> int:
        """Leave out the shapes of which no shared machine has so many processors free."""
        for index in bits(within & self.classes.inventory.divisible):
            roomy = self.classes.inventory.shapes[index].roomy
            if not roomy or roomy[-1][0] < cpus:
                within &= ~(1 << index)
        return within

    def _unused_first(self, shapes: Sequence[Shape]) -> Iterator[tuple[str, Shape]]:
        """Return what neither is in use nor booked, then the rest."""
        for wants_used in (False, True):
            for shape in shapes:
                for name in shape.names:
                    if name not in shape.away and self._is_used(name) is wants_used:
                        yield name, shape

    def _is_used(self, name: str) -> bool:
        room = self.classes.inventory.standing(name).room
        return name in self.booked or room.slots < room.spec.slots

    def _is_within(self, wish: Wish, scope: Scope, name: str) -> bool:
        if scope is Scope.OPEN:
            is_shut = name not in wish.also and name not in wish.behind
            return not is_shut or self.classes.inventory.is_open(name)
        return scope is Scope.EVER or self.classes.inventory.standing(name).can_open

    def _preferred(self, mask: int) -> Iterator[Shape]:
        """Return shapes: what the fewest others need first, then the plainest."""
        shapes = self.classes.inventory.shapes
        if not mask & (mask - 1):
            if mask:
                yield shapes[mask.bit_length() - 1]
            return
        places = bits(mask)
        first = [shapes[place] for place in itertools.islice(places, _RANKED)]
        need = self.classes.need
        first.sort(key=lambda shape: (need(shape), shape.plainness, shape.index))
        yield from first
        yield from (shapes[place] for place in places)


def _of_shape(shape: Shape, option: HostClass, scope: Scope) -> Iterator[str]:
    if scope is Scope.EVER:
        yield from shape.names
    elif scope is Scope.COMING:
        yield from (name for name in shape.names if name not in shape.away)
    elif shape.spec.division is None:
        yield from shape.free
    else:
        low = option.option.cpus.low or 0
        # The tightest first.
        for _, name in shape.roomy.irange(minimum=(low, "")):
            yield name


def _none(asked: RequestClass) -> Mapping[str, Sequence[Candidate]]:
    return dict.fromkeys(asked.hosts, ())
