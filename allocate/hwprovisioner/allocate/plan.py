"""Deciding who gets what: one pass over the queue. Pure.

The queue is gone through in order. A request whose whole set can be placed is granted. One that
cannot be waits, and keeps what it could have had: the resources that its hosts would take are out
of reach for those behind it, so a large set is never starved by a stream of small ones. A request
that cannot run until somebody acts (too many of those that match are away or out of service) keeps
nothing.

Requests behind it that need other resources go ahead: a full kind of resource never blocks another.
"""

from collections import ChainMap
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from dataclasses import dataclass

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.placement import Placed, Placement, place
from hwprovisioner.allocate.room import Room

Candidates = Callable[[HostDemand], Sequence[str]]
"""Gives the names of all resources that match a demand, best first, free or not."""


@dataclass(frozen=True, slots=True)
class Request:
    """A queued request as planning sees it."""

    id: str
    hosts: Mapping[str, HostDemand]
    excluded: frozenset[str] = frozenset()
    """Resources that failed it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request gets."""

    request: str
    hosts: Mapping[str, Placed]


class Pass:
    """One pass over the queue: `decide` is called with each request, in the order of the queue."""

    def __init__(self, rooms: Mapping[str, Room], candidates: Candidates) -> None:
        """Begin with the rooms as they are; they are not changed."""
        self._rooms: MutableMapping[str, Room] = ChainMap({}, rooms)  # type: ignore[arg-type]
        self._candidates = candidates
        self._full: set[HostDemand] = set()

    def decide(self, request: Request) -> Grant | None:
        """Grant the request, or let it wait and keep what it could have had."""
        if self._is_hopeless(request):
            return None
        open_to = {
            host: [
                name
                for name in self._candidates(demand)
                if name not in request.excluded and not self._rooms[name].closed
            ]
            for host, demand in request.hosts.items()
        }
        placement = place(request.hosts, open_to, self._rooms)
        if len(placement.placed) == len(request.hosts):
            self._take(placement)
            return Grant(request.id, dict(placement.placed))
        self._note_full(request, open_to)
        if self._can_come(request):
            self._keep(request, placement, open_to)
        return None

    def _is_hopeless(self, request: Request) -> bool:
        # Room only becomes less during a pass, so a demand for which nothing was open to one
        # request finds nothing for another: thousands of equal requests cost one placement. Sets
        # still have to keep their other hosts.
        return len(request.hosts) == 1 and not self._full.isdisjoint(request.hosts.values())

    def _note_full(self, request: Request, open_to: Mapping[str, Collection[str]]) -> None:
        if len(request.hosts) == 1 and not request.excluded:
            (host, demand) = next(iter(request.hosts.items()))
            if not any(self._rooms[name].spec.division for name in open_to[host]):
                self._full.add(demand)

    def _can_come(self, request: Request) -> bool:
        """Say whether the set can be had one day without anybody's doing."""
        coming = {
            host: [
                name
                for name in self._candidates(demand)
                if name not in request.excluded and self._rooms[name].can_open
            ]
            for host, demand in request.hosts.items()
        }
        names = {name for found in coming.values() for name in found}
        whole = {name: Room.whole(self._rooms[name].spec) for name in names}
        return len(place(request.hosts, coming, whole).placed) == len(request.hosts)

    def _take(self, placement: Placement) -> None:
        for placed in placement.placed.values():
            self._rooms[placed.resource] = placement.left(placed.resource)

    def _keep(
        self, request: Request, placement: Placement, open_to: Mapping[str, Collection[str]]
    ) -> None:
        """Put what a waiting request could have had out of reach of those behind it."""
        self._take(placement)
        for host in request.hosts.keys() - placement.placed.keys():
            # A divisible resource that is to have room for it one day must not be filled up
            # with smaller requests: the one with the most room is saved for it.
            divisible = [name for name in open_to[host] if self._rooms[name].spec.division]
            if divisible:
                roomiest = max(divisible, key=lambda name: (self._rooms[name].cpus, name))
                self._rooms[roomiest] = _closed(self._rooms[roomiest], request.id)


def _closed(room: Room, request: str) -> Room:
    return Room(room.spec, 0, 0, 0, frozenset(), f"kept for {request}", room.can_open)


def plan(
    queue: Iterable[Request], rooms: Mapping[str, Room], candidates: Candidates
) -> list[Grant]:
    """Return the grants of one pass, in order."""
    decide = Pass(rooms, candidates).decide
    return [grant for request in queue if (grant := decide(request))]
