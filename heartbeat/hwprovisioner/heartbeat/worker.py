"""One of several processes that share a port. Started by `workers.py`, never by hand.

Its leash is a connection to the process that started it: over it a worker says whether it serves,
and when it breaks, which it does however the other one ends, the worker stops.
"""

import asyncio
import functools
import os
import socket
import sys

import uvloop

from hwprovisioner.heartbeat.service import open_service, serve_opened
from hwprovisioner.heartbeat.settings import Settings
from hwprovisioner.serving import run_service

SERVING, NOT_SERVING = b"serving\n", b"not serving\n"


def main() -> int:
    """Serve until told to stop, as worker of the number and on the leash that the words give."""
    number, leash = (int(word) for word in sys.argv[1:])
    # Before gRPC starts its threads, which inherit it.
    _pin(number)
    main = functools.partial(_serve, number, leash)
    summary = f"Worker {number} of hwp-heartbeat."
    return run_service(
        "hwp-heartbeat", summary, Settings, main, loop=uvloop.new_event_loop, arguments=[]
    )


def _pin(number: int) -> None:
    """Stay on one core: a call that is handed from core to core costs more than twice as much."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[(number - 1) % len(cores)]})


async def _serve(number: int, leash: int, settings: Settings, stopping: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=leash))

    async def stop_when_alone() -> None:
        await reader.read()
        stopping.set()
        await asyncio.Event().wait()

    async with open_service(settings, worker=number) as opened:

        async def tell() -> None:
            async for serves in opened.readiness.changes():
                writer.write(SERVING if serves else NOT_SERVING)

        loops = {"leash": stop_when_alone, "tell": tell}
        await serve_opened(opened, settings, stopping, loops)


if __name__ == "__main__":
    sys.exit(main())
