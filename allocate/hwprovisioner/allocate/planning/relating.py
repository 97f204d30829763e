"""Hosts that must have the same value of a label: which values there are, the likeliest first.

For each value it is counted how many of the hosts could be placed at most, so that nobody searches
in vain for what cannot be whole.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.demand import Relation
from hwprovisioner.allocate.planning.asked import RequestClass, any_shape
from hwprovisioner.allocate.planning.inventory import Inventory, bits

_COMBINATIONS = 4_096
"""So many combinations of label values are tried for hosts that must have the same."""
_PARTIAL = 2
"""So many are tried with which not all hosts can be had."""
_ALL = -1


@dataclass(frozen=True, slots=True)
class _Value:
    """A value that some hosts may have."""

    hosts: tuple[str, ...]
    shapes: int
    """The bits of the shapes that have it."""
    most: int
    """So many of the hosts can be placed on them at most."""


class Ways:
    """The ways to give hosts the same values of labels: by host, the shapes that it may have."""

    def __init__(
        self,
        inventory: Inventory,
        asked: RequestClass,
        alike: Sequence[Relation],
        also: Sequence[str] | None = None,
    ) -> None:
        """Look at what is open and `also` at some resources that are not; without it, at all."""
        self._inventory = inventory
        self._asked = asked
        self._alike = alike
        self._also = also

    def __iter__(self) -> Iterator[Mapping[str, int]]:
        """Return the ways with which all hosts may have a place; if there are none, some others."""
        every = [self._values(each) for each in self._alike]
        whole = [[value for value in values if value.most == len(value.hosts)] for values in every]
        count = len(self._asked.hosts)
        if all(whole) and self._available(any_shape(self._asked.options)) >= count:
            ways = itertools.islice(itertools.product(*whole), _COMBINATIONS)
        else:
            ways = itertools.islice(itertools.product(*every), _PARTIAL)
        return map(_masks, ways)

    def _values(self, relation: Relation) -> list[_Value]:
        """Return the values of a label with which each of the hosts might be had, best first."""
        hosts = relation.hosts
        wanted = [any_shape(self._asked.hosts[host]) for host in hosts]
        among = any_shape(option for host in hosts for option in self._asked.hosts[host])
        found = []
        for shapes in self._inventory.by_label.get(relation.label, {}).values():
            if all(each & shapes for each in wanted):
                most = min(len(hosts), self._available(shapes & among))
                found.append(_Value(hosts, shapes, most))
        found.sort(key=lambda value: -value.most)
        return found

    def _available(self, shapes: int) -> int:
        """Return how many hosts some shapes have room for, at most."""
        inventory, open_now = self._inventory, shapes & self._inventory.open
        if self._also is None or open_now & inventory.divisible:
            return len(self._asked.hosts)
        count = sum(shapes >> inventory.shape_of(name).index & 1 for name in self._also)
        return count + sum(len(inventory.shapes[index].free) for index in bits(open_now))


def _masks(values: Sequence[_Value]) -> dict[str, int]:
    masks: dict[str, int] = {}
    for value in values:
        for host in value.hosts:
            masks[host] = masks.get(host, _ALL) & value.shapes
    return masks
