"""Connections to a lab, opened when they are first used, and calls over them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from hwprovisioner.client.channel import Channels
from hwprovisioner.client.clock import SYSTEM_TIME, Time
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.trying_again import call_again, stream_again

Answer = TypeVar("Answer")


class Connected:
    """Belongs to the event loop that uses it first."""

    def __init__(
        self,
        address: str | None = None,
        heartbeat_address: str | None = None,
        *,
        settings: Settings | None = None,
        time: Time = SYSTEM_TIME,
    ) -> None:
        """Remembers where the lab is; nothing is connected yet.

        Args:
            address: Of the Allocate service; else environment ALLOCATE_API, else 127.0.0.1:8080.
            heartbeat_address: Of the Heartbeat service; else HEARTBEAT_API, else 127.0.0.1:7080.
            settings: Instead of both and the environment.
            time: Tells and passes time; for tests.

        Raises:
            BadDemand: An address cannot be read.
        """
        self.settings = settings or Settings.from_env(
            os.environ, allocate_address=address, heartbeat_address=heartbeat_address
        )
        self._time = time
        self._opened: Channels | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def is_open(self) -> bool:
        """Whether there are connections to close."""
        return self._opened is not None

    async def close(self) -> None:
        """Closes the connections. What is still allocated expires unless it was released."""
        channels, self._opened = self._opened, None
        if channels:
            await channels.close()

    def _channels(self) -> Channels:
        if self._opened is None:
            self._opened = Channels(self.settings.allocate_address, self.settings.heartbeat_address)
        return self._opened

    async def _call(self, send: Callable[[float], Awaitable[Answer]]) -> Answer:
        return await call_again(send, self.settings, self._time)

    def _retaken(self, start: Callable[[], AsyncIterator[Answer]]) -> AsyncIterator[Answer]:
        return stream_again(start, self.settings, self._time)
