"""What no service can be cheaper than: calls that do nothing, in a process of their own.

The same server, loop and options as the services have, with nothing behind them. Requests and
answers are bytes that nobody reads.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import uvloop

from benchmarks.frame.stage import Stage, free_port, listening

SERVICE = "bench.Floor"
EMPTY = f"/{SERVICE}/Empty"
"""A unary call."""
OPEN = f"/{SERVICE}/Open"
"""A call that is answered by a stream: of one message, and held open until it is cancelled."""
PING = f"/{SERVICE}/Ping"
"""A stream in which each message is answered by one."""


def start(stage: Stage, name: str = "floor") -> str:
    """Run it on a stage, and return its address."""
    port = free_port()
    command = ["python", "-m", "benchmarks.frame.floor", str(port)]
    stage.start(name, command, ready=listening(port))
    return f"127.0.0.1:{port}"


async def _empty(request: bytes, _context: object) -> bytes:
    return request


async def _open(request: bytes, _context: object) -> AsyncIterator[bytes]:
    yield request
    await asyncio.Event().wait()


async def _ping(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def _serve(port: int) -> None:
    server = grpc.aio.server()
    methods: dict[str, Any] = {
        "Empty": grpc.unary_unary_rpc_method_handler(_empty),
        "Open": grpc.unary_stream_rpc_method_handler(_open),
        "Ping": grpc.stream_stream_rpc_method_handler(_ping),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
