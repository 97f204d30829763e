"""Serving: what a call costs does not depend on how many methods there are."""

import asyncio
from typing import Any

import pytest

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc
from support.failing_service import service
from support.grpc_server import serving


async def test_of_all_methods_together_the_next_call_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited_for: list[int] = []
    wait = asyncio.wait

    def noted(futures: Any, **how: Any) -> Any:
        waited_for.append(len(futures))
        return wait(futures, **how)

    monkeypatch.setattr(asyncio, "wait", noted)
    async with serving(service()) as running:
        stub = allocate_service_pb2_grpc.AllocateServiceStub(running.channel)
        waited_for.clear()
        await stub.GetResource(pb.GetResourceRequest())
        await stub.GetResource(pb.GetResourceRequest())
    assert waited_for
    assert waited_for[0] == 1
