"""Consoles that come and go in chunks, as channels."""

from __future__ import annotations

import abc
import asyncio


class Terminal(abc.ABC):
    """A console; both ends of the channel in one."""

    def __init__(self) -> None:
        """Begin to type what is written."""
        self._unread = b""
        self._to_type: asyncio.Queue[bytes] = asyncio.Queue()
        self._typing = asyncio.create_task(self._type_all(), name="types on a console")
        self._releasing: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def next_chunk(self) -> bytes:
        """Return what the console says next, nothing at its end."""

    @abc.abstractmethod
    async def type_chunk(self, data: bytes) -> bool:
        """Type bytes; return whether more can be typed."""

    @abc.abstractmethod
    async def release(self) -> None:
        """Leave the console to itself. Whoever waits for its next words gets none."""

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, none at the end."""
        if not self._unread:
            self._unread = await self.next_chunk()
        size = len(self._unread) if n < 0 else n
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def write(self, data: bytes) -> None:
        """Type bytes, some time."""
        self._to_type.put_nowait(data)

    async def drain(self) -> None:
        """Wait until all that was written is typed, or cannot be any more."""
        typed = asyncio.create_task(self._to_type.join())
        try:
            await asyncio.wait([typed, self._typing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            typed.cancel()

    def write_eof(self) -> None:  # noqa: B027  # nothing to do is a right answer
        """Do nothing: a terminal's input has no end but what is typed."""

    def close(self) -> None:
        """Leave the console to itself."""
        self._typing.cancel()
        if self._releasing is None:
            self._releasing = asyncio.create_task(self.release(), name="leaves a console")

    async def _type_all(self) -> None:
        while await self.type_chunk(await self._to_type.get()):
            self._to_type.task_done()
