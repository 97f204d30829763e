"""The terminal of a container as a channel."""

from __future__ import annotations

import contextlib

import aiohttp
from aiodocker.containers import DockerContainer
from aiodocker.stream import Stream

from hwprovisioner.resourcemanager.drivers._terminal import Terminal


class Console(Terminal):
    """Lasts until it is closed, or the container ends."""

    def __init__(self, stream: Stream, opened: contextlib.AsyncExitStack) -> None:
        """Take over a stream, and what was opened for it."""
        super().__init__()
        self._stream = stream
        self._opened = opened

    @classmethod
    async def attach(cls, container: DockerContainer, opened: contextlib.AsyncExitStack) -> Console:
        """Attach to a running container. What was opened for that is closed with the console."""
        stream = container.attach(stdin=True, stdout=True, stderr=True, logs=True)
        await stream.__aenter__()
        return cls(stream, opened.pop_all())

    async def next_chunk(self) -> bytes:
        """Return what the terminal shows next."""
        try:
            message = await self._stream.read_out()
        except (aiohttp.ClientError, OSError):
            message = None
        return message.data if message is not None else b""

    async def type_chunk(self, data: bytes) -> bool:
        """Type bytes."""
        try:
            await self._stream.write_in(data)
        except (aiohttp.ClientError, OSError):
            return False
        return True

    async def release(self) -> None:
        """Leave the container to itself."""
        # The stream expects that it has a connection still, and the container may have ended it.
        with contextlib.suppress(AssertionError):
            await self._stream.close()
        await self._opened.aclose()
