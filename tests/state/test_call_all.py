"""Many commands at once over a link."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.link import Link
from hwprovisioner.state.resp import CommandRefused, Connection
from support.redis_server import RedisServer
from support.tcp_proxy import proxy_to


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    async with Link(redis_url) as link:
        yield link


@pytest.fixture
async def said() -> list[dict[str, Any]]:
    """What the loop says of errors that nobody asked for."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


async def test_replies_come_in_the_order_of_their_commands(link: Link) -> None:
    replies = await link.call_all(("ECHO", str(n)) for n in range(1_000))
    assert replies == [str(n) for n in range(1_000)]
    assert await link.call_all([]) == []


async def test_one_command_goes_to_each_of_some_keys(link: Link) -> None:
    keys = ["a", "", "b c", "d\r\n$1", "ü"]
    await link.call_all(("HSET", key, "one", key, "two", "2") for key in keys)
    rows = await link.call_each("HMGET", keys, "one", "none", "two")
    assert rows == [[key, None, "2"] for key in keys]
    assert await link.call_each("HMGET", [], "one") == []


async def test_calls_beside_get_their_own_replies(link: Link) -> None:
    many = [("ECHO", str(n)) for n in range(100)]
    replies = await asyncio.gather(link.call_all(many), link.call("ECHO", "x"), link.call_all(many))
    assert replies == [[n for _, n in many], "x", [n for _, n in many]]


class Closing(asyncio.Transport):
    """A connection that the other side has just closed, as uvloop has it."""

    def is_closing(self) -> bool:
        return True

    def write(self, data: object) -> None:
        raise RuntimeError("unable to perform operation, the handler is closed")

    def abort(self) -> None:
        """It is over already."""


async def test_what_is_sent_while_a_connection_closes_fails_with_it(
    said: list[dict[str, Any]],
) -> None:
    connection = Connection(5.0, lambda connection, reason: None)
    connection.connection_made(Closing())
    answer = connection.send(b"*1\r\n$4\r\nPING\r\n")
    await asyncio.sleep(0)
    connection.connection_lost(None)
    with pytest.raises(StateUnavailable, match="closed by the other side"):
        await answer
    assert said == []


async def test_the_first_error_is_raised_and_no_other_is_left_behind(
    link: Link, said: list[dict[str, Any]]
) -> None:
    with pytest.raises(CommandRefused, match="lpush"):
        await link.call_all([("ECHO", "fine"), ("LPUSH",), ("RPUSH",), ("ECHO", "fine")])
    gc.collect()
    assert said == []
    assert await link.call("ECHO", "still there") == "still there"


async def test_a_cancelled_caller_does_not_shift_the_replies_of_others(link: Link) -> None:
    task = asyncio.create_task(link.call_all([("ECHO", str(n)) for n in range(100)]))
    await asyncio.sleep(0)
    task.cancel()
    assert await link.call("ECHO", "mine") == "mine"
    assert task.cancelled()


async def test_when_redis_goes_away_under_way_that_is_said(
    redis_server: RedisServer, said: list[dict[str, Any]]
) -> None:
    async with proxy_to(redis_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with Link(url, retry_after_ms=7) as link:
            await link.call("PING")
            proxy.dropping = True
            waiting = asyncio.create_task(link.call_all([("PING",)] * 3))
            await proxy.dropped.wait()
            proxy.cut()
            with pytest.raises(StateUnavailable) as refusal:
                await waiting
            proxy.dropping = False
            assert await link.call("PING") == "PONG"
            assert refusal.value.retry_after_ms == 7
            del refusal, waiting
            gc.collect()
            assert said == []
