"""What the peers of a storm say is understood, and they behave as a gRPC client would."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from benchmarks.storm.load import Load
from benchmarks.storm.wire import Call, opening

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_QUEUED, ALLOCATION_STATE_READY
from hwprovisioner.v1.resource_pb2 import PRESENCE_ONLINE
from support.eventually import eventually
from support.services import Running, allocate


async def stand(service: Running) -> tuple[list[int], list[int]]:
    """Return in which state the allocations are, and how present the resources."""
    allocations = (await service.stub.ListAllocations(pb.ListAllocationsRequest())).allocations
    resources = (await service.stub.ListResources(pb.ListResourcesRequest())).resources
    return sorted(each.state for each in allocations), [each.presence for each in resources]


async def test_a_manager_and_clients_have_what_they_had_when_they_are_back(redis_url: str) -> None:
    ports: list[int] = []
    load = Load(1, 2, ports)
    usual = sorted([ALLOCATION_STATE_QUEUED, ALLOCATION_STATE_READY]), [PRESENCE_ONLINE]

    async def is_as_usual() -> bool:
        return await stand(service) == usual

    async with allocate(redis_url) as service:
        ports[:] = [service.port]
        await load.begin()
        await eventually(is_as_usual)
    async with allocate(redis_url) as service:
        ports[:] = [service.port]
        said = await load.back()
        await eventually(is_as_usual)
        load.end()
    assert len(said["heard_s"]) == 3
    assert said["ended"] == []
    assert any("this server is stopping" in how for how, _ in said["troubles"]), said["troubles"]


@contextlib.asynccontextmanager
async def generous(messages: int, size: int) -> AsyncIterator[int]:
    """Serve ``/Generous/Give``, which answers with so many messages; give its port."""

    async def give(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(messages):
            yield bytes(size)

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(give)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("Generous", {"Give": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def test_what_was_read_is_credited_so_that_more_comes() -> None:
    sizes: list[int] = []
    call = Call(opening("/Generous/Give"), b"", lambda m: sizes.append(len(m)), is_last=True)
    async with generous(40, 50_000) as port:
        await asyncio.get_running_loop().create_connection(lambda: call, "127.0.0.1", port)
        assert await call.ended == "status 0: "
    assert sizes == [50_000] * 40
