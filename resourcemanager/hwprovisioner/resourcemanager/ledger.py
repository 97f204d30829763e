"""What a journal says, at hand: each record as it is read or written changes it. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.records import (
    Forget,
    JournalId,
    NewMark,
    Pooled,
    Put,
    Record,
    Seen,
    Unpooled,
)

#: How many cleaned holds are remembered, so that a repeated release is answered without cleaning
#: again.
CLEANED_KEPT = 256


class Ledger:
    """Holds and fences, and what is kept ready."""

    def __init__(self) -> None:
        self._holds: dict[str, Held] = {}
        self._by_resource: dict[str, set[str]] = {}
        # In the order in which they were cleaned; the values say nothing.
        self._cleaned: dict[str, None] = {}
        self._fences: dict[str, int] = {}
        self._offered: dict[str, int] = {}
        self._looks: dict[str, int] = {}
        self._pooled: dict[str, Pooled] = {}
        self._has_new_mark = False
        self._id = ""

    @property
    def id(self) -> str:
        """What this is known by; empty if it has no id yet."""
        return self._id

    @property
    def holds(self) -> Mapping[str, Held]:
        """Every hold by its id, the cleaned ones that are remembered too."""
        return MappingProxyType(self._holds)

    def of(self, resource: str) -> Iterator[Held]:
        """Yield the holds of a resource."""
        return (self._holds[hold_id] for hold_id in self._by_resource.get(resource, ()))

    @property
    def pooled(self) -> Mapping[str, Pooled]:
        """Every instance that can be handed over, by its name.

        One leaves with the very line that gives it to a hold, so none is ever handed over twice.
        """
        return MappingProxyType(self._pooled)

    @property
    def has_new_mark(self) -> bool:
        """The manager's mark is as new as this: what was made before cannot be known by it."""
        return self._has_new_mark

    def fence(self, resource: str) -> int:
        """Return the highest fence seen for a resource, 0 if none was."""
        return self._fences.get(resource, 0)

    def offered_fence(self, resource: str) -> int:
        """Return the highest fence of the offers of a resource that were taken, 0 if none was."""
        return self._offered.get(resource, 0)

    def look(self, resource: str) -> int:
        """Return the number of the newest look that the lab has asked for, 0 if it never has."""
        return self._looks.get(resource, 0)

    def records(self) -> list[Record]:
        """Return what says the same, and nothing that is outdated."""
        found: list[Record] = [JournalId(self._id)] if self._id else []
        if self._has_new_mark:
            found.append(NewMark())
        for name, fence in self._fences.items():
            found.append(Seen(name, fence, self.offered_fence(name), self.look(name)))
        return [*found, *map(Put, self._holds.values()), *self._pooled.values()]

    @property
    def size(self) -> int:
        """About how many records that takes."""
        return len(self._holds) + len(self._fences) + len(self._pooled)

    def distrust(self) -> None:
        """Note that some of it is missing: it is not what it was.

        Nothing is handed over that was kept ready, as it may have been given away since.
        """
        self._pooled.clear()
        self._id = ""

    def apply(self, record: Record) -> None:
        """Take over what a record says."""
        match record:
            case Put(held):
                self._keep(held)
            case Forget(hold_id):
                self._drop(hold_id)
            case Seen(resource, fence, offered, look):
                self._fences[resource] = max(fence, self.fence(resource))
                self._offered[resource] = max(offered, self.offered_fence(resource))
                self._looks[resource] = look
            case Pooled(_, instance):
                self._pooled[instance.name] = record
            case Unpooled(name):
                self._pooled.pop(name, None)
            case NewMark():
                self._has_new_mark = True
            case JournalId(id):
                self._id = id

    def _keep(self, held: Held) -> None:
        hold = held.hold
        self._drop(hold.id)
        self._pooled.pop(hold.pooled, None)
        self._holds[hold.id] = held
        self._by_resource.setdefault(hold.resource, set()).add(hold.id)
        self._fences[hold.resource] = max(hold.fence, self.fence(hold.resource))
        if held.phase not in (Phase.CLEANING, Phase.DIRTY, Phase.CLEANED):
            # Its end raises the fence of a hold; until then it is the offer's.
            offered = max(hold.fence, self.offered_fence(hold.resource))
            self._offered[hold.resource] = offered
        if not held.is_live:
            self._cleaned[hold.id] = None
            if len(self._cleaned) > CLEANED_KEPT:
                self._drop(next(iter(self._cleaned)))

    def _drop(self, hold_id: str) -> None:
        held = self._holds.pop(hold_id, None)
        self._cleaned.pop(hold_id, None)
        if held is not None:
            of_resource = self._by_resource[held.hold.resource]
            of_resource.discard(hold_id)
            if not of_resource:
                del self._by_resource[held.hold.resource]
