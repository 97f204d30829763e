"""How channels to hosts end, whoever goes, and that nothing is left of them."""

import asyncio
import random
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from redis.asyncio import Redis

from hwprovisioner.allocate import channel_desk
from support.bench import Bench, bench, refused
from support.eventually import eventually
from support.reachable import (
    CHUNK,
    GREETING,
    tcp_service,
)
from support.refusals import refusal_of


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
