"""Holders in one process, each with a connection of its own as if on a machine of its own."""

import asyncio
import sys
import time
from typing import Any

import grpc.aio
import uvloop

from benchmarks.allocate.asking import Asked, ask
from benchmarks.frame.talking import listen
from hwprovisioner.v1 import allocate_service_pb2_grpc as stubs

_OWN = [("grpc.use_local_subchannel_pool", 1)]


class Clients:
    """Holders of a lab."""

    def __init__(self, name: str, address: str, count: int) -> None:
        self._name = name
        self._stubs: list[Any] = [
            stubs.AllocateServiceStub(grpc.aio.insecure_channel(address, options=_OWN))
            for _ in range(count)
        ]
        self._held: list[Asked] = []

    async def hold(self) -> int:
        """Have each ask for a machine and keep it, with its stream open; returns how many have."""
        self._held = [ask(stub, self._name) for stub in self._stubs]
        await asyncio.gather(*(asked.until_ready() for asked in self._held))
        return len(self._held)

    async def loop(self, seconds: float) -> dict[str, Any]:
        """Have each ask, give back and ask again, for so long.

        Returns:
            How long it took, and from demand to READY each time, in ms.
        """
        began = time.perf_counter()
        found: list[float] = []
        await asyncio.gather(*(self._turns(stub, began + seconds, found) for stub in self._stubs))
        return {"seconds": time.perf_counter() - began, "each_ms": found}

    async def _turns(self, stub: Any, until: float, found: list[float]) -> None:  # noqa: ANN401
        while time.perf_counter() < until:
            asked = ask(stub, self._name)
            await asked.until_ready()
            found.append((asked.ready - asked.began) * 1000)
            await asked.give_back(stub)


async def main() -> None:
    """Do what is said on standard input, at: a name, Allocate, how many."""
    name, address, count = sys.argv[1:]
    clients = Clients(name, address, int(count))
    await listen({"hold": clients.hold, "loop": clients.loop})


if __name__ == "__main__":
    uvloop.run(main())
