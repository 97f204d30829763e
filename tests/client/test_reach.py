"""A host's power, console and ports from Python, through a real lab."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hwprovisioner.client import (
    AsyncHost,
    AsyncLab,
    BadDemand,
    Host,
    Lab,
    LabError,
    LeaseLost,
    NotAllowed,
    WrongHost,
)
from hwprovisioner.resourcemanager.model import Power
from support.beating import heartbeat
from support.bench import Bench, bench
from support.eventually import eventually
from support.reachable import CHUNK, GREETING, TcpService, tcp_service


@pytest.fixture
async def held(redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """A lab whose one machine is held by an allocation that nobody beats for."""
    async with bench(redis_url, tmp_path) as found:
        yield found


@pytest.fixture
async def free(held: Bench) -> Bench:
    """The same, with the machine free."""
    await held.asked.release()
    return held


@pytest.fixture
async def host(free: Bench) -> AsyncIterator[AsyncHost]:
    async with heartbeat(free.redis_url) as beats:
        async with AsyncLab(free.services[0].target, beats) as lab:
            async with lab.allocate(wait="10s") as hardware:
                yield hardware.host


@pytest.fixture
async def echo() -> AsyncIterator[TcpService]:
    async with tcp_service() as service:
        yield service


async def test_power(host: AsyncHost, free: Bench) -> None:
    await host.power("cycle")
    await host.power("off")
    assert free.machine.switched == [Power.CYCLE, Power.OFF]


async def test_an_action_that_is_none(host: AsyncHost, free: Bench) -> None:
    with pytest.raises(BadDemand, match="did you mean 'cycle'"):
        await host.power("cycel")
    assert free.machine.switched == []


async def test_what_a_driver_says_reaches_the_test(host: AsyncHost, free: Bench) -> None:
    free.machine.trouble = "the relay is stuck"
    with pytest.raises(LabError, match="the relay is stuck") as failure:
        await host.power("on")
    assert failure.value.reason == "DRIVER_FAILED"
    with pytest.raises(LabError, match="the relay is stuck"):
        async with host.console():
            pass


async def test_what_has_no_power_control_and_no_console(host: AsyncHost, free: Bench) -> None:
    free.machine.has_power = free.machine.has_console = False
    with pytest.raises(LabError) as failure:
        await host.power("on")
    assert failure.value.reason == "NO_POWER_CONTROL"
    with pytest.raises(LabError) as failure:
        async with host.console():
            pass
    assert failure.value.reason == "NO_CONSOLE"


async def test_a_console_is_waited_at_and_typed_at(host: AsyncHost) -> None:
    async with host.console() as console:
        assert await console.read_until("login: ") == GREETING
        await console.write("root\rpassword: more")
        assert await console.read_until(b"PASSWORD: ") == b"ROOT\rPASSWORD: "
        assert await console.read() == b"MORE"


async def test_what_a_console_does_not_say_is_waited_for_so_long(host: AsyncHost) -> None:
    async with host.console() as console:
        with pytest.raises(LabError, match="it said last: 'login: '") as failure:
            await console.read_until("panic", within=0.5)
        assert failure.value.reason == "CONSOLE_TIMEOUT"
        # Nothing was lost by that.
        assert await console.read_until("login: ") == GREETING


async def test_a_port_is_reached_at_a_local_one(host: AsyncHost, echo: TcpService) -> None:
    async with host.forward(echo.port) as forward:
        for size in (1, 100_000, 3 * 2**20):
            data = os.urandom(size)
            reader, writer = await asyncio.open_connection(forward.address, forward.port)

            async def send(writer: asyncio.StreamWriter = writer, data: bytes = data) -> None:
                writer.write(data)
                await writer.drain()
                writer.write_eof()

            sending = asyncio.create_task(send())
            assert await reader.read(-1) == data
            await sending
            writer.close()
    await eventually(lambda: echo.connected == 0)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(forward.address, forward.port)


async def test_many_connections_at_once(host: AsyncHost, echo: TcpService) -> None:
    async with host.forward(echo.port) as forward:

        async def talk(number: int) -> None:
            reader, writer = await asyncio.open_connection(forward.address, forward.port)
            writer.write(b"%d" % number * 1000)
            writer.write_eof()
            assert await reader.read(-1) == b"%d" % number * 1000
            writer.close()

        await asyncio.gather(*(talk(number) for number in range(30)))


async def test_a_port_where_nobody_listens_cuts_the_connection_and_says_why(
    host: AsyncHost, caplog: pytest.LogCaptureFixture
) -> None:
    async with tcp_service() as gone:
        pass
    async with host.forward(gone.port) as forward:
        reader, writer = await asyncio.open_connection(forward.address, forward.port)
        with pytest.raises(ConnectionResetError):
            assert await reader.read(-1) == b"never well"
        writer.close()
    assert f"127.0.0.1:{gone.port} does not answer" in caplog.text


async def test_a_local_port_that_is_taken(host: AsyncHost, echo: TcpService) -> None:
    with pytest.raises(LabError, match="another local port") as failure:
        async with host.forward(echo.port, echo.port):
            pass
    assert failure.value.reason == "PORT_TAKEN"


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_a_port_that_is_none(host: AsyncHost, port: int) -> None:
    with pytest.raises(BadDemand, match="no port"):
        async with host.forward(port):
            pass


async def test_what_is_open_is_cut_when_the_hardware_is_lost(
    host: AsyncHost, free: Bench, echo: TcpService
) -> None:
    async with host.console() as console, host.forward(echo.port) as forward:
        await console.read_until("login: ")
        reader, writer = await asyncio.open_connection(forward.address, forward.port)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        # Somebody else gives it back.
        async with AsyncLab(free.services[0].target) as lab:
            await lab.release(host.lease.allocation_id, host._session.token)
        with pytest.raises(LeaseLost):
            await console.read_until("what it never says")
        with pytest.raises(ConnectionError):
            await reader.read(1)
        writer.close()
        await eventually(lambda: host.lease.loss)
        with pytest.raises(LeaseLost):
            await host.power("on")
        with pytest.raises(LeaseLost):
            async with host.console():
                pass
    await eventually(lambda: echo.connected == 0)


async def test_a_channel_is_for_whoever_has_the_token(held: Bench, echo: TcpService) -> None:
    async with AsyncLab(held.services[0].target) as lab:
        with pytest.raises(NotAllowed):
            await lab.reach(held.asked.id, "another").connect(echo.port)
        with pytest.raises(WrongHost):
            await lab.reach(held.asked.id, held.asked.token, "db").console()
        async with await lab.reach(held.asked.id, held.asked.token).connect(echo.port) as tunnel:
            await tunnel.write(b"x" * 3 * CHUNK)
            await tunnel.write_eof()
            got = b""
            while data := await tunnel.read():
                got += data
            assert got == b"x" * 3 * CHUNK
            assert await tunnel.read() == b""


async def test_the_same_for_programs_that_block(free: Bench, echo: TcpService) -> None:
    def use(host: Host) -> bytes:
        host.power("on")
        with host.console() as console:
            console.read_until("login: ")
            console.write("root\r")
            assert console.read_until("\r") == b"ROOT\r"
        with (
            host.forward(echo.port) as forward,
            socket.create_connection((forward.address, forward.port)) as connection,
        ):
            connection.sendall(b"hello")
            return connection.recv(5)

    def test() -> bytes:
        with Lab(free.services[0].target, beats) as lab, lab.allocate(wait="10s") as hardware:
            return use(hardware.host)

    async with heartbeat(free.redis_url) as beats:
        assert await asyncio.to_thread(test) == b"hello"
    assert free.machine.switched == [Power.ON]
    await free.nothing_is_left()
