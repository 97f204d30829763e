"""Until when leases lived at least, by the heartbeats that are known to have been accepted."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

from chaos.calls import Call
from chaos.story import Story

#: Whoever is about to die may be taken for dead.
_MARGIN_MS = 100.0


class Leases:
    """The leases of a history, in ms since the epoch."""

    def __init__(self, calls: Iterable[Call], story: Story) -> None:
        self._story = story
        self._beats: dict[str, list[float]] = defaultdict(list)
        for known in story.allocations.values():
            self._beats[known.id].append(float(known.submitted["t"]))
        for call in calls:
            if call.name == "beat" and call.outcome == "ok" and call.allocation in self._beats:
                self._beats[call.allocation].append(call.asked.wall_ms)
        for beats in self._beats.values():
            beats.sort()

    def lives(self, allocation: str, at_ms: float) -> bool:
        """Say whether an allocation's lease is known to live at a time."""
        beats = self._beats.get(allocation, [])
        newest = bisect_right(beats, at_ms) - 1
        if newest < 0:
            return False
        ttl_ms = self._story.allocations[allocation].ttl_ms
        return beats[newest] + ttl_ms > at_ms + _MARGIN_MS
