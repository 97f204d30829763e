"""Registering as a manager, message by message, and who is there then."""

from typing import Any

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2
from support.asking import LIMIT_S
from support.refusals import Refusal, refusal_in
from support.services import Running


def register(**fields: Any) -> stream.SubscribeRequest:
    return stream.SubscribeRequest(register=stream.Register(**{"manager_id": "m", **fields}))


async def refused(service: Running, *messages: stream.SubscribeRequest) -> Refusal:
    """Say something on a new stream, and return how the stream ended."""
    call = service.stub.Subscribe()
    for message in messages:
        await call.write(message)
    return await refusal_in(call)


async def listed(service: Running) -> dict[str, resource_pb2.Resource]:
    """Return all resources by their names."""
    request = pb.ListResourcesRequest()
    response = await service.stub.ListResources(request, timeout=LIMIT_S)
    return {each.spec.name: each for each in response.resources}


async def presence(service: Running, manager_id: str) -> int:
    response = await service.stub.ListManagers(pb.ListManagersRequest(), timeout=LIMIT_S)
    [found] = [each.presence for each in response.managers if each.id == manager_id]
    return int(found)
