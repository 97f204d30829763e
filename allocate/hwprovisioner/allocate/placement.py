"""Placing the hosts of a set on resources: all of them, or none. Pure.

Hosts and exclusive resources are a bipartite matching, solved by augmenting paths (Kuhn): hosts
that were placed move on to another resource when that makes room for one more. Divisible resources
take part with the room they have; there, placing is vector bin packing, which is NP-hard, so that a
packing that needs several hosts of a divisible resource to move at once may be missed. Hosts with
the fewest candidates are placed first, and of the candidates the tightest fit is tried first, so
that a plain demand leaves special machines alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.room import Room, Share


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
            if resource in seen:
                continue
            seen.add(resource)
            if self._take(host, resource, demands[host]):
                return True
            for other in [h for h, p in self.placed.items() if p.resource == resource]:
                before = self._give_back(other)
                if self.left(resource).share_for(demands[host]) is not None:
                    self._take(host, resource, demands[host])
                    # On a divisible resource another share may do, such as of other cards.
                    if self._take(other, resource, demands[other]):
                        return True
                    if self.put(other, demands, candidates, seen):
                        return True
                    self._give_back(host)
                self._restore(other, before)
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
    placement = Placement(rooms)
    for host in sorted(demands, key=lambda host: (len(ordered[host]), host)):
        placement.put(host, demands, ordered, set())
    return placement
