"""Replicas that sign on, leave, and say what they know when they are cut off from Redis."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from google.rpc import status_pb2  # type: ignore[import-untyped]

from hwprovisioner.state.link import Link
from hwprovisioner.v1 import heartbeat_service_pb2 as pb
from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceStub
from support.beating import heartbeat
from support.eventually import eventually
from support.lab_state import TOKEN, LabState
from support.redis_server import running

BEAT = pb.HeartbeatRequest(allocation_id="a", token=TOKEN)


@pytest.fixture
async def lab(redis_url: str) -> AsyncIterator[LabState]:
    async with Link(redis_url) as link:
        yield LabState(link)


async def pause_told(channel: grpc.aio.Channel) -> pb.LeasePause | None:
    """Beat, which must be refused; return what is told of a pause."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await HeartbeatServiceStub(channel).Heartbeat(BEAT, timeout=10)
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(failure.value.trailing_metadata())
    for packed in status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details:
        pause = pb.LeasePause()
        if packed.Unpack(pause):
            return pause
    return None


async def is_taken(channel: grpc.aio.Channel) -> bool:
    try:
        await HeartbeatServiceStub(channel).Heartbeat(BEAT, timeout=10)
    except grpc.aio.AioRpcError:
        return False
    return True


async def grpcurl(target: str) -> str:
    """Beat as a person would, and return what is shown."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("grpcurl")), "-plaintext"),
        *("-d", '{"allocation_id": "a", "token": "' + TOKEN + '"}'),
        *(target, "hwprovisioner.v1.HeartbeatService/Heartbeat"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode()


async def test_once_it_is_certain_a_beat_is_refused_with_how_leases_are_paused() -> None:
    with running(durable=True) as server:
        async with (
            Link(server.url) as link,
            heartbeat(server.url) as target,
            grpc.aio.insecure_channel(target) as channel,
        ):
            lab = LabState(link)
            await lab.submit("a")
            await eventually(lambda: link.call("EXISTS", lab.keys.beaters))
            server.kill()
            assert await pause_told(channel) is None, "not certain yet"
            pause = await eventually(lambda: pause_told(channel))
            assert 0 <= pause.paused_for.ToMilliseconds() < pause.remaining.ToMilliseconds()
            assert 'hwprovisioner.v1.LeasePause","paused_for":' in await grpcurl(target)
            server.start()
            await eventually(lambda: is_taken(channel))


async def processes(lab: LabState) -> list[str]:
    """Tell which process each replica is that has signed on."""
    return [str(each).split()[2] for each in await lab.link.call("HVALS", lab.keys.beaters)]


async def test_replicas_sign_on_and_off_and_the_last_keeps_its_place(
    lab: LabState, redis_url: str
) -> None:
    async def there_are(count: int) -> bool:
        return len(await processes(lab)) == count

    async with heartbeat(redis_url):
        await eventually(lambda: there_are(1))
        async with heartbeat(redis_url):
            await eventually(lambda: there_are(2))
        [last] = await processes(lab)
        assert last != "-"
    assert await processes(lab) == ["-"]

    async def is_replaced() -> bool:
        found = await processes(lab)
        return len(found) == 1 and found != ["-"]

    async with heartbeat(redis_url):
        await eventually(is_replaced)
