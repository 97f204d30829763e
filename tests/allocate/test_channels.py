"""Channels to hosts: what goes through, wherever their ends are."""

import asyncio
import os

import grpc.aio
from redis.asyncio import Redis

from hwprovisioner.state.channels import ROOM
from support.asking import LIMIT_S
from support.bench import Bench
from support.eventually import eventually
from support.reachable import (
    CHUNK,
    GREETING,
    tcp_service,
)


async def test_a_console_is_seen_and_typed_at(anywhere: Bench) -> None:
    async with anywhere.connected(console=True) as console:
        assert await console.read(len(GREETING)) == GREETING
        await console.send(b"who")
        await console.send(b"ami\r")
        assert await console.read(7) == b"WHOAMI\r"


async def test_bytes_go_through_redis_only_from_one_replica_to_another(anywhere: Bench) -> None:
    redis = Redis.from_url(anywhere.redis_url)
    async with anywhere.connected(console=True) as console:
        await console.read(len(GREETING))
        assert bool(await redis.keys("hwp:*channel:*:holder")) is not anywhere.is_near
    await redis.aclose()


async def test_a_port_is_reached_and_bytes_come_back_as_they_went(anywhere: Bench) -> None:
    blocks = [os.urandom(size) for size in (1, CHUNK, 17, *[CHUNK] * 40)]
    whole = b"".join(blocks)
    async with tcp_service() as service, anywhere.connected(port=service.port) as channel:

        async def send() -> None:
            for block in blocks:
                await channel.send(block)
            await channel.end()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            assert await channel.read(len(whole)) == whole
            # The service saw the end, and ended in its turn.
            assert await channel.receive() is None


async def test_each_direction_ends_by_itself(anywhere: Bench) -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"ready")
        writer.write_eof()
        counted.set_result(len(await reader.read(-1)))

    counted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with tcp_service(count) as service, anywhere.connected(port=service.port) as channel:
        assert await channel.read(5) == b"ready"
        assert await channel.receive() is None
        await channel.send(b"x" * 1000)
        await channel.end()
        assert await asyncio.wait_for(counted, LIMIT_S) == 1000
        async with asyncio.timeout(LIMIT_S):
            assert await channel.receive() is None
            assert await channel.call.code() is grpc.StatusCode.OK


async def test_what_is_sent_last_arrives_though_the_host_has_said_everything(
    anywhere: Bench,
) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        heard.set_result(len(await reader.read(-1)))

    for _ in range(5):
        heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with tcp_service(listen) as service, anywhere.connected(port=service.port) as channel:
            assert await channel.receive() is None
            for _ in range(ROOM):
                await channel.send(bytes(CHUNK))
            await channel.end()
            assert await channel.receive() is None
            assert await asyncio.wait_for(heard, LIMIT_S) == ROOM * CHUNK


async def test_many_channels_at_once_do_not_mix(either: Bench) -> None:
    async with tcp_service() as service:

        async def talk(number: int) -> None:
            words = b"%d " % number * 5000
            async with either.connected(port=service.port) as channel:
                await channel.send(words)
                assert await channel.read(len(words)) == words

        await asyncio.gather(*(talk(number) for number in range(20)))
    await either.nothing_is_left()


async def test_who_is_not_read_is_not_read_either(either: Bench) -> None:
    """However much a host has to say, no more is taken from it than is on its way."""
    poured = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal poured
        writer.transport.set_write_buffer_limits(high=CHUNK)
        while True:
            writer.write(bytes(CHUNK))
            await writer.drain()
            poured += 1

    async with (
        tcp_service(pour) as service,
        tcp_service() as echo,
        either.connected(port=service.port) as channel,
        either.connected(port=echo.port) as beside,
    ):
        await channel.read(1)

        async def stands_still() -> bool:
            """Say whether nothing moves while much goes the same way and comes back."""
            before = poured
            for _ in range(50):
                await beside.send(b"x")
                await beside.read(1)
            return poured == before

        await eventually(stands_still)
        stuck = poured
        assert stuck * CHUNK < 32 * 2**20
        await channel.read(stuck * CHUNK)
        await eventually(lambda: poured > stuck)
