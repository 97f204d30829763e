"""The terminal of a container as a channel."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from aiodocker.containers import DockerContainer
from aiodocker.stream import Stream


class Console:
    """Reads what a container's terminal shows, and types what is written.

    Both ends of the channel in one: it lasts until it is closed, or the container ends.
    """

    def __init__(self, stream: Stream, opened: contextlib.AsyncExitStack) -> None:
        self._stream = stream
        self._opened = opened
        self._read = b""
        self._to_type: asyncio.Queue[bytes] = asyncio.Queue()
        self._typing = asyncio.create_task(self._type(), name="docker console")
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def attach(cls, container: DockerContainer, opened: contextlib.AsyncExitStack) -> Console:
        """Attach to a running container. What was opened for that is closed with the console."""
        stream = container.attach(stdin=True, stdout=True, stderr=True, logs=True)
        await stream.__aenter__()
        return cls(stream, opened.pop_all())

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, none at the end."""
        if not self._read:
            try:
                message = await self._stream.read_out()
            except (aiohttp.ClientError, OSError):
                message = None
            self._read = message.data if message is not None else b""
        size = len(self._read) if n < 0 else n
        data, self._read = self._read[:size], self._read[size:]
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

    def write_eof(self) -> None:
        """Do nothing: a terminal's input has no end but what is typed."""

    def close(self) -> None:
        """Leave the container to itself."""
        self._typing.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._release(), name="docker console closes")

    async def _type(self) -> None:
        # Where the container has ended, nobody types any more.
        with contextlib.suppress(aiohttp.ClientError, OSError):
            while True:
                await self._stream.write_in(await self._to_type.get())
                self._to_type.task_done()

    async def _release(self) -> None:
        # The stream expects that it has a connection still, and the container may have ended it.
        with contextlib.suppress(AssertionError):
            await self._stream.close()
        await self._opened.aclose()
