"""Holders in one process that wait for the same machine, use it for a moment, and queue again.

Each has a connection of its own. Moments are of the clock that all processes of a machine share.
"""

import asyncio
import contextlib
import sys
import time
from typing import Any

import grpc.aio
import uvloop

from benchmarks.allocate.asking import ask
from benchmarks.frame.talking import listen
from hwprovisioner.v1 import allocate_service_pb2_grpc as stubs

_OWN = [("grpc.use_local_subchannel_pool", 1)]
_AT_ONCE = 50
"""So many queue at a time: queueing is not what is measured."""


class Waiters:
    """All of this process."""

    def __init__(self, name: str, address: str, count: int) -> None:
        self._name, self._address, self._count = name, address, count
        self._goes = asyncio.Event()
        self._hold_s = 0.0
        self._ready: list[float] = []
        self._released: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def queue(self, hold_s: float) -> int:
        """Have all queue; who gets the machine keeps it for `hold_s`, once `turns` says so."""
        self._hold_s = hold_s
        for first in range(0, self._count, _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, self._count))
            queued = [asyncio.Event() for _ in some]
            self._tasks += [asyncio.create_task(self._wait(event)) for event in queued]
            await asyncio.gather(*(event.wait() for event in queued))
        return self._count

    async def turns(self, seconds: float) -> dict[str, list[float]]:
        """Let the machine go round for so long; returns when it was ready, and when released."""
        self._ready, self._released = [], []
        self._goes.set()
        await asyncio.sleep(seconds)
        self._goes.clear()
        return {"ready": self._ready, "released": self._released}

    async def _wait(self, queued: asyncio.Event) -> None:
        channel = grpc.aio.insecure_channel(self._address, options=_OWN)
        stub: Any = stubs.AllocateServiceStub(channel)
        while True:
            asked = ask(stub, self._name)
            await asked.until_queued()
            queued.set()
            await asked.until_ready()
            self._ready.append(asked.ready)
            await asyncio.sleep(self._hold_s)
            await self._goes.wait()
            self._released.append(time.perf_counter())
            await asked.give_back(stub)
            # To queue again is not what is measured: it is done while another one has the machine.
            await asyncio.sleep(self._hold_s / 2)


async def main() -> None:
    """Do what is said on standard input, at: a name, Allocate, how many."""
    name, address, count = sys.argv[1:]
    waiters = Waiters(name, address, int(count))
    await listen({"queue": waiters.queue, "turns": waiters.turns})


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main())
