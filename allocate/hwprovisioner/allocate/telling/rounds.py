"""When those who wait are told of a new place: the nearer they are to the front, the sooner.

Who is third wants to know at once that they are second now; to be 870th instead of 871st says
little. So each is told at most so often as their place is worth, which makes some 130 a second of
1,000 who wait. They are told a few at a time, with rests between, and while nothing else
goes on: whoever is granted something does not wait behind those who are not.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable

SOONEST_S = 0.25
"""After a change it takes so long until the first are told, and nobody is told more often."""
EACH_PLACE_S = 0.05
"""Nor more often than every so many times their place."""
LATEST_S = 60.0
"""But after so long everybody is told, if that takes no more than a twentieth of the time."""
_LATER = 4
"""Where there is not the time for all, who has waited for the largest part of so many times their
pause goes first: so all are told later by about the same factor, up to this."""
REST = 20
"""What telling some took is followed by so many times as long a rest."""
_AT_ONCE = 2
"""So many are told in one go, before others have a turn."""
_QUIET_S, _PATIENCE_S = 0.015, 0.04
"""Nobody is told until nothing has changed for so long, unless that takes longer than so long: what
one change leads to, as a release to a grant, is done by then."""


class Rounds:
    """Wakes those who want to hear of changes."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        effort: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begin with nobody; `clock` tells seconds, `effort` those that this thread has worked."""
        self._clock = clock
        self._effort = effort
        self._content: dict[asyncio.Event, tuple[float, float]] = {}
        """Those who have heard of every change, from when they may be told of another, and until
        when they should."""
        self._curious: set[asyncio.Event] = set()
        self._due: list[tuple[float, int, float, asyncio.Event]] = []
        """The curious, as a heap: who may be told first comes first. With when they should have
        been told at the latest."""
        self._ripe: list[tuple[float, int, asyncio.Event]] = []
        """Those of them that may be told now, as a heap by that."""
        self._numbers = itertools.count()
        self._changed_s = 0.0
        self._rested_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_s = 0.0

    def join(self, event: asyncio.Event, place: int) -> None:
        """Set `event` once there was a change, and it is time for whoever was told a place now."""
        if event not in self._curious:
            now_s, wait_s = self._clock(), _pause_s(place)
            self._content[event] = now_s + wait_s, now_s + _LATER * wait_s

    def changed(self) -> None:
        """Note that everybody may have another place."""
        self._changed_s = self._clock()
        for event, (due_s, last_s) in self._content.items():
            heapq.heappush(self._due, (due_s, next(self._numbers), last_s, event))
        self._curious.update(self._content)
        self._content.clear()
        if self._curious:
            self._wind(self._changed_s + SOONEST_S)

    def _wind(self, earliest_s: float) -> None:
        rings_s = max(earliest_s, self._rested_s)
        if not self._ripe:
            rings_s = max(rings_s, self._due[0][0])
        if self._timer is not None:
            if self._rings_s <= rings_s:
                return
            self._timer.cancel()
        self._rings_s = rings_s
        self._wake_at(rings_s)

    def _wake_at(self, moment_s: float) -> None:
        # The loop's timers may ring up to a millisecond early.
        delay_s = max(0.001, moment_s - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        quiet_s = self._changed_s + _QUIET_S
        if self._clock() < min(quiet_s, self._rings_s + _PATIENCE_S):
            self._wake_at(quiet_s)
        else:
            self._tell()

    def _tell(self) -> None:
        self._timer = None
        began_s = self._effort()
        while self._due and self._due[0][0] <= self._clock():
            _, number, last_s, event = heapq.heappop(self._due)
            heapq.heappush(self._ripe, (last_s, number, event))
        for _ in range(min(_AT_ONCE, len(self._ripe))):
            *_, event = heapq.heappop(self._ripe)
            self._curious.remove(event)
            event.set()
        # What they take is known once they have had their turn.
        asyncio.get_running_loop().call_soon(self._rest, began_s)

    def _rest(self, began_s: float) -> None:
        self._rested_s = self._clock() + REST * (self._effort() - began_s)
        if self._curious:
            self._wind(self._rested_s)


def _pause_s(place: int) -> float:
    """Return after how long whoever was told a place may be told another."""
    return min(LATEST_S, max(SOONEST_S, place * EACH_PLACE_S))
