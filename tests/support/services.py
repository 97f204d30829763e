"""The real Allocate service in this process. Who asks is in asking.py, who has in fake_manager.py.

::

    async with allocate(redis_url, offer_ms=200) as service:
        async with manager(service.stub, "m1", [machine("a"), machine("b")]) as agent:
            async with asking(service.stub, wanting(db={"cpus": "4"})) as asked:
                ready = await asked.until("ready")
                await asked.release()
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio

from hwprovisioner.allocate.policy import DEFAULT_POLICY, Policy
from hwprovisioner.allocate.server import Allocate, open_service
from hwprovisioner.allocate.settings import Settings
from hwprovisioner.serving import Readiness, serve
from hwprovisioner.serving.settings import from_env
from hwprovisioner.v1.allocate_service_pb2_grpc import AllocateServiceStub
from support.eventually import eventually


@dataclass(frozen=True, slots=True)
class Running:
    """An Allocate service that serves."""

    port: int
    channel: grpc.aio.Channel
    stub: Any
    readiness: Readiness
    stopping: asyncio.Event
    allocate: Allocate

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def allocate(
    redis_url: str,
    *,
    lab: str = "default",
    policy: Policy = DEFAULT_POLICY,
    wait_ready: bool = True,
    **limits_ms: int,
) -> AsyncIterator[Running]:
    """Run the service on a free port until the block ends.

    Args:
        redis_url: the lab's Redis, which may be away.
        lab: its name.
        policy: what holds in it.
        wait_ready: begin only once it says SERVING.
        limits_ms: those of `Limits`, such as `offer_ms`; also `tries`.
    """
    environ = {"HWP_REDIS_URL": redis_url, "HWP_ALLOCATE_PORT": "0", "HWP_LAB": lab}
    settings = from_env(Settings, environ)
    settings = replace(settings, limits=replace(settings.limits, **limits_ms), policy=policy)
    stopping = asyncio.Event()
    async with open_service(settings) as opened:
        loops = opened.allocate.loops(stopping)
        life = asyncio.create_task(
            serve(opened.server, opened.readiness, stopping, loops=loops, grace_ms=2000)
        )
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{opened.port}") as channel:
                await channel.channel_ready()
                stub = AllocateServiceStub(channel)
                running = Running(
                    *(opened.port, channel, stub, opened.readiness, stopping, opened.allocate)
                )
                if wait_ready:
                    await eventually(lambda: opened.readiness.ready)
                yield running
        finally:
            stopping.set()
            await life
