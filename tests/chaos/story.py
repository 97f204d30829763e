"""What became of each allocation and each hold, as the lab's change log tells it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chaos.history import Line

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One record that an entry of the log changed.

    Attributes:
        before: its fields before, empty if it is new.
        after: its fields now, empty if it is gone.
    """

    line: Line
    kind: str
    id: str
    before: Fields
    after: Fields


@dataclass(slots=True)
class AllocationStory:
    """What the log tells of an allocation."""

    id: str
    submitted: Line
    ttl_ms: int
    readied: Line | None = None
    ended: Line | None = None
    reason: str = ""

    @property
    def end_ms(self) -> float:
        """When it ended by the clock of Redis; infinity if it has not."""
        return float(self.ended["t"]) if self.ended else float("inf")


@dataclass(frozen=True, slots=True)
class HoldStory:
    """What the log tells of a hold."""

    id: str
    allocation: str
    resource: str
    fence: int
    granted: Line


@dataclass(slots=True)
class Story:
    """All of it, but for what Redis has lost.

    Attributes:
        records: as they are at the end, by kind and id.
        lost: the allocations of which Redis has lost something that it had acknowledged.
        lost_holds: the holds that were granted in what it has lost.
    """

    changes: list[Change] = field(default_factory=list)
    allocations: dict[str, AllocationStory] = field(default_factory=dict)
    holds: dict[str, HoldStory] = field(default_factory=dict)
    records: dict[str, dict[str, Fields]] = field(default_factory=lambda: defaultdict(dict))
    lost: set[str] = field(default_factory=set)
    lost_holds: dict[str, HoldStory] = field(default_factory=dict)


def story_of(lines: Iterable[Line]) -> Story:
    """Read the change log in a history."""
    kept, lost = _kept_and_lost(lines)
    story = _told(kept)
    if lost:
        of_holds = {hold.id: hold.allocation for hold in story.holds.values()}
        untold = _told(lost)
        of_holds |= {hold.id: hold.allocation for hold in untold.holds.values()}
        for change in untold.changes:
            if change.kind in ("allocation", "hold"):
                story.lost.add(of_holds.get(change.id, change.id))
        story.lost_holds = untold.holds
    return story


def _kept_and_lost(lines: Iterable[Line]) -> tuple[list[Line], list[Line]]:
    """Tell the entries of the log that are still there from those that Redis has lost."""
    kept, lost = list[Line](), list[Line]()
    for line in lines:
        if line.kind == "log":
            kept.append(line)
        elif line.kind == "rewound":
            while kept and kept[-1]["revision"] > line["revision"]:
                lost.append(kept.pop())
    return kept, lost[::-1]


def _told(entries: Iterable[Line]) -> Story:
    story = Story()
    for line in entries:
        for change in _changes(story, line):
            story.changes.append(change)
            if change.kind == "allocation":
                _tell_allocation(story, change)
            elif change.kind == "hold" and not change.before and "allocation" in change.after:
                _tell_hold(story, change)
    return story


def _changes(story: Story, line: Line) -> Iterator[Change]:
    for kind, record_id, *rest in line["changes"]:
        records = story.records[kind]
        before = records.get(record_id, {})
        if not rest:
            records.pop(record_id, None)
            yield Change(line, kind, record_id, before, {})
            continue
        records[record_id] = {**before, **_pairs(rest[0])}
        yield Change(line, kind, record_id, before, records[record_id])


def _pairs(flat: list[Any]) -> Fields:
    return {str(name): str(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _tell_allocation(story: Story, change: Change) -> None:
    if not change.after:
        return
    if not change.before:
        ttl_ms = int(change.after.get("ttl_ms", 0))
        story.allocations[change.id] = AllocationStory(change.id, change.line, ttl_ms)
    known = story.allocations[change.id]
    state = change.after.get("state")
    if state == "READY" and known.readied is None:
        known.readied = change.line
    elif state == "ENDED" and known.ended is None:
        known.ended, known.reason = change.line, change.after.get("end_reason", "")


def _tell_hold(story: Story, change: Change) -> None:
    after = change.after
    story.holds[change.id] = HoldStory(
        *(change.id, after["allocation"], after["resource"], int(after["fence"]), change.line)
    )
