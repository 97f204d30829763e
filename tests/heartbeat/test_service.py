import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from hwprovisioner.heartbeat import Settings, open_service
from hwprovisioner.serving import serve
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import EndReason
from hwprovisioner.v1 import allocation_pb2, heartbeat_service_pb2_grpc
from hwprovisioner.v1 import heartbeat_service_pb2 as pb
from support.eventually import eventually
from support.lab_state import TOKEN, LabState
from support.redis_server import running


@contextlib.asynccontextmanager
async def heartbeat(redis_url: str) -> AsyncIterator[grpc.aio.Channel]:
    settings = Settings.from_env({"HWP_REDIS_URL": redis_url, "HWP_HEARTBEAT_PORT": "0"})
    stopping = asyncio.Event()
    async with open_service(settings) as opened, asyncio.TaskGroup() as group:
        group.create_task(
            serve(opened.server, opened.readiness, stopping, loops=opened.loops, grace_ms=1000)
        )
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{opened.port}") as channel:
                await channel.channel_ready()
                yield channel
        finally:
            stopping.set()


@pytest.fixture
async def channel(redis_url: str) -> AsyncIterator[grpc.aio.Channel]:
    async with Link(redis_url) as link:
        await LabState(link).tend()
        async with heartbeat(redis_url) as channel:
            yield channel


@pytest.fixture
async def lab(redis_url: str) -> AsyncIterator[LabState]:
    async with Link(redis_url) as link:
        yield LabState(link)


def beat(
    channel: grpc.aio.Channel, name: str, token: str = TOKEN
) -> "grpc.aio.UnaryUnaryCall[pb.HeartbeatRequest, pb.HeartbeatResponse]":
    stub = heartbeat_service_pb2_grpc.HeartbeatServiceStub(channel)
    return stub.Heartbeat(pb.HeartbeatRequest(allocation_id=name, token=token), timeout=10)


async def refusal(
    channel: grpc.aio.Channel, name: str, token: str = TOKEN
) -> tuple[grpc.StatusCode, list[Any]]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await beat(channel, name, token)
    rich = status_pb2.Status.FromString(
        dict(failure.value.trailing_metadata())["grpc-status-details-bin"]
    )
    found = []
    for packed in rich.details:
        message = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])()
        packed.Unpack(message)
        found.append(message)
    return failure.value.code(), found


async def serving_status(channel: grpc.aio.Channel) -> str:
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="hwprovisioner.v1.HeartbeatService")
    status = (await stub.Check(request)).status
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


async def test_a_beat_tells_what_is_left_when_to_beat_again_and_the_state(
    channel: grpc.aio.Channel, lab: LabState
) -> None:
    await lab.submit("a", ttl_ms=30_000)
    response = await beat(channel, "a")
    assert response.remaining_lease.ToMilliseconds() == 30_000
    assert 9000 <= response.next_heartbeat_delay.ToMilliseconds() <= 11_000
    assert response.state == allocation_pb2.ALLOCATION_STATE_QUEUED
    assert not response.notices


async def test_a_near_end_of_the_maximum_duration_is_announced(
    channel: grpc.aio.Channel, lab: LabState
) -> None:
    await lab.submit("a", max_ms=30_000)
    await lab.link.call("ZADD", lab.keys.deadlines, await lab.now_ms() + 30_000, "max:a")
    [notice] = (await beat(channel, "a")).notices
    assert notice.kind == pb.NOTICE_KIND_MAX_DURATION_NEAR


async def test_a_beat_for_what_has_ended_is_aborted_with_the_reason(
    channel: grpc.aio.Channel, lab: LabState
) -> None:
    await lab.submit("a")
    await lab.end("a", EndReason.RESOURCE_LOST, "the board is gone")
    code, [info] = await refusal(channel, "a")
    assert code is grpc.StatusCode.ABORTED
    assert (info.reason, info.domain) == ("ALLOCATION_ENDED", "hwprovisioner")
    assert info.metadata == {
        "allocation_id": "a",
        "end_reason": "RESOURCE_LOST",
        "end_detail": "the board is gone",
    }


async def test_a_late_beat_is_aborted(channel: grpc.aio.Channel, lab: LabState) -> None:
    await lab.submit("a", ttl_ms=30_000, now_ms=await lab.now_ms() - 30_000)
    await lab.tend()
    code, [info] = await refusal(channel, "a")
    assert code is grpc.StatusCode.ABORTED
    assert info.metadata["end_reason"] == "EXPIRED"


