"""A server made as the services make theirs, on a free port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import grpc.aio

from hwprovisioner.serving import STARTED, Readiness, Service, bind, build_server, serve
from hwprovisioner.serving.lifecycle import Loop


@dataclass(frozen=True)
class Running:
    port: int
    readiness: Readiness
    stopping: asyncio.Event
    channel: grpc.aio.Channel

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serving(
    *services: Service,
    conditions: Sequence[str] = (),
    loops: Mapping[str, Loop] | None = None,
    grace_ms: int = 1000,
) -> AsyncIterator[Running]:
    """Serve until the block ends; what a loop raised comes out of it."""
    names = [service.name for service in services]
    readiness = Readiness(names, [STARTED, *conditions])
    server = build_server(services, readiness)
    port = bind(server, "127.0.0.1", 0, setting="HWP_TEST_PORT")
    stopping = asyncio.Event()
    life = asyncio.create_task(
        serve(server, readiness, stopping, loops=loops, grace_ms=grace_ms), name="server"
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await channel.channel_ready()
            yield Running(port, readiness, stopping, channel)
    finally:
        stopping.set()
        await life
