"""Placing the hosts of a set on resources: all of them, or none. Pure.

Hosts and exclusive resources are a bipartite matching, solved by augmenting paths (Kuhn): hosts
that were placed move on to another resource when that makes room for one more. Divisible resources
take part with the room they have; there, placing is vector bin packing, which is NP-hard. Where the
paths do not place all hosts, one way after the other is tried for a while: small sets find a place
if there is one, a large one may miss it. Hosts with the fewest candidates are placed first, and of
the candidates the first is tried first, which is the plainest: special machines are left alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.room import Room, Share

_TRIES = 500
"""So often a host is put on a divisible resource before a set is given up."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A host on a resource."""

    resource: str
    share: Share


class Placement:
    """Hosts placed so far, and the room that is left. Short-lived: one for each attempt."""

    def __init__(self, rooms: Mapping[str, Room]) -> None:
        """Begin with nothing placed; `rooms` is not changed."""
        self._rooms = rooms
        self._left: dict[str, Room] = {}
        self.placed: dict[str, Placed] = {}

    def left(self, resource: str) -> Room:
        """Return what is left of a resource."""
        return self._left.get(resource) or self._rooms[resource]

    def put(
        self,
        host: str,
        demands: Mapping[str, HostDemand],
        candidates: Mapping[str, Iterable[str]],
        seen: set[str],
    ) -> bool:
        """Place a host, moving others if need be; `seen` are resources not to be tried again."""
        for resource in candidates[host]:
            if resource not in seen and self._take(host, resource, demands[host]):
                return True
        for resource in candidates[host]:
            # Only where this very set has something is there anybody to be moved.
            if resource not in seen and resource in self._left:
                seen.add(resource)
                if self._displace(host, resource, demands, candidates, seen):
                    return True
        return False

    def _displace(
        self,
        host: str,
        resource: str,
        demands: Mapping[str, HostDemand],
        candidates: Mapping[str, Iterable[str]],
        seen: set[str],
    ) -> bool:
        """Place a host where another is, if that one finds another place."""
        for other in [h for h, p in self.placed.items() if p.resource == resource]:
            before = self._give_back(other)
            if self._take(host, resource, demands[host]):
                # On a divisible resource another share may do, such as of other cards.
                if self._take(other, resource, demands[other]):
                    return True
                if self.put(other, demands, candidates, seen):
                    return True
                self._give_back(host)
            self._restore(other, before)
        return False

    def search(
        self,
        hosts: Sequence[str],
        demands: Mapping[str, HostDemand],
        candidates: Mapping[str, Sequence[str]],
        tries: Iterator[int],
    ) -> bool:
        """Place all of some hosts, trying one way after the other while there are tries left."""
        if not hosts:
            return True
        host, *others = hosts
        for resource in candidates[host]:
            if next(tries, None) is None:
                return False
            if self._take(host, resource, demands[host]):
                if self.search(others, demands, candidates, tries):
                    return True
                self._give_back(host)
        return False

    def _take(self, host: str, resource: str, demand: HostDemand) -> bool:
        room = self.left(resource)
        share = room.share_for(demand)
        if share is None:
            return False
        self._restore(host, Placed(resource, share))
        return True

    def _give_back(self, host: str) -> Placed:
        placed = self.placed.pop(host)
        self._left[placed.resource] = self.left(placed.resource).with_again(placed.share)
        return placed

    def _restore(self, host: str, placed: Placed) -> None:
        self.placed[host] = placed
        self._left[placed.resource] = self.left(placed.resource).without(placed.share)


def place(
    demands: Mapping[str, HostDemand],
    candidates: Mapping[str, Iterable[str]],
    rooms: Mapping[str, Room],
) -> Placement:
    """Place as many hosts of a set as can be; it can be granted if that is all of them.

    Args:
        demands: by host.
        candidates: by host, the names of resources that match, best first.
        rooms: by resource; those that are closed must not be among the candidates.
    """
    ordered = {host: tuple(candidates[host]) for host in demands}
    hosts = sorted(demands, key=lambda host: (len(ordered[host]), host))
    placement = Placement(rooms)
    for host in hosts:
        placement.put(host, demands, ordered, set())
    if len(placement.placed) < len(hosts) and _may_be_missed(demands, ordered, rooms):
        searched = Placement(rooms)
        if searched.search(hosts, demands, ordered, iter(range(_TRIES))):
            return searched
    return placement


def _may_be_missed(
    demands: Mapping[str, HostDemand],
    candidates: Mapping[str, Sequence[str]],
    rooms: Mapping[str, Room],
) -> bool:
    """Say whether a set may have a place nevertheless: each host alone has, and some can share."""
    return any(
        rooms[name].spec.division for found in candidates.values() for name in found
    ) and all(
        any(rooms[name].share_for(demands[host]) for name in found)
        for host, found in candidates.items()
    )
