"""A machine whose power can be switched, with a serial console and ports, and holders of it."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio

from hwprovisioner.resourcemanager import Connection, Driver, DriverError, Hold, Report
from hwprovisioner.resourcemanager.driver import Channel
from hwprovisioner.resourcemanager.model import Power
from hwprovisioner.v1 import allocate_service_pb2 as pb
from support.asking import LIMIT_S, Asked

CHUNK = 64 * 1024
GREETING = b"login: "


@dataclass
class Machine:
    """What its driver does, and what was done to it. Its console echoes in upper case."""

    socket: Path
    has_power: bool = True
    has_console: bool = True
    switched: list[Power] = field(default_factory=list)
    trouble: str = ""
    #: Power is switched once the test sets it.
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    switching: asyncio.Event = field(default_factory=asyncio.Event)
    connection: Connection = field(default_factory=lambda: Connection("tcp", "127.0.0.1"))
    consoles: int = 0
    serving: set[asyncio.Task[Any]] = field(default_factory=set)
    #: What opens the console instead.
    opens: Callable[[], Awaitable[Any]] | None = None

    async def open_console(self) -> Any:
        if self.trouble:
            raise DriverError(self.trouble)
        if self.opens is not None:
            return await self.opens()
        return await asyncio.open_unix_connection(self.socket)

    def load(self, name: str) -> type[Driver]:
        machine = self

        class MachineDriver(Driver):
            @property
            def has_power(self) -> bool:
                return machine.has_power

            @property
            def has_console(self) -> bool:
                return machine.has_console

            async def prepare(self, hold: Hold, report: Report) -> Connection:
                return machine.connection

            async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
                machine.switching.set()
                await machine.gate.wait()
                if machine.trouble:
                    raise DriverError(machine.trouble)
                machine.switched.append(action)

            async def console(self, hold: Hold) -> Channel:
                return await machine.open_console()  # type: ignore[no-any-return]  # nonsense, too

        return MachineDriver

    async def serve_console(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.consoles += 1
        self.serving.add(_this_task())
        try:
            writer.write(GREETING)
            while data := await reader.read(CHUNK):
                writer.write(data.upper())
                await writer.drain()
        except OSError:
            pass
        finally:
            self.serving.discard(_this_task())
            self.consoles -= 1
            writer.close()


@contextlib.asynccontextmanager
async def a_machine() -> AsyncIterator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "console")
        machine.gate.set()
        server = await asyncio.start_unix_server(machine.serve_console, machine.socket)
        try:
            yield machine
        finally:
            server.close()
            await _end(machine.serving)


@dataclass
class TcpService:
    """A TCP server on loopback, and who is connected to it."""

    port: int
    connected: int = 0


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, to its end."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


@contextlib.asynccontextmanager
async def tcp_service(serve: Serve = echo) -> AsyncIterator[TcpService]:
    service = TcpService(0)
    serving: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service.connected += 1
        serving.add(_this_task())
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        except OSError:
            pass
        finally:
            serving.discard(_this_task())
            service.connected -= 1
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        await _end(serving)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _end(serving: set[asyncio.Task[Any]]) -> None:
    """End what serves connections: a socket that outlives its loop is told of in another test."""
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


class Connected:
    """A holder's end of a channel."""

    def __init__(self, stub: Any, target: pb.ChannelTarget) -> None:
        self.call = stub.Connect()
        self._target = target

    async def open(self) -> "Connected":
        async with asyncio.timeout(LIMIT_S):
            await self.call.write(pb.ConnectRequest(open=self._target))
            message = await self.call.read()
            if message is grpc.aio.EOF:
                raise await self.error()
        assert message.opened
        return self

    async def send(self, data: bytes) -> None:
        await self.call.write(pb.ConnectRequest(data=data))

    async def end(self) -> None:
        await self.call.write(pb.ConnectRequest(end=True))

    async def receive(self) -> bytes | None:
        """Return what comes next, None at the end of the direction or of the call."""
        message = await self.call.read()
        if message is grpc.aio.EOF or message.end:
            return None
        return bytes(message.data)

    async def read(self, count: int) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            found = b""
            while len(found) < count:
                data = await self.receive()
                assert data is not None, found
                found += data
        return found

    async def error(self) -> grpc.aio.AioRpcError:
        """Wait for the end of the call, and return what it failed with."""
        async with asyncio.timeout(LIMIT_S):
            try:
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError as error:
                return error
        raise AssertionError(f"ended with {await self.call.code()}")


@contextlib.asynccontextmanager
async def connected(stub: Any, asked: Asked, **target: Any) -> AsyncIterator[Connected]:
    """Open a channel of an allocation: `port=80` or `console=True`; hang up at the end."""
    known = {"allocation_id": asked.id, "token": asked.token} | target
    channel = Connected(stub, pb.ChannelTarget(**known))
    try:
        yield await channel.open()
    finally:
        channel.call.cancel()
