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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hwprovisioner.allocate.planning.asked import HostClass, RequestClass, any_shape
from hwprovisioner.allocate.planning.booked import Booked, room_during
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.inventory import Inventory, Shape, bits
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Candidate, Placement, place
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.room import Room

_ENDS_LOOKED_AT = 256


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
