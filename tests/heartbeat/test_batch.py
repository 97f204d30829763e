"""Many beats in one call: each is answered as it would be in a call of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from hwprovisioner.heartbeat.beats import MOST_AT_ONCE, Alive, Beat, BeatWriter
from hwprovisioner.heartbeat.servicer import HeartbeatServicer
from hwprovisioner.heartbeat.standing import Pause
from hwprovisioner.serving import Refused
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import EndReason
from hwprovisioner.v1 import heartbeat_service_pb2 as pb
from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceStub
from support.beating import heartbeat
from support.lab_state import TOKEN, LabState
from support.redis_server import running

TTL = 30_000


@pytest.fixture
async def lab(redis_url: str) -> AsyncIterator[LabState]:
    async with Link(redis_url) as link:
        yield LabState(link)


@pytest.fixture
async def channel(lab: LabState, redis_url: str) -> AsyncIterator[grpc.aio.Channel]:
    await lab.tend()
    async with heartbeat(redis_url) as address, grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        yield channel


def beat(name: str, token: str = TOKEN) -> pb.HeartbeatRequest:
    return pb.HeartbeatRequest(allocation_id=name, token=token)


async def send(
    channel: grpc.aio.Channel, beats: Iterable[pb.HeartbeatRequest]
) -> pb.BatchHeartbeatResponse:
    request = pb.BatchHeartbeatRequest(beats=beats)
    response = await HeartbeatServiceStub(channel).BatchHeartbeat(request, timeout=10)
    assert isinstance(response, pb.BatchHeartbeatResponse)
    return response


async def error_of_one(
    channel: grpc.aio.Channel, request: pb.HeartbeatRequest
) -> status_pb2.Status:
    """What a call of its own fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await HeartbeatServiceStub(channel).Heartbeat(request, timeout=10)
    trailers = dict(failure.value.trailing_metadata())
    return status_pb2.Status.FromString(trailers["grpc-status-details-bin"])


def reason_in(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


async def test_each_is_answered_in_its_place_as_in_a_call_of_its_own(
    channel: grpc.aio.Channel, lab: LabState
) -> None:
    for name in ("a", "b", "c"):
        await lab.submit(name, ttl_ms=TTL)
    await lab.end("b", EndReason.REVOKED, "the operator said so")
    wrong = {
        0: (beat("b"), "ALLOCATION_ENDED"),
        2: (beat("c", "another"), "WRONG_TOKEN"),
        3: (beat("nobody"), "NO_SUCH_ALLOCATION"),
        5: (beat("a:b"), "BAD_REQUEST"),
        6: (beat("a", ""), "BAD_REQUEST"),
    }
    beats = {n: request for n, (request, _) in wrong.items()}
    beats |= {1: beat("a"), 4: beat("c"), 7: beat("a")}
    response = await send(channel, [beats[n] for n in range(8)])
    assert [each.WhichOneof("result") for each in response.results] == [
        *("error", "response", "error", "error", "response", "error", "error", "response")
    ]
    for n, (request, reason) in wrong.items():
        error = response.results[n].error
        assert error == await error_of_one(channel, request)
        assert reason_in(error) == reason
    for n in (1, 4, 7):
        assert response.results[n].response.remaining_lease.ToMilliseconds() == TTL


async def test_what_is_wrong_with_the_whole_fails_the_call(channel: grpc.aio.Channel) -> None:
    for count in (0, 1001):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await send(channel, [beat("a")] * count)
        assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert f"beats: has {count} beats" in str(failure.value.details())


async def test_a_thousand_leases_are_extended_and_of_one_length_go_on_together(
    channel: grpc.aio.Channel, lab: LabState
) -> None:
    lengths = {f"a{n}": TTL if n % 2 else 2 * TTL for n in range(1000)}
    early = await lab.now_ms() - 10_000
    await asyncio.gather(
        *(lab.submit(name, ttl_ms=ttl_ms, now_ms=early) for name, ttl_ms in lengths.items())
    )
    before = await lab.now_ms()
    response = await send(channel, [beat(name) for name in lengths])
    for name, ttl_ms in lengths.items():
        assert before + ttl_ms <= await lab.deadline_ms(name) <= await lab.now_ms() + ttl_ms
    left = [each.response.remaining_lease.ToMilliseconds() for each in response.results]
    assert left == list(lengths.values())
    delays = {each.response.next_heartbeat_delay.ToMilliseconds() for each in response.results}
    assert len(delays) == 2


async def test_redis_away_fails_the_call() -> None:
    with running() as server:
        async with heartbeat(server.url) as address:
            async with grpc.aio.insecure_channel(address) as channel:
                [result] = (await send(channel, [beat("nobody")])).results
                assert reason_in(result.error) == "NO_SUCH_ALLOCATION"
                server.kill()
                with pytest.raises(grpc.aio.AioRpcError) as failure:
                    await send(channel, [beat("nobody"), beat("a:b")])
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_pause_is_told_once_for_all() -> None:
    async def fail(beats: object) -> list[Alive]:
        raise StateUnavailable("Redis has been unplugged")

    async def fail_one(beat: Beat) -> Alive:
        raise AssertionError("nobody beats alone here")

    servicer = HeartbeatServicer(fail_one, fail, lambda: Pause(5000, 60_000))
    request = pb.BatchHeartbeatRequest(beats=[beat("a"), beat("b")])
    with pytest.raises(Refused, match=r"unplugged.*leases are paused") as refusal:
        await servicer.BatchHeartbeat(request, None)  # type: ignore[arg-type]
    [pause] = refusal.value.details
    assert isinstance(pause, pb.LeasePause)
    assert pause.paused_for.ToMilliseconds() == 5000


async def test_a_single_beat_does_not_wait_for_all_of_a_batch(lab: LabState) -> None:
    writer = BeatWriter(lab.link, lab.keys)
    many = [Beat(f"a{n}", TOKEN) for n in range(4 * MOST_AT_ONCE)]
    done: list[int] = []

    async def write(beats: list[Beat]) -> None:
        done.append(len(await writer.write(beats)))

    await asyncio.gather(write(many), write(many[:1]))
    assert done == [1, len(many)]
