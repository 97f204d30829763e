"""One process of managers and clients that lose their streams and come back.

It is told what to do on its standard input, a word a line, and answers with lines of JSON:
``begin`` has all of them ask, ``back`` waits until each has heard from the lab again, ``end`` ends.
Each has a connection of its own, as if it ran on a machine of its own.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from hwprovisioner.client.backoff import full_jitter
from hwprovisioner.resourcemanager.backoff import RECONNECT
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc as pb_grpc
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand
from hwprovisioner.v1.resource_pb2 import (
    HOLD_STATE_READY,
    RESOURCE_KIND_PHYSICAL_SERVER,
    Connection,
    ResourceSpec,
)

LEASE_S = 600
_AT_ONCE = 50
"""So many begin at a time: the beginning is not what is measured."""


def _stub(address: str) -> Any:  # noqa: ANN401  # generated code has no type for it
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 1000)]
    return pb_grpc.AllocateServiceStub(grpc.aio.insecure_channel(address, options=options))


@dataclass
class Peer:
    """Somebody with a stream, and since when it has heard from the lab."""

    name: str
    stub: Any
    heard_s: float = 0.0
    lost: int = 0
    """So often its stream ended."""
    error: str = ""
    """Why the lab has ended what it has, if that happened."""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    back: asyncio.Event = field(default_factory=asyncio.Event)
    """It has heard from the lab since it lost it, or has no reason to any more."""

    def hear(self) -> None:
        """Note that the lab has answered."""
        if not self.heard.is_set():
            self.heard_s = time.time()
            self.heard.set()
        if self.lost:
            self.back.set()

    def lose(self) -> None:
        """Note that the stream is gone."""
        self.lost += 1
        self.heard.clear()


async def keep_coming(
    peer: Peer, once: Callable[[], Awaitable[None]], pause_s: Callable[[int], float]
) -> None:
    """Open a stream again and again, later and later while that fails."""
    failures = 0
    while not peer.error:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await once()
        failures = 1 if peer.heard.is_set() else failures + 1
        peer.lose()
        await asyncio.sleep(pause_s(failures))


class Manager:
    """Has one machine, and does at once what it is told."""

    def __init__(self, name: str, address: str) -> None:
        self.peer = Peer(name, _stub(address))
        self._spec = ResourceSpec(
            name=name, kind=RESOURCE_KIND_PHYSICAL_SERVER, cpus=8, memory_bytes=1 << 34
        )
        self._holds: dict[str, stream.HeldHold] = {}

    async def run(self) -> None:
        """Register and volunteer for ever."""
        await keep_coming(self.peer, self._once, RECONNECT.delay_s)

    async def _once(self) -> None:
        call = self.peer.stub.Subscribe()
        register = stream.Register(
            manager_id=self.peer.name, inventory=[self._spec], holds=self._holds.values()
        )
        await call.write(stream.SubscribeRequest(register=register))
        while (message := await call.read()) is not grpc.aio.EOF:
            for answer in self._answers(message):
                await call.write(stream.SubscribeRequest(**answer))

    def _answers(self, message: stream.SubscribeResponse) -> list[dict[str, Any]]:
        match message.WhichOneof("event"):
            case "registered":
                self.peer.hear()
                return [{"volunteer": stream.Volunteer(spec=self._spec)}]
            case "ping":
                return [{"pong": stream.Pong()}]
            case "offer":
                hold = message.offer.hold
                self._holds[hold.hold_id] = stream.HeldHold(hold=hold, state=HOLD_STATE_READY)
                ready = stream.Ready(hold=hold, connection=Connection(protocol="none"))
                return [{"accept": stream.Accept(hold=hold)}, {"ready": ready}]
            case "release":
                hold = message.release.hold
                self._holds.pop(hold.hold_id, None)
                return [{"cleaned": stream.Cleaned(hold=hold)}]
        return []


class Client:
    """Asks for a machine, and wants to know for ever what becomes of that."""

    def __init__(self, name: str, address: str) -> None:
        self.peer = Peer(name, _stub(address))
        self._allocation = self._token = ""

    async def run(self) -> None:
        """Ask, then watch."""
        await keep_coming(self.peer, self._once, lambda n: full_jitter(n, random.random()))

    async def _once(self) -> None:
        if not self._allocation:
            request = pb.AllocateRequest(demands=Demands(hosts={"host": HostDemand(cpus="1")}))
            request.requestor.user = self.peer.name
            request.lease_ttl.FromSeconds(LEASE_S)
            call = self.peer.stub.Allocate(request)
        else:
            watch = pb.WatchAllocationRequest(allocation_id=self._allocation, token=self._token)
            call = self.peer.stub.WatchAllocation(watch)
        async for answer in call:
            if isinstance(answer, pb.AllocateResponse) and answer.token:
                self._allocation, self._token = answer.update.allocation.id, answer.token
            if answer.update.HasField("ended"):
                self.peer.error = f"{self.peer.name}: {answer.update.ended}"
                self.peer.back.set()
                return
            self.peer.hear()


async def main() -> None:
    """Do what is said on standard input: see the module."""
    number, address, managers, clients = sys.argv[1], *sys.argv[2:5]
    everybody: list[Manager | Client] = [
        *(Manager(f"manager-{number}-{n}", address) for n in range(int(managers))),
        *(Client(f"client-{number}-{n}", address) for n in range(int(clients))),
    ]
    peers = [each.peer for each in everybody]
    tasks = []
    while word := await asyncio.to_thread(sys.stdin.readline):
        match word.strip():
            case "begin":
                for start in range(0, len(everybody), _AT_ONCE):
                    some = everybody[start : start + _AT_ONCE]
                    tasks += [_task(each.run()) for each in some]
                    await asyncio.gather(*(each.peer.heard.wait() for each in some))
            case "back":
                await asyncio.gather(*(peer.back.wait() for peer in peers))
            case _:
                break
        heard = [peer.heard_s for peer in peers]
        ended = [peer.error for peer in peers if peer.error]
        said = {"heard": heard, "ended": ended, "worked_s": time.process_time()}
        print(json.dumps(said), flush=True)
    for task in tasks:
        task.cancel()


def _task(run: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    return asyncio.create_task(run)


if __name__ == "__main__":
    asyncio.run(main())
