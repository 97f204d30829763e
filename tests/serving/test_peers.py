"""Callers that do not behave: they are cut off, and others are served meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hwprovisioner.serving import Service, interceptor
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocate_service_pb2_grpc import (
    AllocateServiceServicer,
    AllocateServiceStub,
    add_AllocateServiceServicer_to_server,
)
from support.eventually import eventually
from support.grpc_server import Running, serving
from support.refusals import refusal_in

NAME = pb.DESCRIPTOR.services_by_name["AllocateService"].full_name


class Servicer(AllocateServiceServicer):
    """Tells a watcher more and more."""

    def __init__(self) -> None:
        self.told = 0
        self.is_over = False

    async def GetResource(self, request: Any, context: Any) -> pb.GetResourceResponse:
        return pb.GetResourceResponse()

    async def WatchLab(self, request: Any, context: Any) -> AsyncIterator[pb.WatchLabResponse]:
        try:
            while True:
                yield pb.WatchLabResponse(event="x" * 10_000)
                self.told += 1
        finally:
            self.is_over = True


def service(servicer: Servicer) -> Service:
    return Service(NAME, lambda server: add_AllocateServiceServicer_to_server(servicer, server))


async def is_served(running: Running) -> None:
    stub = AllocateServiceStub(running.channel)
    await stub.GetResource(pb.GetResourceRequest(), timeout=10)


async def test_a_watcher_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interceptor, "UNREAD_LIMIT_S", 0.5)
    servicer = Servicer()  # type: ignore[abstract]
    async with serving(service(servicer)) as running:
        feed: Any = AllocateServiceStub(running.channel).WatchLab(pb.WatchLabRequest())
        await feed.read()
        await is_served(running)
        await eventually(lambda: servicer.is_over)
        # What was on its way to it is far less than it might have been told.
        assert servicer.told < 10_000
        assert (await refusal_in(feed)).reason == "NOT_READ"


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
        b"PRI * HTTP/2.0\r\n",
        b"",
    ],
    ids=["http1", "frames", "half", "nothing"],
)
async def test_rubbish_on_connections_disturbs_nobody_else(rubbish: bytes) -> None:
    async with serving(service(Servicer())) as running:  # type: ignore[abstract]
        ways = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(50)]
        try:
            for _, writer in ways:
                writer.write(rubbish)
            await is_served(running)
        finally:
            for _, writer in ways:
                writer.transport.abort()
