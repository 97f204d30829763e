"""What clients and exporters of labgrid have in common on the wire."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

VERSION = "26.0.1"
CHANNEL = [
    # The coordinator knows sessions by their connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 7500),
    ("grpc.keepalive_timeout_ms", 10000),
    ("grpc.http2.max_pings_without_data", 0),
]
_Message = TypeVar("_Message")


class Outbox(Generic[_Message]):
    """What is to be said on a stream."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[_Message] = asyncio.Queue()

    def put(self, message: _Message) -> None:
        """Say it next."""
        self._queue.put_nowait(message)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            yield await self._queue.get()
