"""What a set keeps while it waits for the rest, and who may use that meanwhile. Pure.

Without keeping, a set would wait for ever: each resource that is freed fits some small request. So
the set whose turn it is keeps what it could have. Only one for each bottleneck: a set that stands
behind others for what it lacks would keep resources idle without coming any sooner.

Who says for how long they last may use what is kept, if they will have ended by the time at which
the set can start for certain (EASY backfill, as Slurm does it). That time follows from what the
present holders said, too; where they did not, nobody may.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from hwprovisioner.allocate.planning.asked import HostClass, RequestClass, any_shape, shapes_of
from hwprovisioner.allocate.planning.booked import Booked, room_during
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.inventory import Inventory, Shape, bits
from hwprovisioner.allocate.planning.lineup import Key
from hwprovisioner.allocate.planning.order import Queue, Request
from hwprovisioner.allocate.planning.placement import Candidate, Placement, place
from hwprovisioner.allocate.planning.walk import Walk
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.room import Room

_ENDS_LOOKED_AT = 256
_ALL_CLASSES = -1


@dataclass(slots=True, eq=False)
class Keeper:
    """A request that waits, and what it keeps."""

    request: str
    names: set[str]
    shapes: int
    """The bits of their shapes."""
    plan: Callable[[], int] = lambda: 0
    """Works out when it can start for certain; asked when somebody wants to know."""
    has_lost: bool = False
    """Something that it kept is not there any more, so what it keeps has to be found anew."""
    start_ms: int = 0
    """What `plan` said, 0 if it was not asked or does not know."""
    _is_planned: bool = field(default=False, init=False)

    def lose(self, name: str) -> None:
        """Note that one of the resources is not kept any longer."""
        self.names.discard(name)
        self.has_lost = True

    def lends_until(self, now_ms: int) -> int:
        """Return until when what is kept may be used by others, 0 if it may not."""
        if not self._is_planned or 0 < self.start_ms <= now_ms:
            self.start_ms, self._is_planned = self.plan(), True
        return self.start_ms if self.start_ms > now_ms else 0


class Turns:
    """Whose turn it is for what, in one pass."""

    def __init__(
        self,
        queue: Queue,
        classes: Classes,
        coming: Callable[[RequestClass, frozenset[str]], bool],
        granted: Set[str],
    ) -> None:
        """Look at a queue that does not change meanwhile.

        Args:
            queue: it, of which those who were granted something leave only later.
            classes: what they ask for.
            coming: says whether something can be had one day; for what cannot, nobody's turn comes.
            granted: the requests that were granted something; there may be more and more.
        """
        self._queue = queue
        self._classes = classes
        self._coming = coming
        self._granted = granted
        self._known = len(granted)
        self._barred: set[tuple[str, int]] = set()
        self._first: dict[int, Request | None] = {}
        self._every = (1 << len(classes.inventory.shapes)) - 1
        self._unclaimed = self._every
        self._claims: dict[str, int] = {}
        self._claiming: Walk | None = None
        self._claimants: Iterator[Request] = iter(())

    def bar(self, user: str, bit: int) -> None:
        """Note that a user may not have what a class asks for, and is in nobody's way."""
        self._barred.add((user, bit))
        self._reset()

    def has_come(self, request: Request, missing: Iterable[str]) -> bool:
        """Say whether each host that a request lacks can be had of something it is first for."""
        asked = {request.asked.hosts[host] for host in missing}
        return all(self._is_first(request, options) for options in asked)

    def is_first_for_any(self, request: Request, shapes: int) -> bool:
        """Say whether nobody before a request could use one of some shapes, or what it names."""
        classes, inventory = self._classes, self._classes.inventory
        masks = [inventory.shapes[index].matches for index in bits(shapes)]
        named = {option.option.resource for option in request.asked.options if option.by_name}
        masks += [classes.matching(name) for name in named if name in inventory]
        firsts = map(self._first_of, masks)
        return any(first is not None and first.id == request.id for first in firsts)

    def next_of_others(self, request: Request, missing: Iterable[str]) -> Key | None:
        """Return where the first request of another user stands that wants what a request lacks."""
        mask = 0
        for host in missing:
            mask |= self._classes.rivals(request.asked.hosts[host])
        walk = self._walk(mask)
        walk.bar(request.user, _ALL_CLASSES)
        return next((walk.key for each in walk if self._counts(each, walk)), None)

    def _is_first(self, request: Request, options: Sequence[HostClass]) -> bool:
        mask = self._classes.rivals(options)
        first = self._first_of(mask)
        if first is None or first.id == request.id:
            return first is not None
        # Those before it may all be waiting for what is rarer.
        return self._claims_one(request, shapes_of(options))

    def _claims_one(self, request: Request, shapes: int) -> bool:
        """Say whether nobody before a request could use one of some shapes.

        In order, each claims the shapes that nobody before it could use: once for all who ask.
        """
        if self._claiming is None:
            self._claiming = self._walk(-1)
            self._claimants = iter(self._claiming)
        while self._unclaimed & shapes and not self._claims.get(request.id, 0) & shapes:
            other = next(self._claimants, None)
            if other is None:
                break
            if self._counts(other, self._claiming):
                claimed = shapes_of(other.asked.options) & self._unclaimed
                if claimed:
                    self._claims[other.id] = claimed
                    self._unclaimed &= ~claimed
                    self._claiming.mask &= self._classes.matching_any(self._unclaimed)
        return bool(self._claims.get(request.id, 0) & shapes)

    def _reset(self) -> None:
        self._known = len(self._granted)
        self._first.clear()
        self._claims.clear()
        self._claiming, self._unclaimed = None, self._every

    def _first_of(self, mask: int) -> Request | None:
        # Asked of everybody first, before what they claim.
        if len(self._granted) != self._known:
            self._reset()
        if mask not in self._first:
            walk = self._walk(mask)
            found = (each for each in walk if self._counts(each, walk))
            self._first[mask] = next(found, None)
        return self._first[mask]

    def _walk(self, mask: int) -> Walk:
        return Walk(self._queue, mask & self._classes.queued)

    def _counts(self, request: Request, walk: Walk) -> bool:
        """Say whether a request is in the way of those behind it."""
        if request.id in self._granted:
            return False
        if (request.user, request.asked.bit) in self._barred:
            walk.bar(request.user, request.asked.bit)
            return False
        if self._coming(request.asked, request.excluded):
            return True
        if not request.excluded:
            walk.mask &= ~request.asked.bit
        return False


