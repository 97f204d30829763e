"""Placing the hosts of a set on resources: all of them, or none. Pure.

Hosts and exclusive resources are a bipartite matching, solved by augmenting paths (Kuhn): hosts
that were placed move on to another resource when that makes room for one more. Divisible resources
take part with the room they have; there, placing is vector bin packing, which is NP-hard, and so is
placing hosts that stand in relations. Where the paths do not do it, one way after the other is
tried for a while: small sets find a place if there is one, a large one may miss it. Hosts with the
fewest candidates are placed first, and of the candidates the first is tried first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hwprovisioner.allocate.demand import HostDemand, Relation, RelationKind, Spec
from hwprovisioner.allocate.room import Room, Share

TRIES = 500
"""So often a host is put somewhere before a set is given up."""

Candidate = tuple[str, HostDemand]
"""A resource that would do for a host, and which of the host's options it would be."""


class Placed(NamedTuple):
    """A host on a resource."""

    resource: str
    share: Share


Accepts = Callable[[Mapping[str, Placed]], bool]
"""Says whether hosts may be placed so, as far as they are."""


class Placement:
    """Hosts placed so far, and the room that is left. Short-lived: one for each attempt."""

    def __init__(
        self, rooms: Callable[[str], Room], candidates: Mapping[str, Sequence[Candidate]]
    ) -> None:
        """Begin with nothing placed.

        Args:
            rooms: gives the room of a resource, as it is before.
            candidates: by host, the best first.
        """
        self._rooms = rooms
        self._candidates = candidates
        self._left: dict[str, Room] = {}
        self._options: dict[str, HostDemand] = {}
        self.placed: dict[str, Placed] = {}

    @property
    def is_whole(self) -> bool:
        """Whether all hosts are placed."""
        return len(self.placed) == len(self._candidates)

    def left(self, resource: str) -> Room:
        """Return what is left of a resource."""
        return self._left.get(resource) or self._rooms(resource)

    def put(self, host: str, seen: set[str]) -> bool:
        """Place a host, moving others if need be; `seen` are resources not to be tried again."""
        for resource, option in self._candidates[host]:
            if resource not in seen and self._take(host, resource, option):
                return True
        for resource, option in self._candidates[host]:
            # Only where this very set has something is there anybody to be moved.
            if resource not in seen and resource in self._left:
                seen.add(resource)
                if self._displace(host, resource, option, seen):
                    return True
        return False

    def _displace(self, host: str, resource: str, option: HostDemand, seen: set[str]) -> bool:
        """Place a host where another is, if that one finds another place."""
        for other in [h for h, p in self.placed.items() if p.resource == resource]:
            before, before_option = self._give_back(other)
            if self._take(host, resource, option):
                # On a divisible resource another share may do, such as of other cards.
                if self._take(other, resource, before_option) or self.put(other, seen):
                    return True
                self._give_back(host)
            self._restore(other, before, before_option)
        return False

    def put_in_turn(self, hosts: Sequence[str], accepts: Accepts) -> None:
        """Place each of some hosts on the first resource that is accepted, moving none."""
        for host in hosts:
            for resource, option in self._candidates[host]:
                if self._take(host, resource, option):
                    if accepts(self.placed):
                        break
                    self._give_back(host)

    def search(self, hosts: Sequence[str], tries: Iterator[int], accepts: Accepts) -> bool:
        """Place all of some hosts, trying one way after the other while there are tries left."""
        if not hosts:
            return True
        host, *others = hosts
        for resource, option in self._candidates[host]:
            if next(tries, None) is None:
                return False
            if self._take(host, resource, option):
                if accepts(self.placed) and self.search(others, tries, accepts):
                    return True
                self._give_back(host)
        return False

    def stuck(self) -> set[str]:
        """Return hosts of which no more can be placed, whatever else is to be had.

        Only a resource that one of them could use would help (Hall's theorem: they are reached from
        the hosts without a place by giving up places to one another).
        """
        hosts = set(self._candidates) - set(self.placed)
        holders = {placed.resource: host for host, placed in self.placed.items()}
        waiting = list(hosts)
        while waiting:
            for resource, _ in self._candidates[waiting.pop()]:
                other = holders.get(resource)
                if other is not None and other not in hosts:
                    hosts.add(other)
                    waiting.append(other)
        return hosts

    def _take(self, host: str, resource: str, option: HostDemand) -> bool:
        share = self.left(resource).share_for(option)
        if share is None:
            return False
        self._restore(host, Placed(resource, share), option)
        return True

    def _give_back(self, host: str) -> tuple[Placed, HostDemand]:
        placed = self.placed.pop(host)
        self._left[placed.resource] = self.left(placed.resource).with_again(placed.share)
        return placed, self._options.pop(host)

    def _restore(self, host: str, placed: Placed, option: HostDemand) -> None:
        self.placed[host] = placed
        self._options[host] = option
        self._left[placed.resource] = self.left(placed.resource).without(placed.share)


def place(
    candidates: Mapping[str, Sequence[Candidate]],
    rooms: Callable[[str], Room],
    relations: Sequence[Relation] = (),
) -> Placement:
    """Place as many hosts of a set as can be; it can be granted if that is all of them.

    Args:
        candidates: by host, the resources that match and are open, best first.
        rooms: gives the room of each of them.
        relations: what the hosts have to do with one another.
    """
    hosts = sorted(candidates, key=lambda host: (len(candidates[host]), host))
    placement = Placement(rooms, candidates)
    if relations:
        placement.put_in_turn(hosts, _accepts(rooms, relations))
    else:
        for host in hosts:
            placement.put(host, set())
    if placement.is_whole or not (relations or _may_be_missed(candidates, rooms)):
        return placement
    searched = Placement(rooms, candidates)
    is_found = searched.search(hosts, iter(range(TRIES)), _accepts(rooms, relations))
    return searched if is_found else placement


def _accepts(rooms: Callable[[str], Room], relations: Sequence[Relation]) -> Accepts:
    def accepts(placed: Mapping[str, Placed]) -> bool:
        return all(holds(relation, placed, rooms) for relation in relations)

    return accepts


def holds(relation: Relation, placed: Mapping[str, Placed], rooms: Callable[[str], Room]) -> bool:
    """Say whether a relation holds among those of its hosts that are placed."""
    values = [
        value_of(relation.label, rooms(placed[host].resource).spec)
        for host in relation.hosts
        if host in placed
    ]
    if relation.kind is RelationKind.SAME:
        return None not in values and len(set(values)) <= 1
    known = [value for value in values if value is not None]
    return len(set(known)) == len(known)


def value_of(label: str, spec: Spec) -> str | None:
    """Return the value of a label, None if a resource does not have it."""
    return next((value for name, value in spec.labels if name == label), None)


def _may_be_missed(
    candidates: Mapping[str, Sequence[Candidate]], rooms: Callable[[str], Room]
) -> bool:
    """Say whether a set may have a place nevertheless: each host alone has, and some can share."""
    return all(candidates.values()) and any(
        rooms(name).spec.division for found in candidates.values() for name, _ in found
    )
