"""A replica's view of the lab: all records, kept up to date by the change log.

The view is loaded once and then moved forward by one change after the other, each a record of the
log. Reads are plain look-ups in immutable records; nothing here does I/O (see `follower.py`).

A change made by this very replica is applied as soon as its script answers, without waiting for the
log to come round; the log's copy is skipped then. Changes can come in any order from these two
sides, and are applied in order of their revisions.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from hwprovisioner.state.errors import RevisionForgotten, StateUnavailable
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import RECORDS, Allocation, Hold, Manager, Resource
from hwprovisioner.state.record import Record
from hwprovisioner.state.transitions import Commit

HISTORY = 10_000
"""So many changes can be read again by those that watch the lab."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did to one record."""

    before: Record | None
    after: Record | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the lab."""

    revision: int
    time_ms: int
    event: str
    records: Mapping[tuple[Kind, str], Changed]
    """By kind and id."""


Listener: TypeAlias = Callable[[Change | None], None]
"""Is told of each change once it is applied, and None when the whole view was loaded anew."""


class View:
    """The records of a lab as of one revision."""

    def __init__(self) -> None:
        """Begin with an empty lab at revision 0, not loaded."""
        self.revision = 0
        self.allocations: dict[str, Allocation] = {}
        self.holds: dict[str, Hold] = {}
        self.resources: dict[str, Resource] = {}
        self.managers: dict[str, Manager] = {}
        tables: dict[Kind, object] = {
            Kind.ALLOCATION: self.allocations,
            Kind.HOLD: self.holds,
            Kind.RESOURCE: self.resources,
            Kind.MANAGER: self.managers,
        }
        self._tables = cast("dict[Kind, dict[str, Record]]", tables)
        self._early: dict[int, Commit] = {}
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._listeners: list[Listener] = []
        self._moved = asyncio.Event()

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of each change from now on."""
        self._listeners.append(listener)

    def load(
        self, revision: int, records: Iterable[Record], commits: Iterable[Commit] = ()
    ) -> None:
        """Replace everything by records that are at least as new as `revision`.

        A record may be newer: the changes that made it so come again and are then no news to it.
        Until they have come, records may not fit together, so those made while the records were
        read are given as `commits`, in order, and nobody sees the view before they are applied.
        """
        for table in self._tables.values():
            table.clear()
        for record in records:
            self._tables[record.kind][getattr(record, record.identity)] = record
        self.revision = revision
        for commit in commits:
            self._move_by(commit)
        self._early.clear()
        self._history.clear()
        self._tell(None)
        self._wake()

    def offer(self, commit: Commit) -> None:
        """Apply a change once all before it are; one that is applied already is skipped."""
        if commit.revision <= self.revision:
            return
        self._early[commit.revision] = commit
        while (next_commit := self._early.pop(self.revision + 1, None)) is not None:
            self._apply(next_commit)
        self._wake()

    def holds_of(self, allocation_id: str) -> tuple[str, ...]:
        """Return the holds of an allocation that are not over; none if it is not known."""
        allocation = self.allocations.get(allocation_id)
        return allocation.holds if allocation else ()

    async def reached(self, revision: int) -> None:
        """Wait until the view has a revision, so that an answer shows what a call has written.

        Raises:
            StateUnavailable: the lab was restored from an older copy, and that revision is lost.
        """
        while (before := self.revision) < revision:
            await self._moved.wait()
            if self.revision < before:
                raise StateUnavailable("the lab was restored from an older copy: try again")

    def history(self, after: int) -> Iterator[Change]:
        """Return the changes after a revision that are known so far, in order.

        Raises:
            RevisionForgotten: they are no longer all known, or that revision never was: the lab
                was restored from an older copy.
        """
        oldest = self._history[0].revision - 1 if self._history else self.revision
        if not oldest <= after <= self.revision:
            raise RevisionForgotten(after, oldest)
        missing = self.revision - after
        return (self._history[i] for i in range(len(self._history) - missing, len(self._history)))

    def _apply(self, commit: Commit) -> None:
        change = self._move_by(commit)
        self._history.append(change)
        self._tell(change)

    def _move_by(self, commit: Commit) -> Change:
        records: dict[tuple[Kind, str], Changed] = {}
        for kind_name, record_id, *fields in json.loads(commit.changes):
            kind = Kind(kind_name)
            changed = self._change_record(kind, record_id, fields, commit.revision)
            if changed:
                earlier = records.get((kind, record_id))
                before = earlier.before if earlier else changed.before
                records[kind, record_id] = Changed(before, changed.after)
        self.revision = commit.revision
        return Change(commit.revision, commit.time_ms, commit.event, records)

    def _change_record(
        self, kind: Kind, record_id: str, fields: list[list[object]], revision: int
    ) -> Changed | None:
        table = self._tables[kind]
        before = table.get(record_id)
        if before is not None and before.rev > revision:
            return None  # loaded after this change had been made
        if not fields:
            table.pop(record_id, None)
            return Changed(before, None) if before else None
        names_and_values = iter(fields[0])
        values = {
            str(name): value for name, value in zip(names_and_values, names_and_values, strict=True)
        }
        if before is not None:
            after = before.updated(values)
        elif RECORDS[kind].identity in values:
            after = RECORDS[kind].parse(values)
        else:
            return None  # loaded after it had been deleted again
        table[record_id] = after
        return Changed(before, after)

    def _tell(self, change: Change | None) -> None:
        for listener in self._listeners:
            listener(change)

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
