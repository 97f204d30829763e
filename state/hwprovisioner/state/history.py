"""What the lab remembers of its past: who used how much when, how long requests waited and lasted.

These are raw facts. What they weigh is decided by whoever reads them, so that a policy can change
and still know the past. A follower of the change log need not read them again: the records before
and after a change tell the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

HOUR_MS = 3_600_000
"""Use is added up by hours of the lab's steady time, which begins as the clock does."""


@dataclass(frozen=True, slots=True)
class History:
    """The lab's past, as it was when it was read. All times are ms."""

    use: Mapping[str, Mapping[int, int]]
    """By user and hour of steady time: host-ms held in that hour."""
    waits: Mapping[str, tuple[int, ...]]
    """By class: how long requests waited for their first grant, newest last. No bookings."""
    spans: Mapping[str, tuple[int, ...]]
    """By class: how long allocations lasted from their grant, if they were ready at their end."""

    @classmethod
    def of(
        cls, use: Mapping[str, str], waits: Mapping[str, str], spans: Mapping[str, str]
    ) -> "History":
        """Read it from the three hashes."""
        return cls(_use(use), _times(waits), _times(spans))


def pairs(flat: Iterable[Any]) -> dict[str, str]:
    """Return the fields of a hash from the flat list that Redis answers."""
    items = iter(flat)
    return {str(name): str(value) for name, value in zip(items, items, strict=True)}


def _use(fields: Mapping[str, str]) -> Mapping[str, Mapping[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for field, amount in fields.items():
        hour, _, user = field.partition(":")
        found.setdefault(user, {})[int(hour)] = int(amount)
    return MappingProxyType({user: MappingProxyType(hours) for user, hours in found.items()})


def _times(fields: Mapping[str, str]) -> Mapping[str, tuple[int, ...]]:
    return MappingProxyType(
        {class_id: tuple(map(int, times.split(","))) for class_id, times in fields.items()}
    )
