"""Alarms: Redis announces those that went off, once they are touched."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import AllocationState
from support.eventually import eventually
from support.redis_server import running
from support.state_lab import StateLab

HOUR = 3_600_000


@asynccontextmanager
async def expired_events(url: str, keys: Keys) -> AsyncIterator[list[str]]:
    heard: list[str] = []
    async with Redis.from_url(url, decode_responses=True) as redis:
        await redis.config_set("notify-keyspace-events", "Kx")
        async with redis.pubsub() as pubsub:
            await pubsub.psubscribe(f"__keyspace@0__:{keys.alarm('')}*")
            await anext(pubsub.listen())

            async def listen() -> None:
                async for message in pubsub.listen():
                    if message["type"] == "pmessage" and message["data"] == "expired":
                        heard.append(message["channel"].rpartition(":")[2])

            task = asyncio.create_task(listen())
            try:
                yield heard
            finally:
                task.cancel()
                await asyncio.wait([task])
                await redis.config_set("notify-keyspace-events", "")


@pytest.fixture
def lazy_redis() -> Iterator[str]:
    """A Redis that expires keys only when somebody looks at them."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running("--enable-debug-command", "yes"))
        except RuntimeError:  # Before 7.0 there was no such option, and DEBUG was on.
            server = stack.enter_context(running())
        assert server.command("DEBUG SET-ACTIVE-EXPIRE 0") == b"+OK\r\n"
        yield server.url


async def test_a_touch_makes_redis_announce_alarms_that_went_off(lazy_redis: str) -> None:
    async with Link(lazy_redis) as link, expired_events(lazy_redis, Keys()) as heard:
        lab = StateLab(link)
        seconds, _ = await link.call("TIME")
        now_ms = int(seconds) * 1000  # Alarms go by the clock of Redis.
        for allocation_id in ("lasting", "short"):
            await lab.submit(allocation_id, ttl_ms=HOUR, now_ms=now_ms)
        # Shortened here: set too late, on a busy machine, an alarm is deleted unannounced.
        assert await link.call("PEXPIRE", lab.keys.alarm("short"), "1") == 1

        async def touched() -> bool:
            await lab.care.touch(["lasting", "short"])
            return heard == ["short"]

        await eventually(touched)
        await lab.care.touch([])
        assert await link.call("EXISTS", lab.keys.alarm("lasting")) == 1
        assert lab.view.allocations["short"].state is AllocationState.QUEUED
