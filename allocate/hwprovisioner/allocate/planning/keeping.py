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
from dataclasses import dataclass

from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.finding import Finder, Wish
from hwprovisioner.allocate.planning.inventory import bits
from hwprovisioner.allocate.planning.order import Queue, Request, Walk
from hwprovisioner.allocate.planning.placement import Candidate, Placement, place
from hwprovisioner.allocate.room import Room

_ENDS_LOOKED_AT = 256


@dataclass(slots=True, eq=False)
class Keeper:
    """A request that waits, and what it keeps."""

    request: str
    names: set[str]
    plan: Callable[[], int] | None = None
    """Works out when it can start for certain; asked once, when somebody wants to know."""
    start_ms: int = 0

    def lends_until(self, now_ms: int) -> int:
        """Return until when what is kept may be used by others, 0 if it may not."""
        if self.plan is not None:
            self.start_ms, self.plan = self.plan(), None
        return self.start_ms if self.start_ms > now_ms else 0


class Turns:
    """Whose turn it is for what, in one pass."""

    def __init__(self, queue: Queue, classes: Classes) -> None:
        """Look at a queue that does not change meanwhile."""
        self._queue = queue
        self._classes = classes
        self._gone: set[str] = set()
        self._first: dict[int, str] = {}

    def take(self, request_id: str) -> None:
        """Note that a request was granted."""
        self._gone.add(request_id)
        self._first.clear()

    def has_come(self, request: Request, missing: Iterable[str]) -> bool:
        """Say whether nobody is before a request for any of the hosts that it lacks."""
        asked = {request.asked.hosts[host] for host in missing}
        return all(self._first_of(self._classes.rivals(o)) == request.id for o in asked)

    def _first_of(self, mask: int) -> str:
        if mask not in self._first:
            walk = Walk(self._queue, mask & self._classes.queued)
            self._first[mask] = next((each.id for each in walk if each.id not in self._gone), "")
        return self._first[mask]


def start_by(wish: Wish, placement: Placement, finder: Finder) -> int:
    """Return when a set can start for certain, by what holders have said; 0 if nobody knows."""
    inventory = finder.classes.inventory
    missing = wish.asked.hosts.keys() - placement.placed.keys()
    options = {o for host in missing for o in wish.asked.hosts[host]}
    shapes = 0
    for option in options:
        shapes |= option.shapes
    ends = heapq.merge(*(inventory.shapes[index].ends for index in bits(shapes)))
    freed: list[str] = []
    for ends_ms, name in itertools.islice(ends, _ENDS_LOOKED_AT):
        freed.append(name)
        if len(freed) >= len(missing) and _is_whole_with(wish, placement, finder, freed):
            return int(ends_ms)
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
            if option.shapes & 1 << inventory.shape_of(name).index
            and name not in wish.excluded
            and option.admits(name, inventory.shape_of(name))
        ]
    rooms: dict[str, Room] = {name: inventory.standing(name).room for name in kept}
    rooms |= {name: Room.whole(inventory.standing(name).room.spec) for name in freed}
    return place(candidates, rooms.__getitem__, wish.asked.demand.relations).is_whole
