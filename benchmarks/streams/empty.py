"""Streams of a server that only tells all of them the same, with as little code as it takes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import uvloop

from benchmarks.frame.stage import Stage, free_port, listening

SERVICE = "bench.Empty"
WATCH = f"/{SERVICE}/Watch"
"""A stream: what it was asked with at once, then whatever is told."""
TELL = f"/{SERVICE}/Tell"
"""Says something to all."""


class Empty:
    """The streams of one server."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._message = b""

    async def watch(self, request: bytes, _context: object) -> AsyncIterator[bytes]:
        """Answer, then tell each message."""
        yield request
        while True:
            await self._news.wait()
            yield self._message

    async def tell(self, request: bytes, _context: object) -> bytes:
        """Tell all that wait."""
        self._message = request
        self._news.set()
        self._news = asyncio.Event()
        return b""


def start(stage: Stage) -> str:
    """Run it on a stage, and return its address."""
    port = free_port()
    command = ["python", "-m", "benchmarks.streams.empty", str(port)]
    stage.start("empty", command, ready=listening(port))
    return f"127.0.0.1:{port}"


async def _serve(port: int) -> None:
    server, empty = grpc.aio.server(), Empty()
    methods: dict[str, Any] = {
        "Watch": grpc.unary_stream_rpc_method_handler(empty.watch),
        "Tell": grpc.unary_unary_rpc_method_handler(empty.tell),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
