"""Telling what becomes of an allocation until it ends.

The streams of Allocate and WatchAllocation.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hwprovisioner.allocate.codec import Codec, duration
from hwprovisioner.allocate.dispatch import Dispatch
from hwprovisioner.allocate.telling.places import Places, is_news
from hwprovisioner.state.errors import NoSuchAllocation
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import AllocationState, HoldState
from hwprovisioner.state.view import Change, View
from hwprovisioner.v1 import allocation_pb2
from hwprovisioner.v1.allocate_service_pb2 import AllocationUpdate, Preparing

_QUEUED = AllocationState.QUEUED
_LINES_KEPT = 256
"""So many progress lines wait for a slow reader; older ones are dropped."""
_TURNS_TO_GRANT = 3
"""So many turns of the loop it takes from a new request to a grant that is on its way to Redis."""
_GRANT_S = 0.1
"""A grant that is on its way is told by itself, unless it takes longer."""


@dataclass(slots=True)
class _Watch:
    """What happened to an allocation since its watcher looked, and what the watcher was told."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    lines: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    place: allocation_pb2.QueuePlace | None = None
    state: AllocationState | None = None
    left_ms: int | None = None
    """What the lease has left, if that was read just now, before the watcher was told anything."""

    def note(self, change: Change | None) -> None:
        """Take a change in."""
        if change is not None:
            for changed in change.records.values():
                after = changed.after
                before = changed.before
                if isinstance(after, Hold) and after.state is not HoldState.CLEANING:
                    told = before.progress if isinstance(before, Hold) else ""
                    if after.progress not in ("", told):
                        self.lines.append((after.host, after.progress))
        self.news.set()

    def taken_lines(self, *, begins: bool) -> list[tuple[str, str]]:
        """Return the progress lines that came since this was asked last, with their hosts.

        Also those that came in the same moment as what they led to. Before them comes an empty one
        if the preparation `begins`.
        """
        lines = [("", ""), *self.lines] if begins else list(self.lines)
        self.lines.clear()
        return lines


