"""What a beat is compared to: calls of the same messages that do nothing, on the same server.

`BUNCHED` gathers calls as beats are gathered and answers them together, so that what is left
between it and a beat is Redis and what is said to it.
"""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, Sequence

import grpc
import grpc.aio
import uvloop

from benchmarks.frame.stage import Stage, free_port, listening
from hwprovisioner.heartbeat.beats import MOST_AT_ONCE
from hwprovisioner.heartbeat.gathering import Gatherer
from hwprovisioner.serving import STARTED, Readiness, Service, bind, build_server, serve
from hwprovisioner.serving.lifecycle import run
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatRequest, HeartbeatResponse

_NAME = "bench.Beats"
EMPTY = f"/{_NAME}/Empty"
BUNCHED = f"/{_NAME}/Bunched"


def start(stage: Stage, processes: int = 1) -> int:
    """Run it in so many processes, each on a core of its own if there are several; the port."""
    port = free_port()
    for n in range(processes):
        stage.start(
            *("empty" if processes == 1 else f"empty-{n}",),
            ["python", "-m", "benchmarks.heartbeat.empty", str(port)],
            ready=listening(port),
            cores=() if processes == 1 else (n,),
        )
    return port


async def _empty(request: HeartbeatRequest, _context: object) -> HeartbeatResponse:
    return HeartbeatResponse()


async def _nothing(items: Sequence[int]) -> Sequence[int]:
    await asyncio.sleep(0)
    return items


def _add(server: grpc.aio.Server, gatherer: Gatherer[int, int]) -> None:
    async def bunched(request: HeartbeatRequest, _context: object) -> HeartbeatResponse:
        await gatherer.add(0)
        return HeartbeatResponse()

    calls: dict[str, Callable[[HeartbeatRequest, object], Awaitable[HeartbeatResponse]]]
    calls = {"Empty": _empty, "Bunched": bunched}
    methods = {
        name: grpc.unary_unary_rpc_method_handler(
            call, HeartbeatRequest.FromString, HeartbeatResponse.SerializeToString
        )
        for name, call in calls.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_NAME, methods),))


async def _serve(port: int, stopping: asyncio.Event) -> None:
    readiness = Readiness([], [STARTED])
    async with Gatherer[int, int](_nothing, largest_batch=MOST_AT_ONCE) as gatherer:
        service = Service(_NAME, lambda server: _add(server, gatherer))
        server = build_server([service], readiness, reuse_port=True)
        bind(server, "127.0.0.1", port, setting="the port", reuse_port=True)
        await serve(server, readiness, stopping)


if __name__ == "__main__":
    main = functools.partial(_serve, int(sys.argv[1]))
    sys.exit(run(main, loop=uvloop.new_event_loop))
