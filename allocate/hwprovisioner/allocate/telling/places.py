"""Where queued requests stand, what they wait for and until when; and who is told when it changes.

Telling never takes more than about a twentieth of the time: however many wait, and however much
changes, what a round of it took is followed by twenty times as long a rest.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.allocate.codec import timestamp
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.telling.ahead import Order, place_of
from hwprovisioner.allocate.telling.kept import REST
from hwprovisioner.allocate.telling.outlook import Outlook
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.view import Change, View
from hwprovisioner.v1 import allocation_pb2

PLACES_S = 0.25
"""Places in the queue are told at most so often."""
_BEING_GRANTED = "its turn: it is being granted"
_AT_ONCE = 64
"""So many are told in one go, before others have a turn."""
_MANY = 1_000
"""With no more in the queue, nothing is told that was worked out before the last change."""
_FEW = 64
"""Of so many users it is counted anew for each request what they have before it."""
_NOTABLE_MS = 60_000
_NOTABLE_PART = 8
"""That something is expected later or sooner is told if it is by more than a minute, and by more
than an eighth of the time until then."""


class Places:
    """Tells where queued requests stand, and who wants to hear of changes."""

    def __init__(
        self, view: View, lab: Lab, effort: Callable[[], float] = time.thread_time
    ) -> None:
        """Follow `view`, after `lab` does; `effort` tells how long this thread has worked, in s."""
        self._lab = lab
        self._effort = effort
        self.outlook = Outlook(view, lab)
        self._order: Order | None = None
        self._order_version = -1
        self._told_version = lab.version
        self._waiting: dict[asyncio.Event, None] = {}
        self._round: deque[asyncio.Event] = deque()
        self._spent_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        view.listen(self._note)

    def place(self, allocation: Allocation) -> allocation_pb2.QueuePlace:
        """Return where a queued allocation stands."""
        with self.telling():
            request = self._lab.planner.queue.requests.get(allocation.id)
            if request is None:
                # It is decided what it gets; the script that grants it has not answered yet.
                return allocation_pb2.QueuePlace(place=1, reason=_BEING_GRANTED)
            expected = self.outlook.expected(request)
            place = allocation_pb2.QueuePlace(
                place=self._place(allocation.id),
                reason=self.outlook.reason(request, allocation.last_failure),
                expected_time=timestamp(expected.middle_ms),
                likely_time=timestamp(expected.likely_ms),
            )
        if self.outlook.kept.is_old:
            self.outlook.kept.is_old = False
            self._told_version = -1
            self._wind()
        return place

    def now_ms(self) -> int:
        """Return the time by the lab's clock, in ms since the epoch."""
        return self._lab.clock.now_ms()

    def prepare(self, count: int) -> None:
        """Make ready for being asked for the places of so many in a row."""
        if count * self._lab.planner.queue.users >= self._lab.queue_length:
            self._take_order()

    def wants_news(self, event: asyncio.Event) -> None:
        """Set `event` once when places or reasons have changed."""
        self._waiting[event] = None

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Count the time that the block takes as spent on telling; it must not wait."""
        begin = self._effort()
        try:
            yield
        finally:
            self._spent_s += self._effort() - begin

    def _place(self, allocation_id: str) -> int:
        if self._lab.planner.queue.users > _FEW:
            self._take_order()
        is_new = self._order_version == self._lab.version
        if self._order and (is_new or len(self._order) > _MANY):
            self.outlook.kept.is_old |= not is_new
            return self._order.place(allocation_id)
        return place_of(self._lab.planner.queue, allocation_id)

    def _take_order(self) -> None:
        """Take the order of all requests down, if it is time."""
        order = self.outlook.order()
        if order is not self._order:
            self._order, self._order_version = order, self._lab.version

    def _note(self, change: Change | None) -> None:
        if self._waiting and self._lab.version != self._told_version:
            self._wind()

    def _wind(self) -> None:
        if self._timer is None:
            pause_s = 0.0 if self._round else PLACES_S
            spent_s, self._spent_s = self._spent_s, 0.0
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(pause_s, REST * spent_s), self._tell)

    def _tell(self) -> None:
        self._timer = None
        if not self._round:
            self._told_version = self._lab.version
            self._round.extend(self._waiting)
            self._waiting.clear()
            with self.telling():
                self.prepare(len(self._round))
        for _ in range(min(_AT_ONCE, len(self._round))):
            self._round.popleft().set()
        if self._round:
            # What they take is known once they have had their turn.
            asyncio.get_running_loop().call_soon(self._wind)


def is_news(
    place: allocation_pb2.QueuePlace, told: allocation_pb2.QueuePlace | None, now_ms: int
) -> bool:
    """Say whether a place differs from what was told before by more than nobody would mind."""
    if told is not None and place.reason == _BEING_GRANTED:
        return False  # What it gets is told in a moment.
    if told is None or (place.place, place.reason) != (told.place, told.reason):
        return True
    return any(
        _is_other(getattr(place, field), getattr(told, field), now_ms)
        for field in ("expected_time", "likely_time")
    )


def _is_other(instant: Timestamp, told: Timestamp, now_ms: int) -> bool:
    before, after = told.ToMilliseconds(), instant.ToMilliseconds()
    if not before or not after:
        return before != after
    apart = abs(after - before)
    return apart > _NOTABLE_MS and apart * _NOTABLE_PART > max(0, after - now_ms)
