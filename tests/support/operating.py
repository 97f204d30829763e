"""What people say of the machine a, and what its manager says."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2
from hwprovisioner.v1.resource_pb2 import (
    HEALTH_HEALTHY,
    Health,
)
from support.asking import LIMIT_S, resource
from support.fake_manager import machine, manager
from support.services import Running


async def enable(service: Running) -> resource_pb2.Resource:
    request = pb.EnableResourceRequest(name="a", operator="eve")
    return (await service.stub.EnableResource(request, timeout=LIMIT_S)).resource  # type: ignore[no-any-return]


async def quarantine(service: Running) -> resource_pb2.Resource:
    request = pb.QuarantineResourceRequest(name="a", reason="burnt", operator="bob")
    return (await service.stub.QuarantineResource(request, timeout=LIMIT_S)).resource  # type: ignore[no-any-return]


async def health_is(service: Running, health: Health.ValueType) -> bool:
    return (await resource(service.stub, "a")).health == health


async def say_well(agent: Any, look: int) -> None:
    change = stream.HealthChange(resource="a", health=HEALTH_HEALTHY, look=look)
    await agent.say(health=change)


async def taken_in(agent: Any) -> None:
    """Return once the lab has taken in what a manager has said."""
    nonsense = stream.HealthChange(resource="nowhere", health=HEALTH_HEALTHY)
    await agent.say(health=nonsense)
    await agent.hear("refused", lambda refused: refused.resource == "nowhere")


@contextlib.asynccontextmanager
async def one_machine(service: Running) -> AsyncIterator[Any]:
    async with manager(service.stub, "m", [machine("a")]) as agent:
        yield agent