def note_lack(finder: Finder, request: Request, placement: Placement) -> None:
    """Note what would help a class, so that it is not looked at for anything else."""
    asked, inventory = request.asked, finder.classes.inventory
    every = list(asked.options)
    is_matching = not (asked.demand.relations or finder.booked or request.excluded)
    if is_matching and not any_shape(every) & inventory.divisible:
        options = [option for host in placement.stuck() for option in asked.hosts[host]]
        lack = len(asked.hosts) - len(placement.placed)
        finder.classes.await_only(asked, options, lack)
    else:
        finder.classes.await_only(asked, every, _least_lack(asked, every, inventory))


def _least_lack(asked: RequestClass, every: Sequence[HostClass], inventory: Inventory) -> int:
    """Return how many more machines a set needs at least, whatever relations say."""
    shapes = any_shape(every)
    if shapes & inventory.divisible:
        return 1
    count = sum(len(inventory.shapes[index].free) for index in bits(shapes & inventory.open))
    return max(1, len(asked.hosts) - count)


def roomiest(wish: Wish, options: Iterable[HostClass], finder: Finder) -> str:
    """Return the open shared resource with the most processors free, "" if there is none.

    One in which a booking leaves no room for the request is kept in vain, so it does not count.
    """
    inventory = finder.classes.inventory
    best = (-1, "")
    for option in options:
        for index in bits(option.shapes & inventory.open & inventory.divisible):
            best = max(best, _roomiest(wish, option, inventory.shapes[index], finder))
    return best[1]


def _roomiest(wish: Wish, option: HostClass, shape: Shape, finder: Finder) -> tuple[int, str]:
    roomy: Iterable[tuple[int, str]] = reversed(shape.roomy)
    if name := option.option.resource:
        standing = finder.classes.inventory.get(name)
        mine = (standing.room.cpus if standing else 0), name
        roomy = [mine] if mine in shape.roomy else []
    for cpus, name in roomy:
        if name in wish.excluded or not option.admits(name, shape):
            continue
        others = [e for e in finder.booked.get(name, ()) if e.allocation != wish.booking]
        if not others or _leave_room(others, wish, option, shape):
            return cpus, name
    return -1, ""


def _leave_room(booked: Sequence[Booked], wish: Wish, option: HostClass, shape: Shape) -> bool:
    room = room_during(Room.whole(shape.spec), (), booked, wish.now_ms, wish.ends_ms)
    return room.share_for(option.option) is not None


def start_by(wish: Wish, placement: Placement, finder: Finder) -> int:
    """Return when a set can start for certain, by what holders have said; 0 if nobody knows."""
    inventory = finder.classes.inventory
    is_matching = not wish.asked.demand.relations
    # Others may move on to what is freed, and make room.
    hosts = placement.stuck() if is_matching else wish.asked.hosts
    shapes = any_shape({o for host in hosts for o in wish.asked.hosts[host]})
    least = len(wish.asked.hosts) - len(placement.placed)
    if shapes & inventory.divisible:
        least = 1
    ends = heapq.merge(*(inventory.shapes[index].ends for index in bits(shapes)))
    freed: list[str] = []
    for ends_ms, name in itertools.islice(ends, _ENDS_LOOKED_AT):
        if inventory.standing(name).can_open:
            freed.append(name)
            if len(freed) >= least and _is_whole_with(wish, placement, finder, freed):
                return ends_ms
    return 0


def _is_whole_with(wish: Wish, placement: Placement, finder: Finder, freed: Sequence[str]) -> bool:
    """Say whether a set is whole with what it has and with what will have been freed."""
    kept = {placed.resource for placed in placement.placed.values()}
    inventory = finder.classes.inventory
    candidates: dict[str, list[Candidate]] = {}
    for host, options in wish.asked.hosts.items():
        candidates[host] = [
            (name, option.option)
            for option in options
            for name in (*kept, *freed)
            if name not in wish.excluded and option.matches(name, inventory.shape_of(name))
        ]
    rooms: dict[str, Room] = {name: inventory.standing(name).room for name in kept}
    rooms |= {name: Room.whole(inventory.standing(name).room.spec) for name in freed}
    return place(candidates, rooms.__getitem__, wish.asked.demand.relations).is_whole
