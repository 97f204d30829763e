"""The servicer without a server: the method is found by the contract's descriptor.

Here chance is the test's, so the answer is exact; test_service.py has the whole service.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc_testing
import pytest

from hwprovisioner.heartbeat.beats import Beat, BeatWriter, Outcome
from hwprovisioner.heartbeat.gathering import Gatherer
from hwprovisioner.heartbeat.servicer import HeartbeatServicer
from hwprovisioner.serving import Refused, status_of
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import EndReason
from hwprovisioner.v1 import allocation_pb2
from hwprovisioner.v1 import heartbeat_service_pb2 as pb
from support.lab_state import TOKEN, LabState

SERVICE = pb.DESCRIPTOR.services_by_name["HeartbeatService"]
LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Synchronous:
    """The servicer as grpc_testing calls it: from a thread of its own, waiting for the answer."""

    servicer: HeartbeatServicer
    loop: asyncio.AbstractEventLoop

    def Heartbeat(self, request: pb.HeartbeatRequest, context: Any) -> pb.HeartbeatResponse:
        call = asyncio.run_coroutine_threadsafe(
            self.servicer.Heartbeat(request, context), self.loop
        )
        try:
            return call.result(LIMIT_S)
        except Refused as error:
            status = status_of(error)
            context.set_code(status.code)
            context.set_details(status.details)
            return pb.HeartbeatResponse()


@dataclass(frozen=True, slots=True)
class Answer:
    response: pb.HeartbeatResponse
    code: grpc.StatusCode
    details: str


@contextlib.asynccontextmanager
async def serving(
    lab: LabState, chance: Callable[[], float]
) -> AsyncIterator[Callable[[str], Any]]:
    """Yield what sends one beat."""
    writer = BeatWriter(lab.link, lab.keys)
    async with Gatherer[Beat, Outcome](writer.write, largest_batch=10) as beats:
        servicer = HeartbeatServicer(beats.add, writer.write, chance=chance)
        adapter = Synchronous(servicer, asyncio.get_running_loop())
        server = grpc_testing.server_from_dictionary(
            {SERVICE: adapter}, grpc_testing.strict_fake_time(0)
        )

        def beat(name: str) -> Answer:
            request = pb.HeartbeatRequest(allocation_id=name, token=TOKEN)
            method = SERVICE.methods_by_name["Heartbeat"]
            rpc = server.invoke_unary_unary(method, (), request, LIMIT_S)
            response, _, code, details = rpc.termination()
            return Answer(response, code, details)

        yield lambda name: asyncio.to_thread(beat, name)


@pytest.fixture
async def lab(redis_url: str) -> AsyncIterator[LabState]:
    async with Link(redis_url) as link:
        yield LabState(link)


@pytest.mark.parametrize(("chance", "delay_ms"), [(0.0, 9_000), (0.5, 10_000), (1.0, 11_000)])
async def test_a_beat_is_answered_with_the_whole_lease_and_the_next_delay(
    lab: LabState, chance: float, delay_ms: int
) -> None:
    await lab.submit("a", ttl_ms=30_000, now_ms=await lab.now_ms() - 20_000)
    async with serving(lab, lambda: chance) as beat:
        answer = await beat("a")
    assert answer.code is grpc.StatusCode.OK
    assert answer.response.remaining_lease.ToMilliseconds() == 30_000
    assert answer.response.next_heartbeat_delay.ToMilliseconds() == delay_ms
    assert await lab.deadline_ms("a") > await lab.now_ms() + 20_000


async def test_a_beat_before_the_booked_time_is_welcome_and_extends_nothing(lab: LabState) -> None:
    await lab.book("a", in_ms=600_000, ttl_ms=30_000)
    async with serving(lab, lambda: 0.5) as beat:
        answer = await beat("a")
    assert answer.code is grpc.StatusCode.OK
    assert answer.response.state == allocation_pb2.ALLOCATION_STATE_BOOKED
    assert 500_000 < answer.response.remaining_lease.ToMilliseconds() <= 600_000
    assert answer.response.next_heartbeat_delay.ToMilliseconds() == 10_000
    assert await lab.alarm_ms("a") <= 0


async def test_a_beat_tells_when_its_allocation_gives_way(lab: LabState) -> None:
    await lab.submit("a")
    # As a pre-emption does.
    await lab.link.call("HSET", lab.keys.allocation("a"), "preempt_ms", 1)
    await lab.link.call("ZADD", lab.keys.deadlines, await lab.now_ms() + 600_000, "preempt:a")
    async with serving(lab, lambda: 0.5) as beat:
        [notice] = (await beat("a")).response.notices
    assert notice.kind == pb.NOTICE_KIND_PREEMPTION
    assert 500_000 < notice.remaining.ToMilliseconds() <= 600_000


async def test_a_beat_after_the_end_is_refused_and_brings_nothing_back(lab: LabState) -> None:
    await lab.submit("a")
    async with serving(lab, lambda: 0.5) as beat:
        assert (await beat("a")).code is grpc.StatusCode.OK
        await lab.end("a", EndReason.RELEASED, "by hand")
        answer = await beat("a")
        assert answer.code is grpc.StatusCode.ABORTED
        assert "RELEASED (by hand)" in answer.details
        assert await lab.alarm_ms("a") <= 0
