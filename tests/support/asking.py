"""Requests for hardware, and reading what becomes of them."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation, EndReason
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand
from hwprovisioner.v1.resource_pb2 import Resource

LIMIT_S = 40.0
"""No wait for what the service does is longer."""
HOLDER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE/1zQUdefuN9eu+d/xGtubpxOiMKnBh43c3iW1kbu+7"
"""A public key that a holder may send."""


def wanting(**hosts: Mapping[str, Any]) -> Demands:
    """Return demands: `wanting(db={"cpus": "8"}, edge={})`."""
    return Demands(hosts={name: HostDemand(**demand) for name, demand in hosts.items()})


def new_request(demands: Demands | None = None, **more: Any) -> pb.AllocateRequest:
    """Return a request with a new id; durations may be seconds."""
    for name in ("lease_ttl", "wait_timeout", "max_duration"):
        if isinstance(more.get(name), int | float):
            more[name] = seconds(more[name])
    more.setdefault("request_id", str(uuid.uuid4()))
    return pb.AllocateRequest(demands=demands or wanting(host={}), **more)


def seconds(value: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(value * 1000))
    return duration


@dataclass(slots=True)
class Asked:
    """A stream of updates, and what came on it so far."""

    stub: Any
    call: Any
    token: str = ""
    updates: list[pb.AllocationUpdate] = field(default_factory=list)

    @property
    def allocation(self) -> Allocation:
        return self.updates[-1].allocation

    @property
    def id(self) -> str:
        return self.updates[0].allocation.id

    @property
    def events(self) -> list[str]:
        """The kinds of the updates so far."""
        return [str(update.WhichOneof("event")) for update in self.updates]

    async def next(self) -> pb.AllocationUpdate | None:
        """Wait for one more update; None when the stream has ended with OK."""
        async with asyncio.timeout(LIMIT_S):
            response = await self.call.read()
        if response is grpc.aio.EOF:
            return None
        if not self.updates:
            self.token = getattr(response, "token", "")
        self.updates.append(response.update)
        update: pb.AllocationUpdate = response.update
        return update

    async def until(
        self, event: str, check: Callable[[Any], bool] = lambda _: True
    ) -> pb.AllocationUpdate:
        """Read until an update of that kind, whose event satisfies `check`."""
        while (update := await self.next()) is not None:
            if update.WhichOneof("event") == event and check(getattr(update, event)):
                return update
        raise AssertionError(f"ended without {event}: {self.events}")

    async def waits_for(self, words: str) -> None:
        """Read, if need be, until it is said to wait for that; before a pass it is its turn."""
        if words not in self.updates[-1].queued.reason:
            await self.until("queued", lambda queued: words in queued.reason)

    async def ended(self) -> str:
        """Read to the end, and return its reason, such as ``RELEASED``."""
        update = await self.until("ended")
        assert await self.next() is None
        return EndReason.Name(update.ended.reason).removeprefix("END_REASON_")

    async def release(self) -> Allocation:
        request = pb.ReleaseAllocationRequest(allocation_id=self.id, token=self.token)
        allocation: Allocation = (
            await self.stub.ReleaseAllocation(request, timeout=LIMIT_S)
        ).allocation
        return allocation


@contextlib.asynccontextmanager
async def asking(
    stub: Any, request: pb.AllocateRequest | Demands | None = None, **more: Any
) -> AsyncIterator[Asked]:
    """Submit a request, read its first update, and hang up when the block ends."""
    if not isinstance(request, pb.AllocateRequest):
        request = new_request(request, **more)
    call = stub.Allocate(request)
    asked = Asked(stub, call)
    try:
        await asked.next()
        yield asked
    finally:
        call.cancel()


@contextlib.asynccontextmanager
async def watching(stub: Any, allocation_id: str, token: str = "") -> AsyncIterator[Asked]:
    """Watch an allocation, read the first update, and hang up when the block ends."""
    request = pb.WatchAllocationRequest(allocation_id=allocation_id, token=token)
    call = stub.WatchAllocation(request)
    asked = Asked(stub, call, token)
    try:
        await asked.next()
        yield asked
    finally:
        call.cancel()


async def resource(stub: Any, name: str) -> Resource:
    """Return a resource as it is now."""
    response = await stub.GetResource(pb.GetResourceRequest(name=name), timeout=LIMIT_S)
    found: Resource = response.resource
    return found


async def is_free(stub: Any, name: str) -> bool:
    """Whether nothing holds a resource, nor has held it without being cleaned since."""
    return not (await resource(stub, name)).holds
