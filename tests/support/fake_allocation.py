"""One allocation of a fake lab, moved by the test: `queue`, `prepare`, `ready`, `end`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState, EndReason, QueuePlace
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand
from hwprovisioner.v1.resource_pb2 import Connection, ResourceKind, ResourceSpec
from support.fake_refusals import Code, Refusal, seconds


class FakeAllocation:
    """One allocation, moved by the test."""

    def __init__(self, number: int, request: pb.AllocateRequest | pb.BookRequest) -> None:
        self.id = f"a-{number}"
        self.token = f"token-{number}"
        self.request: Any = request
        self.remaining_s = request.lease_ttl.ToTimedelta().total_seconds() or 30.0
        self.connection = Connection(protocol="local")
        self.beats = 0
        self.kept_s = 0.0
        self.released = asyncio.Event()
        self.message = Allocation(
            id=self.id, demands=request.demands, lease_ttl=seconds(self.remaining_s)
        )
        self.newest = pb.AllocationUpdate()
        self.listeners: set[asyncio.Queue[pb.AllocationUpdate | Refusal]] = set()
        if isinstance(request, pb.BookRequest):
            self.book(request)
        else:
            self.queue(1, "just submitted")

    @property
    def ended(self) -> bool:
        return self.message.state == AllocationState.ALLOCATION_STATE_ENDED

    def book(self, request: pb.BookRequest) -> None:
        self.message.state = AllocationState.ALLOCATION_STATE_BOOKED
        self.message.book_start_time.CopyFrom(request.start_time)
        self.message.book_end_time.CopyFrom(request.end_time)
        self._publish(booked=pb.Booking(remaining=seconds(60)))

    def queue(self, place: int, reason: str, **times: Timestamp) -> None:
        self.message.state = AllocationState.ALLOCATION_STATE_QUEUED
        self.message.queue_place.CopyFrom(QueuePlace(place=place, reason=reason, **times))
        self._publish(queued=self.message.queue_place)

    def prepare(self, host: str = "", message: str = "") -> None:
        self.message.state = AllocationState.ALLOCATION_STATE_PREPARING
        self._publish(preparing=pb.Preparing(host=host, message=message))

    def ready(self, resource_name: str = "") -> None:
        self.message.state = AllocationState.ALLOCATION_STATE_READY
        for number, (name, demand) in enumerate(_hosts(self.request.demands), start=1):
            host = self.message.hosts[name]
            resource = resource_name or demand.resource or f"res-{number}"
            host.spec.CopyFrom(
                ResourceSpec(
                    name=resource,
                    kind=ResourceKind.RESOURCE_KIND_PHYSICAL_SERVER,
                    cpus=8,
                    memory_bytes=2**30,
                )
            )
            host.hold.resource = resource
            host.hold.id = f"{resource}.1"
            host.hold.share.cpus = 4
            host.connection.CopyFrom(self.connection)
        self._publish(ready=pb.Granted(remaining_lease=seconds(self.remaining_s)))

    def end(self, reason: str, detail: str = "") -> None:
        if self.ended:
            return
        self.message.state = AllocationState.ALLOCATION_STATE_ENDED
        self.message.end_reason = EndReason.Value(f"END_REASON_{reason}")
        self.message.end_detail = detail
        self.message.hosts.clear()
        self._publish(ended=pb.Ended(reason=self.message.end_reason, detail=detail))

    def lose_streams(self, refusal: Refusal | None = None) -> None:
        for listener in self.listeners:
            listener.put_nowait(refusal or Refusal(Code.UNAVAILABLE, "stream lost"))

    def _publish(self, **event: Any) -> None:
        self.newest = pb.AllocationUpdate(allocation=self.message, **event)
        for listener in self.listeners:
            listener.put_nowait(self.newest)

    async def updates(self) -> AsyncIterator[pb.AllocationUpdate]:
        listener: asyncio.Queue[pb.AllocationUpdate | Refusal] = asyncio.Queue()
        listener.put_nowait(self.newest)
        self.listeners.add(listener)
        try:
            while True:
                update = await listener.get()
                if isinstance(update, Refusal):
                    raise update
                copy = pb.AllocationUpdate()
                copy.CopyFrom(update)
                copy.allocation.remaining_lease.CopyFrom(seconds(self.remaining_s))
                yield copy
                if update.HasField("ended"):
                    return
        finally:
            self.listeners.discard(listener)


def _hosts(demands: Demands) -> Iterator[tuple[str, HostDemand]]:
    """Gives the hosts as they are called, each copy with a name of its own."""
    for name, demand in sorted(demands.hosts.items()):
        copies = demand.count
        names = [f"{name}-{n}" for n in range(1, copies + 1)] if copies > 1 else [name]
        yield from ((each, demand) for each in names)


def grant(allocation: FakeAllocation) -> None:
    allocation.ready()