class Updates:
    """Makes the updates of allocations."""

    def __init__(
        self, view: View, dispatch: Dispatch, places: Places, codec: Codec, reader: Reader
    ) -> None:
        """Tell of the allocations of `view`."""
        self._view = view
        self._dispatch = dispatch
        self._places = places
        self._codec = codec
        self._reader = reader

    async def follow(
        self,
        allocation_id: str,
        *,
        with_connections: bool,
        just_queued: bool = False,
        left_ms: int | None = None,
    ) -> AsyncIterator[AllocationUpdate]:
        """Yield where an allocation stands, then each change, until it has ended.

        Of one that was `just_queued`, nothing has to be asked to say so; `left_ms` is what the
        lease of another has left, which is asked for if not given.

        Raises:
            NoSuchAllocation: there is none, or it was forgotten meanwhile.
        """
        watch = _Watch(left_ms=left_ms)
        with self._dispatch.subscribed((Kind.ALLOCATION, allocation_id), watch.note):
            if just_queued and (first := await self._first(watch, allocation_id)):
                yield first
                await self._dispatch.wait(watch.news)
            while True:
                watch.news.clear()
                allocation = self._view.allocations.get(allocation_id)
                if allocation is None:
                    raise NoSuchAllocation(allocation_id)
                async for update in self._news(watch, allocation, with_connections):
                    yield update
                if watch.state is AllocationState.ENDED:
                    return
                await self._dispatch.wait(watch.news)

    async def _first(self, watch: _Watch, allocation_id: str) -> AllocationUpdate | None:
        """Return that a new request is queued; None if that is over, as of most in an idle lab."""
        watch.state = _QUEUED
        turns = _TURNS_TO_GRANT
        while turns and self._in_queue(allocation_id):
            turns -= 1
            await asyncio.sleep(0)
        if self._in_queue(allocation_id) and self._places.is_being_granted(allocation_id):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRANT_S):
                    await watch.news.wait()
        allocation = self._in_queue(allocation_id)
        if allocation is None:
            return None
        watch.place = self._places.place(allocation)
        self._places.wants_news(watch.news, watch.place)
        return self._queued(allocation, allocation.ttl_ms, watch.place)

    def _in_queue(self, allocation_id: str) -> Allocation | None:
        allocation = self._view.allocations.get(allocation_id)
        is_queued = allocation is not None and allocation.state is _QUEUED
        return allocation if is_queued else None

    def _queued(
        self, allocation: Allocation, remaining_ms: int | None, place: allocation_pb2.QueuePlace
    ) -> AllocationUpdate:
        message = self._codec.allocation(allocation, remaining_ms=remaining_ms)
        message.queue_place.CopyFrom(place)
        return AllocationUpdate(allocation=message, queued=place)

    async def shown(
        self, allocation: Allocation, *, with_connections: bool, remaining_ms: int | None = None
    ) -> allocation_pb2.Allocation:
        """Return an allocation as it is now; what its lease has left is asked for if not given."""
        is_queued = allocation.state is _QUEUED
        place = self._places.place(allocation) if is_queued else None
        is_secret = with_connections and allocation.state is AllocationState.READY
        if remaining_ms is None and allocation.state is not AllocationState.ENDED:
            remaining_ms = await self._left_ms(allocation.id)
        connections = await self._reader.connections(allocation.holds) if is_secret else {}
        message = self._codec.allocation(
            allocation, remaining_ms=remaining_ms, connections=connections
        )
        if place:
            message.queue_place.CopyFrom(place)
        return message

    async def _left_ms(self, allocation_id: str) -> int | None:
        return (await self._reader.remaining_ms([allocation_id])).get(allocation_id)

    async def _news(
        self, watch: _Watch, allocation: Allocation, with_connections: bool
    ) -> AsyncIterator[AllocationUpdate]:
        before, watch.state = watch.state, allocation.state
        is_new, is_queued = allocation.state is not before, allocation.state is _QUEUED
        left_ms, watch.left_ms = watch.left_ms, None
        if before and is_new and not is_queued:
            # Who saw the change of state is told what the lease had left then, which is just now.
            left_ms = allocation.left_ms
        async for update in self._progress(watch, allocation, is_new, left_ms):
            yield update
        if is_queued:
            place = self._places.place(allocation)
            self._places.wants_news(watch.news, place)
            if is_new or is_news(place, watch.place, self._places.now_ms()):
                watch.place = place
                # Whoever hears of a new place beats, and knows what that has left.
                if is_new and left_ms is None:
                    left_ms = await self._left_ms(allocation.id)
                yield self._queued(allocation, left_ms, place)
        elif is_new and allocation.state is not AllocationState.PREPARING:
            message = await self.shown(
                allocation, with_connections=with_connections, remaining_ms=left_ms
            )
            yield self._outcome(message)

    async def _progress(
        self, watch: _Watch, allocation: Allocation, is_new: bool, left_ms: int | None
    ) -> AsyncIterator[AllocationUpdate]:
        begins = is_new and allocation.state is AllocationState.PREPARING
        lines = watch.taken_lines(begins=begins)
        if lines:
            message = await self.shown(allocation, with_connections=False, remaining_ms=left_ms)
            for host, line in lines:
                progress = Preparing(host=host, message=line)
                yield AllocationUpdate(allocation=message, preparing=progress)

    def _outcome(self, message: allocation_pb2.Allocation) -> AllocationUpdate:
        update = AllocationUpdate(allocation=message)
        if message.state == allocation_pb2.ALLOCATION_STATE_READY:
            update.ready.remaining_lease.CopyFrom(message.remaining_lease)
        elif message.state == allocation_pb2.ALLOCATION_STATE_BOOKED:
            left_ms = message.book_start_time.ToMilliseconds() - self._places.now_ms()
            update.booked.remaining.CopyFrom(duration(max(0, left_ms)))
        else:
            update.ended.reason = message.end_reason
            update.ended.detail = message.end_detail
        return update
