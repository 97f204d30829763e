"""Channels to hosts: what goes through, wherever their ends are, and how they end."""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from redis.asyncio import Redis

from hwprovisioner.allocate import channel_desk
from support.asking import LIMIT_S
from support.bench import Bench, bench, refused
from support.eventually import eventually
from support.reachable import (
    CHUNK,
    GREETING,
    tcp_service,
)
from support.refusals import refusal_of


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

    async with tcp_service(pour) as service, either.connected(port=service.port) as channel:
        await channel.read(1)
        seen = -1

        async def stands_still() -> bool:
            nonlocal seen
            seen, before = poured, seen
            await asyncio.sleep(0.2)
            return seen == before == poured

        await eventually(stands_still)
        stuck = poured
        assert stuck * CHUNK < 32 * 2**20
        await channel.read(stuck * CHUNK)
        assert poured > stuck


async def test_the_end_of_the_hold_ends_its_channels(anywhere: Bench) -> None:
    async with tcp_service() as service:
        async with (
            anywhere.connected(console=True) as console,
            anywhere.connected(port=service.port) as channel,
        ):
            await channel.send(b"x")
            await channel.read(1)
            await anywhere.asked.release()
            for one in (console, channel):
                error = await one.error()
                assert error.code() is grpc.StatusCode.ABORTED
                assert refusal_of(error).reason == "ALLOCATION_ENDED"
            await eventually(lambda: service.connected == 0)


async def test_a_holder_that_hangs_up_leaves_nothing(anywhere: Bench) -> None:
    async with tcp_service() as service:
        async with anywhere.connected(port=service.port) as channel:
            await channel.send(b"x")
            await channel.read(1)
        await eventually(lambda: service.connected == 0)


async def test_a_holder_that_hangs_up_in_the_middle_of_much_leaves_nothing(
    either: Bench,
) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(CHUNK))
            await writer.drain()

    async with tcp_service(pour) as service:
        async with either.connected(port=service.port) as channel:
            await channel.read(CHUNK)
        await eventually(lambda: service.connected == 0)
        await either.nothing_is_left()


async def test_a_host_that_hangs_up_ends_the_direction(anywhere: Bench) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(CHUNK)
        writer.write(b"bye")

    async with tcp_service(answer) as service, anywhere.connected(port=service.port) as channel:
        await channel.send(b"hello")
        assert await channel.read(3) == b"bye"
        assert await channel.receive() is None


async def test_a_host_whose_connection_breaks_is_said_to_have_broken(anywhere: Bench) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with tcp_service(reset) as service, anywhere.connected(port=service.port) as channel:
        await channel.send(b"hello")
        error = await channel.error()
        assert refusal_of(error).reason == "DRIVER_FAILED"
        assert "reset" in (error.details() or "")


async def test_a_manager_that_goes_ends_its_channels(either: Bench) -> None:
    async with either.connected(console=True) as console:
        await console.read(len(GREETING))
        either.manager.stopping.set()
        assert refusal_of(await console.error()).reason in ("MANAGER_SILENT", "CHANNEL_LOST")
        assert (await refused(either, console=True))[1] == "MANAGER_SILENT"
    await either.nothing_is_left()


async def test_a_replica_that_stops_says_so_to_both_ends(either: Bench) -> None:
    async with either.connected(console=True) as console:
        await console.read(len(GREETING))
        either.services[-1].stopping.set()
        assert refusal_of(await console.error()).reason in (
            "STOPPING",
            "CHANNEL_LOST",
            "MANAGER_SILENT",
        )
        await eventually(lambda: either.manager.agent.channels.count == 0)


async def test_a_manager_that_does_not_come_is_waited_for_so_long(
    either: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_desk, "OPEN_LIMIT_S", 0.3)
    monkeypatch.setattr(either.manager.agent.channels, "open", lambda message: None)
    code, reason, said = await refused(either, console=True)
    assert (code, reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "MANAGER_SILENT")
    assert "bench" in said
    await either.nothing_is_left()


async def test_a_stale_fence_is_not_obeyed_by_the_manager(
    near: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = near.manager.agent.channels.open

    def stale(message: Any) -> None:
        message.hold.fence -= 1
        find(message)

    monkeypatch.setattr(near.manager.agent.channels, "open", stale)
    assert (await refused(near, console=True))[1] == "NOT_READY"
    assert near.machine.consoles == 0


async def test_channels_open_though_signals_are_missed(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwprovisioner.allocate.relay.TOUCH_S", 0.05)
    monkeypatch.setattr(channel_desk, "TOUCH_S", 0.05)
    async with bench(redis_url, tmp_path, 0, 0, 1) as found:
        for service in found.services:
            service.allocate.signals._listeners.pop("channel")
        async with found.connected(console=True) as console:
            for _ in range(3):
                await console.send(b"x" * CHUNK)
            await console.read(len(GREETING))
            assert await console.read(3 * CHUNK) == b"X" * CHUNK * 3
        await found.nothing_is_left()


async def test_a_channel_within_one_replica_outlives_that_redis_forgets_it(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwprovisioner.allocate.relay.TOUCH_S", 0.02)
    monkeypatch.setattr(channel_desk, "TOUCH_S", 0.02)
    monkeypatch.setattr("hwprovisioner.allocate.relay._SILENT_MS", 0)
    redis = Redis.from_url(redis_url)
    async with bench(redis_url, tmp_path) as found:
        async with found.connected(console=True) as console:
            await console.read(len(GREETING))
            [key] = await redis.keys("hwp:*channel:*")
            await redis.delete(key)
            await eventually(lambda: redis.exists(key))
            await console.send(b"still there")
            assert await console.read(11) == b"STILL THERE"
        await found.nothing_is_left()
    await redis.aclose()


async def test_channels_that_come_and_go_at_any_moment_leave_nothing(either: Bench) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(CHUNK))
            await writer.drain()

    chance = random.Random(4)
    async with tcp_service(pour) as service:

        async def come_and_go() -> None:
            async with asyncio.timeout(chance.random() * 0.1):
                async with either.connected(port=service.port) as channel:
                    while await channel.receive():
                        pass

        for _ in range(5):
            await asyncio.gather(*(come_and_go() for _ in range(20)), return_exceptions=True)
        await either.nothing_is_left()
        await eventually(lambda: service.connected == 0)


async def test_an_end_whose_other_replica_was_killed_gives_up(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwprovisioner.allocate.relay.TOUCH_S", 0.02)
    monkeypatch.setattr(channel_desk, "TOUCH_S", 0.02)
    monkeypatch.setattr("hwprovisioner.allocate.relay._SILENT_MS", 200)
    async with bench(redis_url, tmp_path, 0, 0, 1) as found:
        async with found.connected(console=True) as console:
            await console.read(len(GREETING))

            async def silence(*_: Any) -> int:
                await asyncio.Event().wait()
                return 0

            # As if its process stood still: it neither says that it is there nor closes anything.
            desk = found.services[1].allocate.channel_desk
            monkeypatch.setattr(desk._channels, "touch", silence)
            assert refusal_of(await console.error()).reason == "CHANNEL_LOST"
