"""The lab as an asyncio program sees it; `blocking.py` has the same for everybody else.

Messages of listings are the contract's own (`hwprovisioner.v1`); what a test holds is
`AsyncHardware`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from hwprovisioner.client import request as requests
from hwprovisioner.client.allocating import AsyncAllocating
from hwprovisioner.client.channel import Channels
from hwprovisioner.client.clock import SYSTEM_TIME, Time
from hwprovisioner.client.demands import Hosts, build_host, read_demands
from hwprovisioner.client.durations import Span
from hwprovisioner.client.failures import from_rpc
from hwprovisioner.client.follow import stream_of
from hwprovisioner.client.listing import PAGE_SIZE, Listing, all_pages
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.telling import Callbacks, NoticeCallback, UpdateCallback
from hwprovisioner.client.trying_again import call_again, stream_again
from hwprovisioner.client.words import value
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import heartbeat_service_pb2 as beats
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState, Requestor
from hwprovisioner.v1.demand_pb2 import Demands
from hwprovisioner.v1.resource_pb2 import Manager, Presence, Resource

Answer = TypeVar("Answer")


class AsyncLab:
    """A lab: allocates hardware, and tells what there is.

    Belongs to the event loop that uses it first. `async with AsyncLab() as lab` closes its
    connections; so does dropping it. Every call that fails raises a `LabError`; only a lab that is
    away is tried again.
    """

    def __init__(
        self,
        address: str | None = None,
        heartbeat_address: str | None = None,
        *,
        settings: Settings | None = None,
        time: Time = SYSTEM_TIME,
    ) -> None:
        """Remembers where the lab is; nothing is connected yet.

        Args:
            address: Of the Allocate service; else environment ALLOCATE_API, else 127.0.0.1:8080.
            heartbeat_address: Of the Heartbeat service; else HEARTBEAT_API, else 127.0.0.1:7080.
            settings: Instead of both and the environment.
            time: Tells and passes time; for tests.

        Raises:
            BadDemand: An address cannot be read.
        """
        self.settings = settings or Settings.from_env(
            os.environ, allocate_address=address, heartbeat_address=heartbeat_address
        )
        self._time = time
        self._opened: Channels | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def is_open(self) -> bool:
        """Whether there are connections to close."""
        return self._opened is not None

    async def close(self) -> None:
        """Closes the connections. What is still allocated expires unless it was released."""
        channels, self._opened = self._opened, None
        if channels:
            await channels.close()

    def allocate(
        self,
        *,
        demands: Demands | Hosts | None = None,
        priority: int = 0,
        wait: Span | None = None,
        lease_ttl: Span | None = None,
        max_duration: Span | None = None,
        request_id: str | None = None,
        requestor: Requestor | None = None,
        on_update: UpdateCallback | None = None,
        on_notice: NoticeCallback | None = None,
        **keywords: object,
    ) -> AsyncAllocating:
        """Asks for hardware: `async with lab.allocate(cpus=4) as hardware`.

        The keywords describe one host, called `host`, or several: `db={"cpus": 8}, edge={...}`.

        Args:
            demands: The hosts by name, instead of keywords; also a finished message.
            priority: Higher goes first, -100 to 100.
            wait: How long to wait in the queue; None means as long as it takes.
            lease_ttl: How long the hosts stay allocated after the last heartbeat; None: 30 s.
            max_duration: How long the allocation may last; None means as long as the block does.
            request_id: The same id gives the same allocation; None makes a new one.
            requestor: Who asks; None fills it in from this process.
            on_update: Told what becomes of the request while it waits.
            on_notice: Told what the lab says to the holder, such as an end that comes near.
            keywords: What is wanted.

        Raises:
            BadDemand: A demand, a span of time or the priority is wrong.
        """
        request = requests.build(
            read_demands(demands, keywords),
            priority=priority,
            wait=wait,
            lease_ttl=lease_ttl,
            max_duration=max_duration,
            request_id=request_id,
            requestor=requestor or requests.this_process(),
        )
        return AsyncAllocating(
            self._channels, request, self.settings, self._time, Callbacks(on_update, on_notice)
        )

    async def release(self, allocation_id: str, token: str) -> Allocation:
        """Gives an allocation back. Releasing what has ended changes nothing."""
        message = pb.ReleaseAllocationRequest(allocation_id=allocation_id, token=token)
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.ReleaseAllocation(message, timeout=t))).allocation

    async def heartbeat(self, allocation_id: str, token: str) -> beats.HeartbeatResponse:
        """Sends one heartbeat. Blocks do this by themselves."""
        message = beats.HeartbeatRequest(allocation_id=allocation_id, token=token)
        stub = self._channels().heartbeat
        try:
            return await stub.Heartbeat(message, timeout=self.settings.beat_timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self.settings.heartbeat_address) from None

    async def get_allocation(self, allocation_id: str, token: str = "") -> Allocation:
        """Shows one allocation; with its token also the connections."""
        message = pb.GetAllocationRequest(allocation_id=allocation_id, token=token)
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.GetAllocation(message, timeout=t))).allocation

    async def list_allocations(
        self, *, states: Iterable[str] = (), user: str = ""
    ) -> Listing[Allocation]:
        """Lists allocations by id.

        Args:
            states: Only those in one of these: `queued`, `preparing`, `ready`, `ended`; empty: all.
            user: Only those of this user; empty: all.
        """
        wanted = [AllocationState.ValueType(value(AllocationState, w, "state")) for w in states]
        stub = self._channels().allocate

        async def fetch(token: str) -> pb.ListAllocationsResponse:
            message = pb.ListAllocationsRequest(
                page_size=PAGE_SIZE, page_token=token, states=wanted, user=user
            )
            return await self._call(lambda t: stub.ListAllocations(message, timeout=t))

        return await all_pages(fetch, lambda p: (p.allocations, p.next_page_token, p.revision))

    async def get_resource(self, name: str) -> Resource:
        """Shows one resource."""
        message = pb.GetResourceRequest(name=name)
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.GetResource(message, timeout=t))).resource

    async def list_resources(
        self,
        *,
        demand: Mapping[str, object] | None = None,
        manager: str = "",
        free: bool = False,
    ) -> Listing[Resource]:
        """Lists resources by name.

        Args:
            demand: Only those that satisfy these keys of a host, such as `{"cpus": 8}`; None: all.
            manager: Only those of this manager; empty: all.
            free: Only those that have room and can be granted now.
        """
        wanted = None if demand is None else build_host(demand)
        stub = self._channels().allocate

        async def fetch(token: str) -> pb.ListResourcesResponse:
            message = pb.ListResourcesRequest(
                page_size=PAGE_SIZE, page_token=token, demand=wanted, manager=manager, free=free
            )
            return await self._call(lambda t: stub.ListResources(message, timeout=t))

        return await all_pages(fetch, lambda p: (p.resources, p.next_page_token, p.revision))

    async def list_managers(self, *, presences: Iterable[str] = ()) -> Listing[Manager]:
        """Lists resource managers by id.

        Args:
            presences: Only those that are `online`, `disconnected` or `lost`; empty: all.
        """
        wanted = [Presence.ValueType(value(Presence, w, "presence")) for w in presences]
        stub = self._channels().allocate

        async def fetch(token: str) -> pb.ListManagersResponse:
            message = pb.ListManagersRequest(
                page_size=PAGE_SIZE, page_token=token, presences=wanted
            )
            return await self._call(lambda t: stub.ListManagers(message, timeout=t))

        return await all_pages(fetch, lambda p: (p.managers, p.next_page_token, p.revision))

    async def explain(
        self, *, demands: Demands | Hosts | None = None, **keywords: object
    ) -> pb.ExplainResponse:
        """Tells for each resource why it can or cannot serve the demands now, and whether ever."""
        message = pb.ExplainRequest(demands=read_demands(demands, keywords))
        stub = self._channels().allocate
        return await self._call(lambda t: stub.Explain(message, timeout=t))

    async def drain_resource(self, name: str, reason: str = "", operator: str = "") -> Resource:
        """Takes a resource out of service: what holds it may stay, nothing new is granted."""
        message = pb.DrainResourceRequest(
            name=name, reason=reason, operator=operator or requests.this_process().user
        )
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.DrainResource(message, timeout=t))).resource

    async def enable_resource(self, name: str, operator: str = "") -> Resource:
        """Puts a drained resource back into service."""
        message = pb.EnableResourceRequest(
            name=name, operator=operator or requests.this_process().user
        )
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.EnableResource(message, timeout=t))).resource

    async def watch_lab(self, after_revision: int = 0) -> AsyncIterator[pb.WatchLabResponse]:
        """Tells every change of the lab, in order, without gaps, until the caller stops.

        A lost stream is taken up again at the last revision that was told.

        Args:
            after_revision: Every change after this one; 0: every change from now on.

        Raises:
            RevisionForgotten: Changes in between are no longer all known: list, watch from there.
            LabUnavailable: The lab was away before the first change, or for too long.
        """
        last = after_revision
        allocate = self._channels().allocate

        def start() -> AsyncIterator[pb.WatchLabResponse]:
            return stream_of(allocate.WatchLab(pb.WatchLabRequest(after_revision=last)))

        async for change in self._retaken(start):
            last = change.revision
            yield change

    async def watch_allocation(
        self, allocation_id: str, token: str = ""
    ) -> AsyncIterator[pb.AllocationUpdate]:
        """Tells what becomes of an allocation, first where it stands, until it has ended.

        A lost stream is taken up again; the next update tells once more where it stands.
        """
        message = pb.WatchAllocationRequest(allocation_id=allocation_id, token=token)
        allocate = self._channels().allocate
        async for response in self._retaken(lambda: stream_of(allocate.WatchAllocation(message))):
            yield response.update
            if response.update.HasField("ended"):
                return

    def _channels(self) -> Channels:
        if self._opened is None:
            self._opened = Channels(self.settings.allocate_address, self.settings.heartbeat_address)
        return self._opened

    async def _call(self, send: Callable[[float], Awaitable[Answer]]) -> Answer:
        return await call_again(send, self.settings, self._time)

    def _retaken(self, start: Callable[[], AsyncIterator[Answer]]) -> AsyncIterator[Answer]:
        return stream_again(start, self.settings, self._time)
