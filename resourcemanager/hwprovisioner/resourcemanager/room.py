"""Whether what is made of a resource fits into its limits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from hwprovisioner.resourcemanager.model import Facts, Resource, Share


@dataclass(frozen=True, slots=True)
class Room:
    """What all instances of a resource may have together; `None` is not known, and no limit."""

    instances: int
    cpus: int | None = None
    memory_bytes: int | None = None

    @classmethod
    def of(cls, resource: Resource, facts: Facts) -> Self:
        """Return the room of a resource, with the facts that its driver detected."""
        known = resource.declared.over(facts)
        instances = resource.division.instances if resource.division is not None else 1
        return cls(instances, known.cpus, known.memory_bytes)

    def has(self, shares: Iterable[Share]) -> bool:
        """Say whether these fit beside each other. Cards are not counted: a pool has none."""
        all_shares = list(shares)
        cpus = sum(share.cpus for share in all_shares)
        memory_bytes = sum(share.memory_bytes for share in all_shares)
        return (
            len(all_shares) <= self.instances
            and (self.cpus is None or cpus <= self.cpus)
            and (self.memory_bytes is None or memory_bytes <= self.memory_bytes)
        )
