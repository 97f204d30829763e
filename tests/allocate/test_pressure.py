"""What waits for somebody is bounded, and what can no longer come is not waited for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hwprovisioner.allocate.lists import Lists
from hwprovisioner.allocate.manager_stream import ManagerStream
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.view import Change, View
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.services import Running


async def test_a_manager_that_does_not_read_is_not_read_any_longer(service: Running) -> None:
    pulled = 0

    async def requests() -> AsyncIterator[stream.SubscribeRequest]:
        nonlocal pulled
        yield stream.SubscribeRequest(register=stream.Register(manager_id="m"))
        while pulled < 10_000:
            pulled += 1
            yield stream.SubscribeRequest(accept=stream.Accept())

    async def write(response: stream.SubscribeResponse) -> None:
        if not response.HasField("registered"):
            await asyncio.Event().wait()

    desk = service.allocate.servicer._parts.desk
    running = asyncio.create_task(ManagerStream(desk, write).run(requests()))
    await eventually(lambda: pulled >= 64)
    for _ in range(20):
        await service.stub.ListResources(pb.ListResourcesRequest())
    assert pulled < 100
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_revision_that_was_lost_with_an_older_copy_is_not_waited_for() -> None:
    view = View()
    view.load(10, [])
    waiting = asyncio.create_task(view.reached(11))
    await asyncio.sleep(0)
    view.load(5, [])
    with pytest.raises(StateUnavailable, match="older copy"):
        await waiting


async def test_for_a_watcher_that_does_not_read_nothing_piles_up(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    make = Lists.change

    def noted(lists: Lists, change: Change) -> pb.WatchLabResponse:
        made.append(change.revision)
        return make(lists, change)

    monkeypatch.setattr(Lists, "change", noted)
    async with manager(service.stub, "m", [machine("a")]):
        start = service.allocate.servicer._parts.view.revision
        request = pb.WatchLabRequest(after_revision=start - 1)
        # gRPC takes the next message when there is room for it.
        told: Any = service.allocate.servicer.WatchLab(request, None)  # type: ignore[arg-type]
        await anext(told)
        for number in range(20):
            reason = f"{number}"
            await service.stub.DrainResource(pb.DrainResourceRequest(name="a", reason=reason))
        assert made == [start]
        assert (await anext(told)).revision == start + 1
        await told.aclose()
