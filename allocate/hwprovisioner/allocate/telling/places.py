"""Where queued requests stand, what they wait for and until when; and what of it is news."""

import asyncio

from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.allocate.codec import timestamp
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.telling.ahead import Order, place_of
from hwprovisioner.allocate.telling.outlook import Outlook
from hwprovisioner.allocate.telling.rounds import Rounds
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.view import Change, View
from hwprovisioner.v1 import allocation_pb2

_BEING_GRANTED = "its turn: it is being granted"
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

    def __init__(self, view: View, lab: Lab) -> None:
        """Follow `view`, after `lab` does."""
        self._lab = lab
        self.outlook = Outlook(view, lab)
        self._order: Order | None = None
        self._order_version = -1
        self._rounds = Rounds()
        view.listen(self._note)

    def place(self, allocation: Allocation) -> allocation_pb2.QueuePlace:
        """Return where a queued allocation stands."""
        request = self._lab.planner.queue.requests.get(allocation.id)
        if request is None:  # as in is_being_granted
            return allocation_pb2.QueuePlace(place=1, reason=_BEING_GRANTED)
        expected = self.outlook.expected(request)
        return allocation_pb2.QueuePlace(
            place=self._place(allocation.id),
            reason=self.outlook.reason(request, allocation.last_failure),
            expected_time=timestamp(expected.middle_ms),
            likely_time=timestamp(expected.likely_ms),
        )

    def is_being_granted(self, allocation_id: str) -> bool:
        """Say whether it is decided what a queued allocation gets, and Redis is being told."""
        return allocation_id not in self._lab.planner.queue.requests

    def now_ms(self) -> int:
        """Return the time by the lab's clock, in ms since the epoch."""
        return self._lab.clock.now_ms()

    def prepare(self, count: int) -> None:
        """Make ready for being asked for the places of so many in a row."""
        if count * self._lab.planner.queue.users >= self._lab.queue_length:
            self._take_order()

    def wants_news(self, event: asyncio.Event, place: allocation_pb2.QueuePlace) -> None:
        """Set `event` once places or reasons have changed, for whoever knows a place by now."""
        self._rounds.join(event, place.place)
        if self.outlook.kept.is_old:
            # It was told what was worked out before the last change.
            self.outlook.kept.is_old = False
            self._rounds.changed()

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
        self._rounds.changed()


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
