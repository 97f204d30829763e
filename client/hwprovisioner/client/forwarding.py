"""A local port that leads to a port of a host, through the lab."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

from hwprovisioner.client.errors import LabError
from hwprovisioner.client.reach import Reach, checked_port
from hwprovisioner.client.tunnel import CHUNK, Tunnel

_log = logging.getLogger(__name__)

#: Told of a connection that could not be made, or broke.
Trouble = Callable[[LabError], None]


def _warn(error: LabError) -> None:
    _log.warning("%s", error.message)


class AsyncForward:
    """A local port that leads to a port of a host, for the length of a block.

    Attributes:
        address: Where to connect to: this machine.
        port: The local port.
    """

    def __init__(
        self, reach: Reach, port: int, local_port: int = 0, *, on_trouble: Trouble = _warn
    ) -> None:
        """Listens once the block begins.

        Args:
            reach: The host.
            port: Its port.
            local_port: The local port; 0: any that is free.
            on_trouble: Told what is wrong with a connection, which is then closed.

        Raises:
            BadDemand: That is no port.
        """
        self._reach = reach
        self._to = checked_port(port)
        self._local_port = local_port and checked_port(local_port)
        self._on_trouble = on_trouble
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.address = "127.0.0.1"
        self.port = 0

    async def __aenter__(self) -> Self:
        """Begins to listen.

        Raises:
            LabError: The local port cannot be had.
        """
        try:
            self._server = await asyncio.start_server(
                self._connected, self.address, self._local_port, limit=CHUNK
            )
        except OSError as error:
            # asyncio's own words would say the address once more.
            why = os.strerror(error.errno) if error.errno else str(error)
            raise LabError(
                f"cannot listen on {self.address}:{self._local_port}: {why};"
                " name another local port, or 0 for any that is free",
                reason="PORT_TAKEN",
                metadata={"port": str(self._local_port)},
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stops listening, and cuts what is connected. Doing so twice changes nothing."""
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """The same without waiting for it."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio would report its cancellation as an error.
        task = asyncio.create_task(self._serve(reader, writer), name="hwp-forward")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with await self._reach.connect(self._to) as tunnel:
                await pump(tunnel, reader, writer)
            writer.close()
        except LabError as error:
            self._on_trouble(error)
        except OSError as error:
            _log.debug("a local connection broke: %s", error)
        finally:
            if not writer.is_closing():
                _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes a connection so that its other end does not take it for a good end."""
    with contextlib.suppress(OSError):
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


async def pump(tunnel: Tunnel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carries bytes both ways until both have ended.

    Raises:
        LabError: The tunnel broke.
        OSError: The local connection did.
    """
    tasks = {
        asyncio.create_task(_send(tunnel, reader)),
        asyncio.create_task(_receive(tunnel, writer)),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(tunnel: Tunnel, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(CHUNK):
        await tunnel.write(data)
    await tunnel.write_eof()


async def _receive(tunnel: Tunnel, writer: asyncio.StreamWriter) -> None:
    while data := await tunnel.read():
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
