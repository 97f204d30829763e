"""What replicas tell one another at once, over Redis' Pub/Sub.

It may be missed, while the connection is away say. So whoever tells something tells it again until
there is an answer, and whoever waits looks again by itself.
"""

import asyncio
import logging
from collections.abc import Callable

from google.protobuf.message import DecodeError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from hwprovisioner.state.channels import read_signal
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.pubsub import check_not_cancelled

_log = logging.getLogger(__name__)

_RETRY_S = 0.2

Listener = Callable[[str, str], None]
"""Told whom or what a signal is about, and its words."""


class Signals:
    """Hears what the replicas of one lab tell, this one too."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        """Listen over `redis`, which decodes."""
        self._redis = redis
        self._topic = keys.signals
        self._listeners: dict[str, Listener] = {}
        self.hears = asyncio.Event()
        """Whether signals come in at present."""

    def on(self, kind: str, listener: Listener) -> None:
        """Tell `listener` each signal of a kind; there is one for each."""
        self._listeners[kind] = listener

    async def listen(self) -> None:
        """Listen until cancelled; Redis may go away and come back."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                _log.debug("no signals for now: %s", error)
            finally:
                self.hears.clear()
            await asyncio.sleep(_RETRY_S)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(self._topic)
            while True:
                message = await pubsub.get_message(timeout=1.0)
                check_not_cancelled()
                match message:
                    case {"type": "subscribe"}:
                        self.hears.set()
                    case {"type": "message", "data": str(text)}:
                        self._hear(text)

    def _hear(self, text: str) -> None:
        try:
            kind, name, words = read_signal(text)
            if (listener := self._listeners.get(kind)) is not None:
                listener(name, words)
        except (ValueError, DecodeError):
            # Of another version, or of no replica at all; it must not take this one down.
            _log.warning("a signal that cannot be understood is ignored")
