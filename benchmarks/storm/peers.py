"""Managers and clients that lose their streams and come back, as the project's own do.

How long they wait before they come again, and how long for a server that takes the connection and
says nothing, are those of the resource manager and of the SDK.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.storm.wire import Call, opening
from hwprovisioner.client.backoff import full_jitter
from hwprovisioner.client.channel import CHANNEL_OPTIONS
from hwprovisioner.resourcemanager.backoff import RECONNECT
from hwprovisioner.resourcemanager.link import OPTIONS
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand
from hwprovisioner.v1.resource_pb2 import (
    HOLD_STATE_READY,
    RESOURCE_KIND_PHYSICAL_SERVER,
    Connection,
    ResourceSpec,
)

LEASE_S = 600
_SERVICE = pb.DESCRIPTOR.services_by_name["AllocateService"]
_OPENINGS: Mapping[str, bytes] = {
    method.name: opening(f"/{_SERVICE.full_name}/{method.name}") for method in _SERVICE.methods
}


class Peer:
    """Somebody with a stream on a connection of its own, as if on a machine of its own."""

    def __init__(
        self,
        name: str,
        ports: Sequence[int],
        pause_s: Callable[[int], float],
        options: Sequence[tuple[str, Any]],
    ) -> None:
        """Call the Allocate at any one of some ports.

        Args:
            name: unique in the lab.
            ports: on this machine.
            pause_s: tells how long to wait after so many failures in a row.
            options: those of the gRPC channel that it would have.
        """
        self.name = name
        self.heard = asyncio.Event()
        """The lab has answered on the stream that it has now."""
        self.heard_s = 0.0
        self.troubles: list[str] = []
        """How its streams ended."""
        self.back = asyncio.Event()
        """The lab has answered after such a trouble."""
        self.error = ""
        """Why the lab has ended what it has, if that happened."""
        self._ports = ports
        self._pause_s = pause_s
        # So long a channel waits for a server to speak HTTP/2.
        self._patience_s = dict(options)["grpc.min_reconnect_backoff_ms"] / 1000
        self._call: Call | None = None

    async def run(self) -> None:
        """Come again and again, later and later while that fails."""
        failures = 0
        while not self.error:
            self.troubles.append(await self._once())
            failures = 1 if self.heard.is_set() else failures + 1
            self.heard.clear()
            await asyncio.sleep(self._pause_s(failures))

    async def _once(self) -> str:
        loop = asyncio.get_running_loop()
        method, first, is_last = self._first()
        self._call = call = Call(_OPENINGS[method], first, self._take, is_last=is_last)
        try:
            await loop.create_connection(lambda: call, "127.0.0.1", random.choice(self._ports))
        except OSError as error:
            return str(error)
        patience = loop.call_later(self._patience_s, call.end_unless_met)
        try:
            return await call.ended
        finally:
            patience.cancel()

    def _hear(self) -> None:
        if not self.heard.is_set():
            self.heard_s = time.monotonic()
            self.heard.set()
            if self.troubles:
                self.back.set()

    def _first(self) -> tuple[str, bytes, bool]:
        """Return what to call with which message, and whether nothing is said after it."""
        raise NotImplementedError

    def _take(self, message: bytes) -> None:
        """Take in what the lab says."""
        raise NotImplementedError


class Manager(Peer):
    """Has one machine, and does at once what it is told."""

    def __init__(self, name: str, ports: Sequence[int]) -> None:
        super().__init__(name, ports, RECONNECT.delay_s, OPTIONS)
        self._spec = ResourceSpec(
            name=name, kind=RESOURCE_KIND_PHYSICAL_SERVER, cpus=8, memory_bytes=1 << 34
        )
        self._holds: dict[str, stream.HeldHold] = {}

    def _first(self) -> tuple[str, bytes, bool]:
        register = stream.Register(
            manager_id=self.name, inventory=[self._spec], holds=self._holds.values()
        )
        return "Subscribe", stream.SubscribeRequest(register=register).SerializeToString(), False

    def _take(self, message: bytes) -> None:
        told = stream.SubscribeResponse.FromString(message)
        match told.WhichOneof("event"):
            case "registered":
                self._hear()
                self._say(volunteer=stream.Volunteer(spec=self._spec))
            case "ping":
                self._say(pong=stream.Pong())
            case "offer":
                hold = told.offer.hold
                self._holds[hold.hold_id] = stream.HeldHold(hold=hold, state=HOLD_STATE_READY)
                self._say(accept=stream.Accept(hold=hold))
                self._say(ready=stream.Ready(hold=hold, connection=Connection(protocol="none")))
            case "release":
                hold = told.release.hold
                self._holds.pop(hold.hold_id, None)
                self._say(cleaned=stream.Cleaned(hold=hold))

    def _say(self, **event: Any) -> None:  # noqa: ANN401  # any message of the oneof
        assert self._call is not None
        self._call.send(stream.SubscribeRequest(**event).SerializeToString())


class Client(Peer):
    """Asks for a machine, and wants to know for ever what becomes of that."""

    def __init__(self, name: str, ports: Sequence[int]) -> None:
        super().__init__(name, ports, lambda n: full_jitter(n, random.random()), CHANNEL_OPTIONS)
        self._allocation = self._token = ""

    def _first(self) -> tuple[str, bytes, bool]:
        if self._allocation:
            watch = pb.WatchAllocationRequest(allocation_id=self._allocation, token=self._token)
            return "WatchAllocation", watch.SerializeToString(), True
        request = pb.AllocateRequest(demands=Demands(hosts={"host": HostDemand(cpus="1")}))
        request.requestor.user = self.name
        request.lease_ttl.FromSeconds(LEASE_S)
        return "Allocate", request.SerializeToString(), True

    def _take(self, message: bytes) -> None:
        if self._allocation:
            update = pb.WatchAllocationResponse.FromString(message).update
        else:
            answer = pb.AllocateResponse.FromString(message)
            update = answer.update
            self._allocation, self._token = update.allocation.id, answer.token
        if update.HasField("ended"):
            self.error = f"{self.name}: {update.ended}"
        self._hear()
