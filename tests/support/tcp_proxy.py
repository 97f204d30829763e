"""A TCP proxy that cuts, delays and drops what goes to a server and comes from it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable


class TcpProxy:
    """Stands before a server on loopback.

    Attributes:
        port: where it listens.
        connections: how many have been made so far.
        dropping: replies are thrown away while this is true; requests reach the server.
        deaf: neither requests nor replies get through while this is true, and nobody is told: as
            when a cable is pulled.
        delay_s: how much longer each request and each reply takes.
        rewrite: done to whatever is replied.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._half_open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.connections = 0
        self.dropping = False
        self.deaf = False
        self.delay_s = 0.0
        self.rewrite: Callable[[bytes], bytes] = bytes
        self.dropped = asyncio.Event()

    def hold_replies(self) -> None:
        """Keep replies back until `release_replies`."""
        self._flowing.clear()

    def release_replies(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Cut all connections; new ones are taken."""
        for near, far in self._open.items():
            near.transport.abort()
            far.transport.abort()

    def half_open(self) -> None:
        """Let nothing through on the connections that there are, and tell nobody; new ones work."""
        self._half_open |= self._open.keys()

    async def serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            near.transport.abort()
            return
        self._open[near] = far
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(near_reader, near, far))
                group.create_task(self._replies(far_reader, near))
        except* (OSError, EOFError):
            pass
        finally:
            del self._open[near]
            self._half_open.discard(near)
            near.transport.abort()
            far.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, near: asyncio.StreamWriter, far: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            await self._slow()
            if not self.deaf and near not in self._half_open:
                far.write(data)
                await far.drain()
        raise EOFError

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            await self._slow()
            if self.dropping or self.deaf or writer in self._half_open:
                self.dropped.set()
                continue
            writer.write(self.rewrite(data))
            await writer.drain()
        raise EOFError

    async def _slow(self) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)


@contextlib.asynccontextmanager
async def proxy_to(port: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[TcpProxy]:
    """Start a proxy to a port; with `tls` it is what speaks TLS to its callers."""
    proxy = TcpProxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()
