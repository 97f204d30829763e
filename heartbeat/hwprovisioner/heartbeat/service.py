"""The heartbeat service put together."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import grpc.aio

from hwprovisioner.heartbeat.beats import MOST_AT_ONCE, Beat, BeatWriter, Outcome
from hwprovisioner.heartbeat.gathering import Gatherer
from hwprovisioner.heartbeat.servicer import SERVICE_NAME, HeartbeatServicer
from hwprovisioner.heartbeat.settings import Settings
from hwprovisioner.heartbeat.signing_on import SigningOn
from hwprovisioner.heartbeat.standing import Standing
from hwprovisioner.serving import (
    STARTED,
    Readiness,
    Service,
    bind,
    build_server,
    open_files,
    serve,
)
from hwprovisioner.state.beaters import Beaters
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import heartbeat_service_pb2_grpc

_log = logging.getLogger(__name__)

#: The condition of readiness that follows the link to Redis.
REDIS = "redis"

#: Holders have to hear soon that Redis is away.
_TIMEOUT_MS = 2000
_PATIENCE_MS = 250


@dataclass(frozen=True, slots=True)
class Opened:
    """A service that is bound and not started."""

    server: grpc.aio.Server
    readiness: Readiness
    port: int
    loops: Mapping[str, Callable[[], Awaitable[None]]]
    """What runs beside the server."""


@contextlib.asynccontextmanager
async def open_service(settings: Settings, *, worker: int = 0) -> AsyncIterator[Opened]:
    """Open the link to Redis, and bind a server that uses it.

    Args:
        settings: those of the service.
        worker: the number of this one of several processes that share the port; 0 if it is alone.

    Raises:
        BindError: the port is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        link = await stack.enter_async_context(
            Link(
                settings.redis_url,
                client_name="hwp-heartbeat",
                timeout_ms=_TIMEOUT_MS,
                patience_ms=_PATIENCE_MS,
            )
        )
        standing = Standing(settings.outage_limit_ms)
        writer = BeatWriter(link, Keys(settings.lab))
        beats = await stack.enter_async_context(
            Gatherer[Beat, Outcome](writer.write, largest_batch=MOST_AT_ONCE)
        )
        servicer = HeartbeatServicer(beats.add, writer.write, standing.pause)
        readiness = Readiness([SERVICE_NAME], [STARTED, REDIS])
        link.listen(lambda connected: readiness.report(REDIS, holds=connected))
        service = Service(
            SERVICE_NAME,
            lambda server: heartbeat_service_pb2_grpc.add_HeartbeatServiceServicer_to_server(
                servicer, server
            ),
        )
        server = build_server([service], readiness, reuse_port=bool(worker))
        port = bind(
            *(server, settings.serving.bind, settings.port),
            setting="HWP_HEARTBEAT_PORT",
            reuse_port=bool(worker),
        )
        signing_on = SigningOn(_beater(settings, link, port, worker), standing)
        # When it takes no more beats, and before the link is closed.
        stack.push_async_callback(signing_on.sign_off)
        yield Opened(server, readiness, port, {"sign on": signing_on.keep})


def _beater(settings: Settings, link: Link, port: int, worker: int) -> Beaters:
    """Return this replica, which is known by where it serves: so it takes its place again."""
    name = f"{socket.gethostname()}/{settings.serving.bind}:{port}"
    if worker:
        name += f"#{worker}"
    process = secrets.token_hex(8)
    return Beaters(link, Keys(settings.lab), name, process, settings.outage_limit_ms)


async def main(settings: Settings, stopping: asyncio.Event) -> None:
    """Run the service until `stopping` is set."""
    if settings.workers > 1:
        from hwprovisioner.heartbeat.workers import supervise

        await supervise(settings, stopping)
        return
    async with open_service(settings) as opened:
        where = f"{settings.serving.bind}:{opened.port}"
        _log.info("heartbeat of lab %s listens on %s", settings.lab, where)
        await serve_opened(opened, settings, stopping)


async def serve_opened(
    opened: Opened,
    settings: Settings,
    stopping: asyncio.Event,
    loops: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
) -> None:
    """Serve until `stopping` is set; `loops` run beside the service's own."""
    open_files.raise_limit()
    await serve(
        opened.server,
        opened.readiness,
        stopping,
        loops={**opened.loops, **(loops or {})},
        grace_ms=settings.serving.grace_ms,
    )
