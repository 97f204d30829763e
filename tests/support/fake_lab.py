"""A lab whose every word the test says, behind real gRPC on a free port.

A test moves its `FakeAllocation`s, or sets `lab.on_submit`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc as pb_grpc
from hwprovisioner.v1 import heartbeat_service_pb2 as beats
from hwprovisioner.v1 import heartbeat_service_pb2_grpc as beats_grpc
from hwprovisioner.v1.allocation_pb2 import EndReason
from hwprovisioner.v1.resource_pb2 import Resource, ResourceSpec
from support.fake_allocation import FakeAllocation, grant
from support.fake_refusals import Code, Refusal, seconds


class FakeLab(pb_grpc.AllocateServiceServicer, beats_grpc.HeartbeatServiceServicer):
    """Both services. What a call is answered can be replaced by the test at any time."""

    def __init__(self) -> None:
        self.allocations: dict[str, FakeAllocation] = {}
        self.allocate_calls = 0
        self.watch_calls = 0
        self.unary_calls = 0
        self.beat_calls: list[list[str]] = []
        """Whose leases each call was about."""
        self.on_submit: Callable[[FakeAllocation], None] = grant
        self.refuse_allocate: Refusal | None = None
        self.refuse_watch: Refusal | None = None
        self.refuse_book: Refusal | None = None
        self.refuse_release: Refusal | None = None
        self.refuse_beat: Refusal | None = None
        self.refuse_unary: list[Refusal] = []
        self.mute_allocate = False
        self.next_beat_s = 10.0
        self.notices: list[beats.Notice] = []
        self.resources: list[Resource] = []
        self.wait_times: list[pb.WaitTimes] = []
        self.when_watched: list[Callable[[], None]] = []
        self.changes: list[pb.WatchLabResponse | Refusal] = []
        self.target = ""

    @property
    def only(self) -> FakeAllocation:
        (allocation,) = self.allocations.values()
        return allocation

    def _find(self, allocation_id: str, token: str) -> FakeAllocation:
        for allocation in self.allocations.values():
            if allocation.id == allocation_id:
                if token != allocation.token:
                    raise Refusal(Code.PERMISSION_DENIED, "not your token", "WRONG_TOKEN")
                return allocation
        raise Refusal(Code.NOT_FOUND, "no such allocation", "NO_SUCH_ALLOCATION")

    async def Allocate(self, request: Any, context: Any) -> Any:
        self.allocate_calls += 1
        if self.refuse_allocate:
            await self.refuse_allocate.abort(context)
        if self.mute_allocate:
            await asyncio.Event().wait()
        allocation = self.allocations.get(request.request_id)
        if allocation is None:
            allocation = FakeAllocation(len(self.allocations) + 1, request)
            self.allocations[request.request_id] = allocation
            self.on_submit(allocation)
        token = allocation.token
        try:
            async for update in allocation.updates():
                yield pb.AllocateResponse(update=update, token=token)
                token = ""
        except Refusal as refusal:
            await refusal.abort(context)

    async def Book(self, request: Any, context: Any) -> Any:
        await self._maybe_refuse(context)
        if self.refuse_book:
            await self.refuse_book.abort(context)
        allocation = self.allocations.get(request.request_id)
        if allocation is None:
            allocation = FakeAllocation(len(self.allocations) + 1, request)
            self.allocations[request.request_id] = allocation
        return pb.BookResponse(allocation=allocation.message, token=allocation.token)

    async def WatchAllocation(self, request: Any, context: Any) -> Any:
        self.watch_calls += 1
        try:
            if self.refuse_watch:
                raise self.refuse_watch
            async for update in self._find(request.allocation_id, request.token).updates():
                yield pb.WatchAllocationResponse(update=update)
                if self.when_watched:
                    self.when_watched.pop(0)()
        except Refusal as refusal:
            await refusal.abort(context)

    async def ReleaseAllocation(self, request: Any, context: Any) -> Any:
        try:
            if self.refuse_release:
                raise self.refuse_release
            allocation = self._find(request.allocation_id, request.token)
        except Refusal as refusal:
            await refusal.abort(context)
        allocation.end("RELEASED")
        allocation.released.set()
        return pb.ReleaseAllocationResponse(allocation=allocation.message)

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        self.beat_calls.append([request.allocation_id])
        try:
            return self._beat(request)
        except Refusal as refusal:
            await refusal.abort(context)

    async def BatchHeartbeat(self, request: Any, context: Any) -> Any:
        self.beat_calls.append([beat.allocation_id for beat in request.beats])
        results = []
        for beat in request.beats:
            try:
                results.append(beats.BeatResult(response=self._beat(beat)))
            except Refusal as refusal:
                if refusal.status.code == Code.UNAVAILABLE.value[0]:
                    await refusal.abort(context)
                results.append(beats.BeatResult(error=refusal.status))
        return beats.BatchHeartbeatResponse(results=results)

    def _beat(self, request: Any) -> beats.HeartbeatResponse:
        if self.refuse_beat:
            raise self.refuse_beat
        allocation = self._find(request.allocation_id, request.token)
        if allocation.ended:
            reason = EndReason.Name(allocation.message.end_reason)
            raise Refusal(
                Code.ABORTED,
                "it has ended",
                "ALLOCATION_ENDED",
                {
                    "allocation_id": allocation.id,
                    "end_reason": reason.removeprefix("END_REASON_"),
                    "end_detail": allocation.message.end_detail,
                },
            )
        allocation.beats += 1
        return beats.HeartbeatResponse(
            remaining_lease=seconds(allocation.remaining_s),
            next_heartbeat_delay=seconds(self.next_beat_s),
            state=allocation.message.state,
            notices=self.notices,
        )

    async def ListResources(self, request: Any, context: Any) -> Any:
        await self._maybe_refuse(context)
        start = int(request.page_token or 0)
        page = self.resources[start : start + 2]
        more = start + 2 < len(self.resources)
        return pb.ListResourcesResponse(
            resources=page, next_page_token=str(start + 2) if more else "", revision=7 + start
        )

    async def Explain(self, request: Any, context: Any) -> Any:
        await self._maybe_refuse(context)
        return pb.ExplainResponse(
            availability=pb.Availability.AVAILABILITY_NOW, summary=f"{len(request.demands.hosts)}"
        )

    async def ListWaitTimes(self, request: Any, context: Any) -> Any:
        start = int(request.page_token or 0)
        more = start + 1 < len(self.wait_times)
        return pb.ListWaitTimesResponse(
            classes=self.wait_times[start : start + 1],
            next_page_token=str(start + 1) if more else "",
        )

    async def WatchLab(self, request: Any, context: Any) -> Any:
        while self.changes:
            change = self.changes.pop(0)
            if isinstance(change, Refusal):
                await change.abort(context)
            elif change.revision > request.after_revision:
                yield change
        await asyncio.Event().wait()

    async def _maybe_refuse(self, context: Any) -> None:
        self.unary_calls += 1
        if self.refuse_unary:
            await self.refuse_unary.pop(0).abort(context)

    # Not scripted: no test of the SDK needs more than what is above.
    async def GetAllocation(self, request: Any, context: Any) -> Any:
        try:
            allocation = self._find(request.allocation_id, request.token)
        except Refusal as refusal:
            await refusal.abort(context)
        return pb.GetAllocationResponse(allocation=allocation.message)

    async def ListAllocations(self, request: Any, context: Any) -> Any:
        found = [a.message for a in self.allocations.values()]
        kept = [a for a in found if not request.states or a.state in request.states]
        return pb.ListAllocationsResponse(allocations=kept, revision=1)

    async def GetResource(self, request: Any, context: Any) -> Any:
        await Refusal(Code.NOT_FOUND, "no such resource", "NO_SUCH_RESOURCE").abort(context)

    async def ListManagers(self, request: Any, context: Any) -> Any:
        return pb.ListManagersResponse(revision=1)

    async def DrainResource(self, request: Any, context: Any) -> Any:
        resource = Resource(spec=ResourceSpec(name=request.name), reason=request.reason)
        if request.HasField("deadline"):
            resource.deadline_time.CopyFrom(request.deadline)
        return pb.DrainResourceResponse(resource=resource)

    async def EnableResource(self, request: Any, context: Any) -> Any:
        return pb.EnableResourceResponse(resource=Resource(spec=ResourceSpec(name=request.name)))

    async def QuarantineResource(self, request: Any, context: Any) -> Any:
        resource = Resource(spec=ResourceSpec(name=request.name), reason=request.reason)
        return pb.QuarantineResourceResponse(resource=resource)

    async def KeepAllocation(self, request: Any, context: Any) -> Any:
        try:
            allocation = self._find(request.allocation_id, request.token)
        except Refusal as refusal:
            await refusal.abort(context)
        allocation.kept_s = request.duration.ToTimedelta().total_seconds()
        return pb.KeepAllocationResponse(allocation=allocation.message)

    # There are no hosts to reach here; tests of that have a real lab (`support/bench.py`).

    def SwitchPower(self, request: Any, context: Any) -> Any:
        raise NotImplementedError("nothing here has power")

    def Connect(self, request_iterator: Any, context: Any) -> Any:
        raise NotImplementedError("nothing here can be reached")

    def CarryChannel(self, request_iterator: Any, context: Any) -> Any:
        raise NotImplementedError("nothing here is carried")

    def Subscribe(self, request_iterator: Any, context: Any) -> Any:
        raise NotImplementedError("no managers here")


@contextlib.asynccontextmanager
async def fake_lab() -> AsyncIterator[FakeLab]:
    """Serve both services on one free port until the block ends."""
    lab = FakeLab()
    server = grpc.aio.server()
    pb_grpc.add_AllocateServiceServicer_to_server(lab, server)
    beats_grpc.add_HeartbeatServiceServicer_to_server(lab, server)
    lab.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield lab
    finally:
        await server.stop(0)
