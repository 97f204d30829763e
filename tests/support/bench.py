"""A host that is held, with replicas of Allocate and a manager, all of them real."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from redis.asyncio import Redis

from hwprovisioner.resourcemanager import Connection
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import resource_pb2
from support import fake_manager
from support.asking import LIMIT_S, Asked, asking
from support.eventually import eventually
from support.manager import Manager, manager
from support.reachable import (
    Machine,
    a_machine,
    connected,
)
from support.refusals import refusal_of
from support.services import Running, allocate

ON = resource_pb2.POWER_ACTION_ON


@dataclass(frozen=True, slots=True)
class Bench:
    """A host that is held, and how to get at it."""

    services: Sequence[Running]
    machine: Machine
    manager: Manager
    asked: Asked
    redis_url: str
    is_near: bool = True
    """The holder and the manager's ends of channels are at one replica."""

    @property
    def stub(self) -> Any:
        """The replica that holders call."""
        return self.services[0].stub

    def connected(self, **target: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        return connected(self.stub, self.asked, **target)

    async def switch(self, action: Any = ON, **more: Any) -> None:
        known = {"allocation_id": self.asked.id, "token": self.asked.token} | more
        request = pb.SwitchPowerRequest(action=action, **known)
        await self.stub.SwitchPower(request, timeout=LIMIT_S)

    async def nothing_is_left(self) -> None:
        """Wait until no part knows of any channel."""

        async def gone() -> bool:
            redis = Redis.from_url(self.redis_url)
            keys = await redis.keys("hwp:*channel*")
            await redis.aclose()
            ends = [service.allocate.channel_desk.count for service in self.services]
            left = (keys, ends, self.manager.agent.channels.count, self.machine.consoles)
            assert left == ([], [0] * len(ends), 0, 0), left
            return True

        await eventually(gone)


@contextlib.asynccontextmanager
async def bench(
    redis_url: str,
    folder: Path,
    holder: int = 0,
    stream: int = 0,
    carrier: int = 0,
    *,
    connection: Connection | None = None,
) -> AsyncIterator[Bench]:
    """Run as many replicas as are named, and a manager whose host is held.

    Args:
        redis_url: their Redis.
        folder: for the manager's journal.
        holder: the replica that the holder calls.
        stream: the one that has the manager's stream.
        carrier: the one that the manager's channels go to.
        connection: how the host is reached; without one at loopback.
    """
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        count = max(holder, stream, carrier) + 1
        services = [await enter(allocate(redis_url)) for _ in range(count)]
        machine = await enter(a_machine())
        machine.connection = connection or machine.connection
        run = await enter(manager(services[stream].target, folder / "journal", machine.load))
        stub = services[holder].stub
        await fake_manager.until_known(stub, "bench", [fake_manager.machine("box")])
        # Not before: a link says where channels go to when it begins.
        run.agent.channels.carry = services[carrier].stub.CarryChannel
        # Nobody beats, however long a test takes on a busy machine.
        asked = await enter(asking(stub, lease_ttl=600))
        await asked.until("ready")
        in_order = [services[holder], *(s for s in services if s is not services[holder])]
        for service in services:
            await service.allocate.signals.hears.wait()
        yield Bench(in_order, machine, run, asked, redis_url, holder == carrier)


async def refused(bench: Bench, **target: Any) -> tuple[grpc.StatusCode, str, str]:
    """Return how a channel is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with bench.connected(**target):
            pass
    return caught.value.code(), refusal_of(caught.value).reason, caught.value.details() or ""
