"""Turns: who waits keeps its place, and nothing stands idle while somebody waits for it.

What is compared are requests of one user for the same: between users the order follows from what
each has had, which other tests check. Whoever may have lost its lease has no place any more, and
whoever came a moment ago may not have been seen yet.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from chaos.broken import Broken
from chaos.calls import Call
from chaos.history import Line
from chaos.leases import Leases
from chaos.spans import Hit, hits, stalled_s
from chaos.story import Change, Fields, Story

SEEN_MS = 1000.0
#: The lab needs so long at most to give out what is free.
IDLE_LIMIT_MS = 2000.0
#: Without Redis, or whoever decides, nothing is given out; then managers have 5 s to return.
RETURN_MS = 8000.0
_DECIDES = ("redis", "allocate")
_GRANTS = ("grant", "retake")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits.

    Attributes:
        sort: whose it is, and for what.
        came: when it was asked for, which is its place.
        since: when it began to wait, or did again.
    """

    id: str
    sort: tuple[str, ...]
    came: Line
    hosts: int
    since: Line


@dataclass(slots=True)
class Queue:
    """Who waits and what is free, as the change log tells it."""

    came: dict[str, Line] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    managers: dict[str, Fields] = field(default_factory=dict)
    resources: dict[str, Fields] = field(default_factory=dict)

    def take(self, change: Change) -> None:
        if change.kind == "allocation":
            self._take_allocation(change)
        elif change.kind == "manager":
            self.managers[change.id] = change.after
        elif change.kind == "resource":
            self.resources[change.id] = change.after

    def _take_allocation(self, change: Change) -> None:
        after, came = change.after, self.came.setdefault(change.id, change.line)
        if after.get("state") != "QUEUED" or after.get("excluded"):
            self.waiting.pop(change.id, None)
        elif change.id not in self.waiting:
            sort = tuple(after.get(name, "") for name in ("user", "class_id", "priority"))
            hosts = len(json.loads(after.get("demands", "{}")).get("hosts", {}))
            self.waiting[change.id] = Waiting(change.id, sort, came, hosts, change.line)

    def idly(self, leases: Leases, at_ms: float) -> list[Waiting]:
        """Return who waits though there is enough for whoever asks for most."""
        waiting = [each for each in self.waiting.values() if leases.lives(each.id, at_ms)]
        most = max((each.hosts for each in waiting), default=0)
        return waiting if waiting and self._free() >= most else []

    def _free(self) -> int:
        """Count the boards that can be lent and have no hold; none while managers are awaited."""
        if any(manager.get("returning") == "1" for manager in self.managers.values()):
            return 0
        return sum(self._is_free(resource) for resource in self.resources.values())

    def _is_free(self, resource: Fields) -> bool:
        manager = self.managers.get(resource.get("manager", ""), {})
        wanted = {"volunteered": "1", "removed": "0", "holds": "", "rest_until": "0"}
        wanted |= {"health": "HEALTHY", "admin": "ENABLED", "epoch": manager.get("epoch", "?")}
        is_open = all(resource.get(name) == value for name, value in wanted.items())
        return is_open and manager.get("presence") == "ONLINE"


def check_turns(lines: Sequence[Line], calls: Sequence[Call], story: Story) -> Iterator[Broken]:
    leases = Leases(calls, story)
    yield from _order(lines, story, leases)
    yield from _idle(lines, story, leases)


def _order(lines: Sequence[Line], story: Story, leases: Leases) -> Iterator[Broken]:
    """Of one user's requests for the same the first is granted first."""
    queue = Queue()
    for change in story.changes:
        granted = queue.waiting.get(change.id)
        queue.take(change)
        if not granted or change.line["event"] != "grant":
            continue
        for other in queue.waiting.values():
            if other.sort == granted.sort and other.came.at < granted.came.at:
                if _was_seen(lines, other, change.line) and leases.lives(other.id, _t(change.line)):
                    what = f"{granted.id} was granted before {other.id}, which was before it"
                    yield Broken.by(9, what, other.came, granted.came, change.line)


def _was_seen(lines: Sequence[Line], waiting: Waiting, grant: Line) -> bool:
    waited_ms = _t(grant) - _t(waiting.since)
    return waited_ms > SEEN_MS and waited_ms > SEEN_MS + 1000 * stalled_s(
        lines, waiting.since.at, grant.at
    )


def _idle(lines: Sequence[Line], story: Story, leases: Leases) -> Iterator[Broken]:
    """While there is enough for whoever asks for most, somebody is granted something."""
    queue, since = Queue(), None
    away = [hit for hit in hits(lines) if hit.name.startswith(_DECIDES)]
    for line, changes in groupby(story.changes, key=lambda change: change.line):
        waiting = queue.idly(leases, _t(line))
        if since is None or not waiting:
            since = line
        elif _is_too_long(lines, away, since, line):
            what = f"{waiting[0].id} was granted nothing for {(_t(line) - _t(since)) / 1000:.1f} s"
            yield Broken.by(9, f"{what}, though enough was free", waiting[0].since, since, line)
            since = line
        for change in changes:
            queue.take(change)
        if line["event"] in _GRANTS:
            since = line


def _is_too_long(lines: Sequence[Line], away: Iterable[Hit], since: Line, until: Line) -> bool:
    """Say whether somebody should have decided between two entries of the log."""
    begin, end = _t(since), _t(until)
    if end - begin <= IDLE_LIMIT_MS:
        return False
    if any(hit.begin < end and hit.end + RETURN_MS > begin for hit in away):
        return False
    return end - begin > IDLE_LIMIT_MS + 1000 * stalled_s(lines, since.at, until.at)


def _t(line: Line) -> float:
    return float(line["t"])
