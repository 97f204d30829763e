"""Channels as Redis has them: what goes in comes out, once, in order, and never too much of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest
from redis.asyncio import Redis

from hwprovisioner.state.channels import ROOM, Channels, Gone, Piece, Side, What, read_signal, wake
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from support.eventually import eventually
from support.redis_server import RedisServer, running
from support.tcp_proxy import proxy_to

KEYS = Keys()
MOST = 3


@dataclass(frozen=True, slots=True)
class Opened:
    """Redis, and a channel of allocation `a` in it."""

    channels: Channels
    link: Link

    async def keys(self) -> set[bytes]:
        return set(await self.link.call("KEYS", "*"))


@pytest.fixture
async def opened(redis_url: str) -> AsyncIterator[Opened]:
    async with Link(redis_url, decodes=False) as link:
        channels = Channels(link, KEYS)
        assert await channels.open("c", "a", MOST)
        yield Opened(channels, link)


def data(text: bytes) -> Piece:
    return Piece(What.DATA, text)


async def push(opened: Opened, side: Side, *texts: bytes, first: int = 1) -> None:
    for number, text in enumerate(texts, first):
        assert await opened.channels.push("c", side, number, data(text))


async def test_bytes_come_out_as_they_went_in_in_order_and_each_direction_alone(
    opened: Opened,
) -> None:
    sent = [os.urandom(65_536), b"", bytes(range(256)), "ä".encode()]
    await push(opened, Side.HOLDER, *sent)
    await push(opened, Side.MANAGER, b"back")
    pulled = await opened.channels.pull("c", Side.MANAGER, 0)
    assert [piece.data for piece in pulled] == sent
    assert await opened.channels.pull("c", Side.HOLDER, 0) == [data(b"back")]


async def test_what_was_not_said_to_be_read_comes_again_and_nothing_else(opened: Opened) -> None:
    await push(opened, Side.HOLDER, b"1", b"2", b"3")
    for read, left in ((0, b"123"), (0, b"123"), (1, b"23"), (3, b"")):
        pulled = await opened.channels.pull("c", Side.MANAGER, read)
        assert b"".join(piece.data for piece in pulled) == left


async def test_a_piece_that_is_sent_twice_comes_once(opened: Opened) -> None:
    await push(opened, Side.HOLDER, b"1", b"2")
    assert await opened.channels.push("c", Side.HOLDER, 2, data(b"2"))
    assert len(await opened.channels.pull("c", Side.MANAGER, 0)) == 2
    await opened.channels.pull("c", Side.MANAGER, 2)
    assert await opened.channels.push("c", Side.HOLDER, 2, data(b"2"))
    assert await opened.channels.pull("c", Side.MANAGER, 2) == []


async def test_no_more_is_taken_than_there_is_room_for(opened: Opened) -> None:
    await push(opened, Side.HOLDER, *[b"x"] * ROOM)
    assert not await opened.channels.push("c", Side.HOLDER, ROOM + 1, data(b"y"))
    assert await opened.channels.push("c", Side.MANAGER, 1, data(b"the other way is free"))
    assert len(await opened.channels.pull("c", Side.MANAGER, 0)) == ROOM
    assert not await opened.channels.push("c", Side.HOLDER, ROOM + 1, data(b"y"))
    assert len(await opened.channels.pull("c", Side.MANAGER, 1)) == ROOM - 1
    assert await opened.channels.push("c", Side.HOLDER, ROOM + 1, data(b"y"))


async def test_the_manager_s_end_is_taken_once(opened: Opened) -> None:
    assert await opened.channels.claim("c") == "a"
    for name in ("c", "another"):
        with pytest.raises(Gone):
            await opened.channels.claim(name)


async def test_an_allocation_has_so_many_channels_and_no_more(opened: Opened) -> None:
    assert await opened.channels.open("d", "a", MOST)
    assert await opened.channels.open("e", "a", MOST)
    assert not await opened.channels.open("f", "a", MOST)
    assert await opened.channels.open("g", "b", MOST)
    await opened.channels.close("d", "a", Side.HOLDER)
    assert await opened.channels.open("f", "a", MOST)


async def test_each_end_learns_when_the_other_was_there_last(opened: Opened) -> None:
    assert await opened.channels.touch("c", "a", Side.HOLDER) is None
    await opened.channels.claim("c")
    for side in Side:
        age_ms = await opened.channels.touch("c", "a", side)
        assert age_ms is not None
        assert 0 <= age_ms < 60_000


async def test_after_the_end_nothing_is_left_and_everybody_is_told_so(opened: Opened) -> None:
    await push(opened, Side.HOLDER, b"1")
    await push(opened, Side.MANAGER, b"1")
    await opened.channels.claim("c")
    await opened.channels.close("c", "a", Side.HOLDER)
    assert await opened.keys() == set()
    await opened.channels.close("c", "a", Side.MANAGER)
    with pytest.raises(Gone):
        await opened.channels.push("c", Side.HOLDER, 2, data(b"2"))
    with pytest.raises(Gone):
        await opened.channels.pull("c", Side.MANAGER, 0)
    with pytest.raises(Gone):
        await opened.channels.touch("c", "a", Side.MANAGER)


async def test_everything_of_a_channel_goes_by_itself_when_nobody_says_it_is_there(
    opened: Opened,
) -> None:
    await push(opened, Side.HOLDER, b"1")
    await push(opened, Side.MANAGER, b"1")
    for key in await opened.keys():
        assert await opened.link.call("PTTL", key) > 0


async def test_the_other_end_is_woken_by_the_first_piece_by_room_and_by_the_end(
    opened: Opened, redis_url: str
) -> None:
    redis = Redis.from_url(redis_url, decode_responses=True)
    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(KEYS.signals)
        await eventually(lambda: _subscribers(opened))

        async def heard() -> str:
            while (message := await pubsub.get_message(timeout=10)) is None:
                pass
            return str(message["data"])

        await push(opened, Side.HOLDER, *[b"x"] * ROOM)
        assert read_signal(await heard()) == ("channel", "c", "manager")
        await opened.channels.pull("c", Side.MANAGER, 0)
        await opened.channels.pull("c", Side.MANAGER, 1)
        assert await heard() == wake("c", Side.HOLDER)
        await opened.channels.close("c", "a", Side.HOLDER)
        assert await heard() == wake("c", Side.MANAGER)
    await redis.aclose()


async def _subscribers(opened: Opened) -> bool:
    _, count = await opened.link.call("PUBSUB", "NUMSUB", KEYS.signals)
    return bool(count)


async def test_a_connection_to_redis_that_is_cut_loses_nothing_and_doubles_nothing() -> None:
    with running() as server:
        await _send_through_cuts(server)


async def _send_through_cuts(server: RedisServer) -> None:
    count, step = 300, 50
    async with proxy_to(server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        async with Link(url, decodes=False) as link:
            channels = Channels(link, KEYS)
            assert await channels.open("c", "a", MOST)

            async def write() -> None:
                for number in range(1, count + 1):
                    piece = data(b"%d" % number)
                    await eventually(partial(channels.push, "c", Side.HOLDER, number, piece))

            found: list[bytes] = []
            async with asyncio.TaskGroup() as group:
                group.create_task(write())
                for cut_at in range(step, count + 1, step):
                    while len(found) < cut_at:
                        pulled = await channels.pull("c", Side.MANAGER, len(found))
                        found += [piece.data for piece in pulled]
                    proxy.cut()
        assert found == [b"%d" % number for number in range(1, count + 1)]
        assert proxy.connections >= count // step
