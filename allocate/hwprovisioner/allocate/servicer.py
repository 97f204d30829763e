"""AllocateService: the door. Reads requests, asks those who know, writes answers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc.aio

from hwprovisioner.allocate.booking_desk import BookingDesk
from hwprovisioner.allocate.channel_desk import ChannelDesk
from hwprovisioner.allocate.dispatch import LAB, Dispatch
from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.intake import Intake
from hwprovisioner.allocate.keeping import KeepingDesk
from hwprovisioner.allocate.lists import Lists
from hwprovisioner.allocate.manager_desk import Desk
from hwprovisioner.allocate.manager_stream import ManagerStream
from hwprovisioner.allocate.operating import OperatorDesk
from hwprovisioner.allocate.requests import read_booking, read_request
from hwprovisioner.allocate.telling.wait_times import WaitTimes
from hwprovisioner.allocate.updates import Updates
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.serving import bad_request
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.errors import NoSuchAllocation
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.view import Change, View
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc as pb_grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """Whom the servicer asks."""

    view: View
    intake: Intake
    booking_desk: BookingDesk
    freshness: Freshness
    dispatch: Dispatch
    allocations: Allocations
    operators: OperatorDesk
    keeping: KeepingDesk
    reader: Reader
    updates: Updates
    lists: Lists
    wait_times: WaitTimes
    desk: Desk
    channel_desk: ChannelDesk


class AllocateServicer(pb_grpc.AllocateServiceServicer):
    """The RPCs; what each does and refuses stands in allocate_service.proto."""

    def __init__(self, parts: Parts) -> None:
        """Serve with `parts`."""
        self._parts = parts

    async def Allocate(
        self, request: pb.AllocateRequest, context: Context
    ) -> AsyncIterator[pb.AllocateResponse]:
        """Ask for hardware."""
        asked = read_request(request)
        await self._parts.freshness.check()
        taken = await self._parts.intake.submit(request, asked)
        follow = self._parts.updates.follow(
            taken.allocation_id, with_connections=True, just_queued=taken.is_new
        )
        token = taken.token
        async for update in follow:
            yield pb.AllocateResponse(update=update, token=token)
            token = ""

    async def WatchAllocation(
        self, request: pb.WatchAllocationRequest, context: Context
    ) -> AsyncIterator[pb.WatchAllocationResponse]:
        """Tell what becomes of an allocation."""
        left_ms = await self._known(request.allocation_id, request.token)
        follow = self._parts.updates.follow(
            request.allocation_id, with_connections=bool(request.token), left_ms=left_ms
        )
        async for update in follow:
            yield pb.WatchAllocationResponse(update=update)

    async def Book(self, request: pb.BookRequest, context: Context) -> pb.BookResponse:
        """Book hardware from a time to a time."""
        asked = read_booking(request)
        await self._parts.freshness.check()
        taken = await self._parts.booking_desk.book(request, asked)
        shown = await self._show(taken.allocation_id, with_connections=False)
        return pb.BookResponse(allocation=shown, token=taken.token)

    async def ReleaseAllocation(
        self, request: pb.ReleaseAllocationRequest, context: Context
    ) -> pb.ReleaseAllocationResponse:
        """Give an allocation back."""
        _check_id(request.allocation_id)
        if not request.token:
            raise bad_request([("token", "is missing: it came with the first update")])
        await self._parts.freshness.check()
        holds = self._parts.view.holds_of(request.allocation_id)
        revision = await self._parts.allocations.release(
            request.allocation_id, holds, token=request.token, at_once=request.at_once
        )
        await self._parts.freshness.has(request.allocation_id, revision)
        shown = await self._show(request.allocation_id, with_connections=False)
        return pb.ReleaseAllocationResponse(allocation=shown)

    async def GetAllocation(
        self, request: pb.GetAllocationRequest, context: Context
    ) -> pb.GetAllocationResponse:
        """Show one allocation."""
        left_ms = await self._known(request.allocation_id, request.token)
        shown = await self._show(
            request.allocation_id, with_connections=bool(request.token), left_ms=left_ms
        )
        return pb.GetAllocationResponse(allocation=shown)

    async def ListAllocations(
        self, request: pb.ListAllocationsRequest, context: Context
    ) -> pb.ListAllocationsResponse:
        """List allocations."""
        await self._parts.freshness.check()
        return await self._parts.lists.allocations(request)

    async def GetResource(
        self, request: pb.GetResourceRequest, context: Context
    ) -> pb.GetResourceResponse:
        """Show one resource."""
        violations = Violations()
        _check_resource(violations, request.name)
        violations.check()
        await self._parts.freshness.check()
        return pb.GetResourceResponse(resource=self._parts.lists.resource(request.name))

    async def ListResources(
        self, request: pb.ListResourcesRequest, context: Context
    ) -> pb.ListResourcesResponse:
        """List resources."""
        await self._parts.freshness.check()
        return self._parts.lists.resources(request)

    async def DrainResource(
        self, request: pb.DrainResourceRequest, context: Context
    ) -> pb.DrainResourceResponse:
        """Take a resource out of service."""
        await self._parts.operators.drain(request)
        return pb.DrainResourceResponse(resource=self._parts.lists.resource(request.name))

    async def EnableResource(
        self, request: pb.EnableResourceRequest, context: Context
    ) -> pb.EnableResourceResponse:
        """Put a resource back into service."""
        await self._parts.operators.enable(request)
        return pb.EnableResourceResponse(resource=self._parts.lists.resource(request.name))

    async def QuarantineResource(
        self, request: pb.QuarantineResourceRequest, context: Context
    ) -> pb.QuarantineResourceResponse:
        """Lend a resource no more."""
        await self._parts.operators.quarantine(request)
        return pb.QuarantineResourceResponse(resource=self._parts.lists.resource(request.name))

    async def KeepAllocation(
        self, request: pb.KeepAllocationRequest, context: Context
    ) -> pb.KeepAllocationResponse:
        """Keep an allocation as it is for a while."""
        await self._parts.keeping.keep(request)
        shown = await self._show(request.allocation_id, with_connections=False)
        return pb.KeepAllocationResponse(allocation=shown)

    async def SwitchPower(
        self, request: pb.SwitchPowerRequest, context: Context
    ) -> pb.SwitchPowerResponse:
        """Switch a host's power."""
        await self._parts.channel_desk.switch_power(request)
        return pb.SwitchPowerResponse()

    # As Subscribe, below.
    async def Connect(  # type: ignore[override]
        self, request_iterator: AsyncIterator[Any], context: Context
    ) -> None:
        """Serve a holder's end of a channel."""
        await self._parts.channel_desk.connect(request_iterator, context.write)

    async def CarryChannel(  # type: ignore[override]
        self, request_iterator: AsyncIterator[Any], context: Context
    ) -> None:
        """Serve a manager's end of a channel."""
        await self._parts.freshness.check()
        await self._parts.channel_desk.carry(request_iterator, context.write)

    async def ListManagers(
        self, request: pb.ListManagersRequest, context: Context
    ) -> pb.ListManagersResponse:
        """List managers."""
        await self._parts.freshness.check()
        return self._parts.lists.managers(request)

    async def WatchLab(
        self, request: pb.WatchLabRequest, context: Context
    ) -> AsyncIterator[pb.WatchLabResponse]:
        """Tell every change."""
        if request.after_revision < 0:
            raise bad_request([("after_revision", "must not be negative; 0 means from now on")])
        view, news = self._parts.view, asyncio.Event()

        def note(change: Change | None) -> None:
            news.set()

        await self._parts.freshness.check()
        if request.after_revision > view.revision:
            await self._parts.freshness.catch_up()
        told = request.after_revision or view.revision
        with self._parts.dispatch.subscribed(LAB, note):
            while True:
                news.clear()
                for change in list(view.history(told)):
                    yield self._parts.lists.change(change)
                    told = change.revision
                if view.revision == told:
                    await self._parts.dispatch.wait(news)

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """Explain demands."""
        await self._parts.freshness.check()
        return self._parts.lists.explain(request)

    async def ListWaitTimes(
        self, request: pb.ListWaitTimesRequest, context: Context
    ) -> pb.ListWaitTimesResponse:
        """List how long requests have waited."""
        await self._parts.freshness.check()
        return self._parts.wait_times.listed(request)

    # The stub types know only generators; a coroutine that writes can read and write side by side.
    async def Subscribe(  # type: ignore[override]
        self, request_iterator: AsyncIterator[Any], context: Context
    ) -> None:
        """Serve a resource manager."""
        await self._parts.freshness.check()
        await ManagerStream(self._parts.desk, context.write).run(request_iterator)

    async def _known(self, allocation_id: str, token: str) -> int | None:
        """Refuse an id that is unknown, and a token that is not the allocation's.

        Returns what its lease has left if that was read on the way.
        """
        _check_id(allocation_id)
        await self._parts.freshness.check()
        left_ms = None
        if token:
            left_ms = await self._parts.reader.check_token(allocation_id, token)
        await self._parts.freshness.has(allocation_id)
        return left_ms

    async def _show(
        self, allocation_id: str, *, with_connections: bool, left_ms: int | None = None
    ) -> Any:  # noqa: ANN401
        allocation = self._parts.view.allocations.get(allocation_id)
        if allocation is None:
            raise NoSuchAllocation(allocation_id)
        return await self._parts.updates.shown(
            allocation, with_connections=with_connections, remaining_ms=left_ms
        )


def _check_resource(violations: Violations, name: str) -> None:
    if not name:
        violations.add("name", "is missing: say which resource")


def _check_id(allocation_id: str) -> None:
    if not allocation_id:
        raise bad_request([("allocation_id", "is missing: it came with the first update")])
    violations = Violations()
    violations.name("allocation_id", allocation_id)
    violations.check()
