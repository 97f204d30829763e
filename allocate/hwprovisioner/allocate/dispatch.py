"""Telling those that wait for news of an allocation, of a manager's holds or of the whole lab."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hwprovisioner.serving import Refused
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Hold, Resource
from hwprovisioner.state.view import Change, View

Topic = tuple[Kind | None, str]
"""An allocation and its holds, or a manager, its resources and their holds, by kind and id."""

LAB: Topic = None, ""
"""Everything."""

Subscriber = Callable[[Change | None], None]


class Dispatch:
    """Routes the changes of a view by what they are about, until the server stops."""

    def __init__(self, view: View) -> None:
        """Begin to follow `view`."""
        self._subscribers: defaultdict[Topic, list[Subscriber]] = defaultdict(list)
        self._stopping = asyncio.Event()
        view.listen(self._route)

    @contextmanager
    def subscribed(self, topic: Topic, subscriber: Subscriber) -> Iterator[None]:
        """Tell `subscriber` of each change of a topic, and None when everything may be new."""
        self._subscribers[topic].append(subscriber)
        try:
            yield
        finally:
            self._subscribers[topic].remove(subscriber)
            if not self._subscribers[topic]:
                del self._subscribers[topic]

    async def wait(self, news: asyncio.Event) -> None:
        """Wait for an event that a subscriber sets.

        Raises:
            Refused: STOPPING, the server stops.
        """
        self.check_running()
        await news.wait()
        self.check_running()

    async def until_stopping(self) -> None:
        """Wait until the server stops."""
        await self._stopping.wait()

    def check_running(self) -> None:
        """Refuse to go on, with STOPPING, when the server stops."""
        if self._stopping.is_set():
            raise Refused("STOPPING", "this server is stopping: connect again, to it or another")

    async def end_at(self, stopping: asyncio.Event) -> None:
        """Once `stopping` is set, tell everybody, so that open streams end by themselves."""
        await stopping.wait()
        self._stopping.set()
        self._route(None)
        await asyncio.Event().wait()

    def _route(self, change: Change | None) -> None:
        topics = list(self._subscribers) if change is None else dict.fromkeys(_topics(change))
        for topic in topics:
            for subscriber in list(self._subscribers.get(topic, ())):
                subscriber(change)


def _topics(change: Change) -> Iterator[Topic]:
    """Yield what a change is about; managers before holders, as they have something to do."""
    for (kind, record_id), changed in change.records.items():
        if kind in (Kind.ALLOCATION, Kind.MANAGER):
            yield kind, record_id
        elif kind is Kind.HOLD:
            hold = changed.after or changed.before
            if isinstance(hold, Hold):
                yield Kind.MANAGER, hold.manager
                yield Kind.ALLOCATION, hold.allocation
        elif kind is Kind.RESOURCE:
            resource = changed.after or changed.before
            if isinstance(resource, Resource):
                yield Kind.MANAGER, resource.manager
    yield LAB
