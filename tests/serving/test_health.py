"""Serving: health follows what a server needs, and everyone who watches it is told."""

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from support.failing_service import NAME, service
from support.grpc_server import Running, serving


async def health_of(running: Running, name: str) -> int:
    stub = health_pb2_grpc.HealthStub(running.channel)
    status: int = (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status
    return status


async def test_health_follows_the_conditions_for_the_server_and_each_service() -> None:
    async with serving(service(), conditions=["redis"]) as running:
        for holds, status in ((False, 2), (True, 1), (False, 2)):
            running.readiness.report("redis", holds=holds)
            assert await health_of(running, "") == status
            assert await health_of(running, NAME) == status


async def test_the_health_of_an_unknown_service_is_not_found(running: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await health_of(running, "other")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_every_watcher_is_told_of_changes_and_of_the_end() -> None:
    async with serving(service(), conditions=["redis"], grace_ms=60_000) as running:
        stub = health_pb2_grpc.HealthStub(running.channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service=NAME)) for _ in range(3)]
        assert [(await watch.read()).status for watch in watches] == [2, 2, 2]
        watches[0].cancel()
        running.readiness.report("redis", holds=True)
        assert [(await watch.read()).status for watch in watches[1:]] == [1, 1]
        running.stopping.set()
        assert [(await watch.read()).status for watch in watches[1:]] == [2, 2]
        assert [await watch.read() for watch in watches[1:]] == [grpc.aio.EOF, grpc.aio.EOF]
