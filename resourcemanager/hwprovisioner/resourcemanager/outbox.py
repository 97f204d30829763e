"""What is to be said on one stream, in order."""

from __future__ import annotations

import asyncio
from collections import deque

from hwprovisioner.v1 import manager_stream_pb2 as stream

#: Progress lines are dropped when so much is waiting: the lab does not read as fast as drivers
#: talk.
CROWDED = 1_000


class Outbox:
    """A queue with one reader. Putting never waits."""

    def __init__(self) -> None:
        self._messages: deque[stream.SubscribeRequest] = deque()
        self._news = asyncio.Event()
        self._is_closed = False

    def put(self, message: stream.SubscribeRequest) -> None:
        """Add a message.

        After `close` it is dropped; a progress line also when the queue is long.
        """
        event = message.WhichOneof("event")
        if self._is_closed or (event == "progress" and len(self._messages) >= CROWDED):
            return
        if event == "pong":
            self._messages.appendleft(message)
        else:
            self._messages.append(message)
        self._news.set()

    def close(self) -> None:
        """Take no more messages; the reader gets what is left."""
        self._is_closed = True
        self._news.set()

    async def get(self) -> stream.SubscribeRequest | None:
        """Return the next message, `None` at the end."""
        while not self._messages:
            if self._is_closed:
                return None
            self._news.clear()
            await self._news.wait()
        return self._messages.popleft()
