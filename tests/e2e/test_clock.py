"""The clock of the machine of Redis is set by an hour, either way: nothing ends of it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatRequest
from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceStub
from support.asking import Asked, asking
from support.beating import heartbeat
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.services import Running, allocate
from support.set_clock import redis_with_a_clock

HOUR_S = 3600
TTL_S = 30
WAIT_S = 600
MAX_S = 1200
SLACK_MS = 200_000
"""How long the test itself may take; far less than the clock is set by."""


async def left_ms(link: Link, member: str) -> int:
    """Tell how long a deadline is away, by the clock of Redis."""
    seconds, micros = await link.call("TIME")
    score = await link.call("ZSCORE", Keys().deadlines, member)
    assert score is not None, f"{member} is due no more"
    return int(score) - int(seconds) * 1000 - int(micros) // 1000


@contextlib.asynccontextmanager
async def asking_in_turn(service: Running) -> AsyncIterator[tuple[Asked, Asked]]:
    """Give who has the machine, and who waits for it."""
    async with asking(service.stub, lease_ttl=TTL_S, max_duration=MAX_S) as held:
        await held.until("ready")
        async with asking(service.stub, lease_ttl=TTL_S, wait_timeout=WAIT_S) as queued:
            assert queued.events == ["queued"]
            yield held, queued


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
async def test_nothing_ends_and_deadlines_follow(tmp_path: Path, step_s: int) -> None:
    with redis_with_a_clock(tmp_path) as (server, clock):
        async with (
            Link(server.url) as link,
            allocate(server.url) as service,
            heartbeat(server.url) as target,
            grpc.aio.insecure_channel(target) as channel,
            manager(service.stub, "m", [machine("a")]),
            asking_in_turn(service) as (held, queued),
        ):
            beats = HeartbeatServiceStub(channel)
            wait, longest = f"wait:{queued.id}", f"max:{held.id}"
            assert await left_ms(link, wait) > WAIT_S * 1000 - SLACK_MS

            async def have_followed() -> bool:
                for each in (held, queued):
                    await beats.Heartbeat(HeartbeatRequest(allocation_id=each.id, token=each.token))
                limits = {wait: WAIT_S, longest: MAX_S}
                left = {member: await left_ms(link, member) for member in limits}
                return all(
                    limit * 1000 - SLACK_MS < left[member] <= limit * 1000
                    for member, limit in limits.items()
                )

            for ahead_s in (step_s, 0):
                clock.set(ahead_s)
                await eventually(have_followed)
                for each in (held, queued):
                    lease_ms = await left_ms(link, f"lease:{each.id}")
                    assert 0 < lease_ms <= TTL_S * 1000
            # And the lab looks after leases as before.
            async with asking(service.stub, lease_ttl=1, wait_timeout=WAIT_S) as left_alone:
                assert await left_alone.ended() == "EXPIRED"
            listed = await service.stub.ListAllocations(pb.ListAllocationsRequest())
            ended = [each.id for each in listed.allocations if each.end_reason]
            assert ended == [left_alone.id]
