"""A service whose methods fail as the request says, one of each kind."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from hwprovisioner.serving import Refused, Service, bad_request
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc, manager_stream_pb2

NAME = pb.DESCRIPTOR.services_by_name["AllocateService"].full_name
ended: list[str] = []
#: Those whose callers leave while they are worked on.
calls: list[Any] = []


class Servicer(allocate_service_pb2_grpc.AllocateServiceServicer):
    """One method of each kind that fails as the request says."""

    async def GetResource(self, request: Any, context: Any) -> pb.GetResourceResponse:
        if calls:
            calls.pop().cancel()
            # gRPC finds out beside this loop, which must not know of it yet when it refuses.
            time.sleep(0.2)  # noqa: ASYNC251
        await fail(request.name, context)
        return pb.GetResourceResponse()

    async def WatchLab(self, request: Any, context: Any) -> AsyncIterator[pb.WatchLabResponse]:
        yield pb.WatchLabResponse(revision=1)
        await fail("refuse", context)

    async def WatchAllocation(self, request: Any, context: Any) -> None:  # type: ignore[override]
        await context.write(pb.WatchAllocationResponse())
        await fail(request.allocation_id, context)

    async def Subscribe(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]
        async for request in request_iterator:
            ping = manager_stream_pb2.SubscribeResponse(ping=manager_stream_pb2.Ping())
            writing = asyncio.create_task(context.write(ping))
            if request.withdraw.reason == "refuse in the middle of a write":
                await asyncio.sleep(0)
                writing.cancel()
                raise bad_request([("name", "is not nice")])
            await writing
            await fail(request.withdraw.reason, context)


async def fail(how: str, context: Any) -> None:
    match how:
        case "refuse":
            raise bad_request([("name", "is not nice")])
        case "refuse in a group":
            async with asyncio.TaskGroup() as group:
                group.create_task(refuse())
        case "break":
            raise RuntimeError("the secret of the house")
        case "be left":
            raise ExceptionGroup("a write failed", [grpc.aio.InternalError("no way")])
        case "abort":
            await context.abort(grpc.StatusCode.DATA_LOSS, "as it says")
        case "wait":
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(how)
        case "many":
            raise bad_request([(f"hosts[{n}].cpus", "is negative") for n in range(10_000)])


async def refuse() -> None:
    raise Refused("NO_SUCH_RESOURCE", "gone")


def service() -> Service:
    servicer = Servicer()  # type: ignore[abstract]
    return Service(
        NAME,
        lambda server: allocate_service_pb2_grpc.add_AllocateServiceServicer_to_server(
            servicer, server
        ),
    )
