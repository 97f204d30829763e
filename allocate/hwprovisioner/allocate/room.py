"""What is free of a resource, and what a host would get of it. Pure and immutable."""

from dataclasses import dataclass
from typing import NamedTuple

from hwprovisioner.allocate.cards import assign_cards
from hwprovisioner.allocate.demand import HostDemand, Spec
from hwprovisioner.allocate.notation import Bounds, amount


class Share(NamedTuple):
    """What a hold has of its resource."""

    cpus: int
    memory: int
    gpus: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """What is free of a resource."""

    spec: Spec
    slots: int
    cpus: int
    memory: int
    cards: frozenset[int]

    @classmethod
    def whole(cls, spec: Spec) -> "Room":
        """Return the room of a resource of which nothing is taken."""
        cards = frozenset(range(len(spec.gpus)))
        return cls(spec, spec.slots, spec.cpus, spec.memory, cards)

    def share_for(self, option: HostDemand) -> Share | None:
        """Return what a host would get, None if there is not enough; the spec must match."""
        spec = self.spec
        if self.slots < 1:
            return None
        if spec.division is None:
            return Share(spec.cpus, spec.memory, tuple(range(len(spec.gpus))))
        cpus = _asked(option.cpus, spec.division.default_cpus)
        memory = _asked(option.memory, spec.division.default_memory)
        if cpus > self.cpus or memory > self.memory:
            return None
        cards = assign_cards(option.gpus, spec.gpus, self.cards)
        return None if cards is None else Share(cpus, memory, cards)

    def without(self, share: Share) -> "Room":
        """Return the room that is left after a share is taken."""
        return Room(
            self.spec,
            self.slots - 1,
            self.cpus - share.cpus,
            self.memory - share.memory,
            self.cards.difference(share.gpus),
        )

    def with_again(self, share: Share) -> "Room":
        """Return the room after a share was given back."""
        return Room(
            self.spec,
            self.slots + 1,
            self.cpus + share.cpus,
            self.memory + share.memory,
            self.cards.union(share.gpus),
        )

    def shortage(self, option: HostDemand) -> str:
        """Return the first thing that there is too little of for a host, empty if nothing is."""
        if self.slots < 1:
            return "in use" if self.spec.division is None else "all instances in use"
        if self.share_for(option) is not None:
            return ""
        division = self.spec.division
        assert division is not None
        cpus = _asked(option.cpus, division.default_cpus)
        if cpus > self.cpus:
            return f"cpus: {self.cpus} free, wants {cpus}"
        memory = _asked(option.memory, division.default_memory)
        if memory > self.memory:
            return f"memory: {amount(self.memory)} free, wants {amount(memory)}"
        return "gpus: too few free"


def _asked(bounds: Bounds, default: int) -> int:
    """Return how much a share is given: the least that is asked for, else the default."""
    if bounds.low is not None:
        return bounds.low
    return default if bounds.high is None else min(default, bounds.high)