async def test_a_wrong_token_is_not_permitted(channel: grpc.aio.Channel, lab: LabState) -> None:
    await lab.submit("a")
    code, [info] = await refusal(channel, "a", "another")
    assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "WRONG_TOKEN")


async def test_an_unknown_allocation_is_not_found(channel: grpc.aio.Channel) -> None:
    code, [info, missing] = await refusal(channel, "nobody")
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_ALLOCATION")
    assert (missing.resource_type, missing.resource_name) == ("allocation", "nobody")


@pytest.mark.parametrize(
    ("name", "token", "fields"),
    [
        ("", "", ["allocation_id", "token"]),
        ("a:b", TOKEN, ["allocation_id"]),
        ("{a}", TOKEN, ["allocation_id"]),
        ("a\n", TOKEN, ["allocation_id"]),
        ("a" * 10_000_000, TOKEN, ["allocation_id"]),
        ("a", "x" * 257, ["token"]),
    ],
    ids=["empty", "colon", "braces", "newline", "10MB", "long-token"],
)
async def test_wrong_fields_are_named(
    channel: grpc.aio.Channel, name: str, token: str, fields: list[str]
) -> None:
    code, [info, bad] = await refusal(channel, name, token)
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
    assert [violation.field for violation in bad.field_violations] == fields


async def test_many_beats_at_once_are_each_answered_on_their_own(
    channel: grpc.aio.Channel, lab: LabState
) -> None:
    for n in range(100):
        await lab.submit(f"a{n}", ttl_ms=1000 * (n + 10))
    calls = [beat(channel, f"a{n}", TOKEN if n % 3 else "another") for n in range(100)]
    responses = await asyncio.gather(*calls, return_exceptions=True)
    for n, response in enumerate(responses):
        if n % 3:
            assert isinstance(response, pb.HeartbeatResponse)
            assert response.remaining_lease.ToMilliseconds() == 1000 * (n + 10)
        else:
            assert isinstance(response, grpc.aio.AioRpcError)
            assert response.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_cancelled_callers_disturb_nobody(channel: grpc.aio.Channel, lab: LabState) -> None:
    for n in range(50):
        await lab.submit(f"a{n}", ttl_ms=1000 * (n + 10))
    for _ in range(5):
        calls = [beat(channel, f"a{n}") for n in range(50)]
        for call in calls[::2]:
            call.cancel()
        for n in range(1, 50, 2):
            assert (await calls[n]).remaining_lease.ToMilliseconds() == 1000 * (n + 10)


async def test_redis_away_is_unavailable_and_everything_goes_on_when_it_is_back() -> None:
    with running(durable=True) as server:
        async with Link(server.url) as link, heartbeat(server.url) as channel:
            lab = LabState(link)
            await lab.submit("a")
            await beat(channel, "a")
            assert await serving_status(channel) == "SERVING"

            server.kill()
            code, [info, retry] = await refusal(channel, "a")
            assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "STATE_UNAVAILABLE")
            assert retry.retry_delay.ToMilliseconds() > 0
            assert await serving_status(channel) == "NOT_SERVING"

            server.start()

            async def serves() -> bool:
                return await serving_status(channel) == "SERVING"

            await eventually(serves)
            assert (await beat(channel, "a")).remaining_lease.ToMilliseconds() == 30_000


async def test_redis_away_at_the_start_is_waited_for() -> None:
    with running() as server:
        server.kill()
        async with heartbeat(server.url) as channel:
            assert await serving_status(channel) == "NOT_SERVING"
            server.start()

            async def unknown() -> bool:
                code, _ = await refusal(channel, "nobody")
                return code is grpc.StatusCode.NOT_FOUND

            await eventually(unknown)


def test_redis_py_is_not_on_the_path() -> None:
    program = "import sys, hwprovisioner.heartbeat.__main__; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


async def test_the_process_serves_and_stops_on_a_signal(redis_url: str) -> None:
    environment = os.environ | {"HWP_REDIS_URL": redis_url, "HWP_HEARTBEAT_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hwprovisioner.heartbeat"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    port = 0
    while not port:
        line = (await process.stderr.readline()).decode()
        assert line
        if "listens on" in line:
            port = int(line.rpartition(":")[2])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        code, _ = await refusal(channel, "nobody")
        assert code is grpc.StatusCode.NOT_FOUND
    process.send_signal(signal.SIGTERM)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
