"""What a lab tells: lists, explanations, changes.

Messages are the contract's own (`hwprovisioner.v1`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from hwprovisioner.client.connected import Connected
from hwprovisioner.client.demands import DemandMapping, build_host, read_demands
from hwprovisioner.client.follow import stream_of
from hwprovisioner.client.listing import PAGE_SIZE, Listing, all_pages
from hwprovisioner.client.words import value
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState
from hwprovisioner.v1.demand_pb2 import Demands
from hwprovisioner.v1.resource_pb2 import Manager, Presence, Resource


class Lookup(Connected):
    """Looks, and changes nothing."""

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
            states: Only those in one of these: `booked`, `queued`, `preparing`, `ready`,
                `ended`; empty: all.
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
        self, *, demands: Demands | DemandMapping | None = None, **keywords: object
    ) -> pb.ExplainResponse:
        """Tells for each resource when it can serve the demands, and why not now.

        `availability` is one of four: now, later, not while something is out of service, never.
        """
        message = pb.ExplainRequest(demands=read_demands(demands, keywords))
        stub = self._channels().allocate
        return await self._call(lambda t: stub.Explain(message, timeout=t))

    async def wait_times(self) -> tuple[pb.WaitTimes, ...]:
        """Tells for each class of requests how long they waited and lasted; by class."""
        stub = self._channels().allocate

        async def fetch(token: str) -> pb.ListWaitTimesResponse:
            message = pb.ListWaitTimesRequest(page_size=PAGE_SIZE, page_token=token)
            return await self._call(lambda t: stub.ListWaitTimes(message, timeout=t))

        return (await all_pages(fetch, lambda p: (p.classes, p.next_page_token, 0))).items

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
