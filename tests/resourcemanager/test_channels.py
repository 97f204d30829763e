"""What drivers do wrong with consoles, ports and power stays with the call, in words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from hwprovisioner.resourcemanager import Connection, DriverError, Hold, calls
from support.bench import Bench, bench, refused
from support.eventually import eventually
from support.manager import Hardware, box
from support.reachable import GREETING
from support.refusals import refusal_of


@pytest.fixture
async def held(redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(redis_url, tmp_path) as found:
        yield found
        assert not found.manager.link.done()
        found.machine.opens = None
        async with found.connected(console=True) as console:
            assert await console.read(len(GREETING)) == GREETING


async def hang() -> None:
    await asyncio.Event().wait()


async def fall_over() -> None:
    raise ZeroDivisionError("of all things")


async def end_everything() -> None:
    raise SystemExit(3)


async def answer_nonsense() -> str:
    return "a console"


async def answer_numbers() -> Any:
    return 1, 2


async def answer_one_end() -> Any:
    return (Broken(),)


@pytest.mark.parametrize(
    ("opens", "said"),
    [
        (hang, "not done within 0.2 s"),
        (fall_over, "ZeroDivisionError: of all things"),
        (end_everything, "tried to end the manager"),
        (answer_nonsense, "returned str"),
        (answer_numbers, "something else than a reader and a writer"),
        (answer_one_end, "something else than a reader and a writer"),
    ],
)
async def test_a_console_that_cannot_be_opened(
    held: Bench, monkeypatch: pytest.MonkeyPatch, opens: Callable[[], Awaitable[Any]], said: str
) -> None:
    monkeypatch.setattr(calls, "REACH_LIMIT_S", 0.2)
    held.machine.opens = opens
    _, reason, words = await refused(held, console=True)
    assert reason == "DRIVER_FAILED"
    assert said in words


async def test_power_that_takes_too_long(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "POWER_LIMIT_S", 0.2)
    held.machine.gate.clear()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await held.switch()
    assert refusal_of(caught.value).reason == "DRIVER_FAILED"
    assert "not done within 0.2 s" in (caught.value.details() or "")


async def test_a_host_without_an_address_has_no_ports_of_the_managers_machine() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0)
    port = server.sockets[0].getsockname()[1]
    driver, hold = Hardware().driver()(box()), Hold("h1", "box", 1)
    async with server:
        with pytest.raises(DriverError, match="has no address"):
            await calls.dial(driver, hold, Connection("serial"), port)
        reader, writer = await calls.dial(driver, hold, Connection("local"), port)
        assert await reader.read() == b""
        writer.close()


class Broken:
    """Both ends of a console of a driver's own making, which fails in the middle."""

    def __init__(self) -> None:
        self.is_closed = False
        self.was_asked_to_end = asyncio.Event()

    async def read(self, n: int = -1) -> bytes:
        await asyncio.Event().wait()
        return b""

    def write(self, data: bytes) -> None:
        raise KeyError("no such line")

    async def drain(self) -> None:
        pass

    def write_eof(self) -> None:
        self.was_asked_to_end.set()
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


async def test_a_console_that_breaks_in_the_middle(held: Bench) -> None:
    broken = Broken()

    async def opens() -> Any:
        return broken, broken

    held.machine.opens = opens
    async with held.connected(console=True) as console:
        await console.send(b"x")
        error = await console.error()
        assert refusal_of(error).reason == "DRIVER_FAILED"
        assert "no such line" in (error.details() or "")
    await eventually(lambda: broken.is_closed)


class Odd(Broken):
    """Ends that are not even made right."""

    async def read(self, n: int = -1) -> Any:
        return "text"

    def write_eof(self) -> None:
        raise ZeroDivisionError

    def close(self) -> None:
        super().close()
        raise ZeroDivisionError


async def test_a_console_that_is_not_made_right(held: Bench) -> None:
    odd = Odd()

    async def opens() -> Any:
        return odd, odd

    held.machine.opens = opens
    async with held.connected(console=True) as console:
        assert "read str, not bytes" in ((await console.error()).details() or "")
    await eventually(lambda: odd.is_closed)


class Unreadable:
    """A reader and writer by name alone."""

    read = write = None


async def test_a_console_that_only_looks_like_one(held: Bench) -> None:
    async def opens() -> Any:
        return Unreadable(), Unreadable()

    held.machine.opens = opens
    async with held.connected(console=True) as console:
        assert refusal_of(await console.error()).reason == "DRIVER_FAILED"


async def test_a_console_that_cannot_be_closed_half_stays_open_until_the_holder_hangs_up(
    held: Bench,
) -> None:
    broken = Broken()

    async def opens() -> Any:
        return broken, broken

    held.machine.opens = opens
    async with held.connected(console=True) as console:
        await console.end()
        await broken.was_asked_to_end.wait()
        assert not broken.is_closed
        assert not console.call.done()
    await eventually(lambda: broken.is_closed)
    await held.nothing_is_left()
