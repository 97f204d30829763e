"""A lab whose every word the test says, behind real gRPC on a free port.

A test drives `FakeAllocation`s: `queue`, `prepare`, `ready`, `end`; or sets `lab.on_submit`.
`lab_in_thread` is the same for tests that block.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc as pb_grpc
from hwprovisioner.v1 import heartbeat_service_pb2 as beats
from hwprovisioner.v1 import heartbeat_service_pb2_grpc as beats_grpc
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState, EndReason, QueuePlace
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand
from hwprovisioner.v1.resource_pb2 import Connection, Resource, ResourceKind, ResourceSpec

Result = TypeVar("Result")
Code = grpc.StatusCode


def seconds(value: float) -> Duration:
    return Duration(seconds=int(value), nanos=round(value % 1 * 1e9))


class Refusal(Exception):
    """What a scripted answer raises to have the call fail."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str = "",
        reason: str = "",
        metadata: dict[str, str] | None = None,
        details: tuple[Message, ...] = (),
        retry_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.code = code
        found: list[Message] = list(details)
        if reason:
            info = ErrorInfo(reason=reason, domain="hwprovisioner", metadata=metadata or {})
            found.append(info)
        if retry_s:
            found.append(RetryInfo(retry_delay=seconds(retry_s)))
        self.status = Status(code=code.value[0], message=message)
        for detail in found:
            packed = AnyMessage()
            packed.Pack(detail)
            self.status.details.append(packed)

    async def abort(self, context: Any) -> NoReturn:
        await context.abort_with_status(rpc_status.to_status(self.status))
        raise AssertionError("abort returned")


AWAY = Refusal(Code.UNAVAILABLE, "the lab's Redis is away", "STATE_UNAVAILABLE")


def paused_for(paused_s: float, remaining_s: float = 100.0) -> Refusal:
    """Give what a replica answers that knows of a pause."""
    pause = beats.LeasePause(paused_for=seconds(paused_s), remaining=seconds(remaining_s))
    return Refusal(
        *(Code.UNAVAILABLE, "the lab's Redis is away", "STATE_UNAVAILABLE"), details=(pause,)
    )


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


class LabInThread:
    """A fake lab on an event loop of its own, for tests that block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.lab: FakeLab

    def _run(self) -> None:
        # Ends what is still under way, before it is found unfinished in the middle of another test.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        async with fake_lab() as self.lab:
            self._up.set()
            await self._stop.wait()

    def call(self, work: Callable[[], Result]) -> Result:
        """Run something on the lab's loop and return what it returns."""

        async def run() -> Result:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Have something done on the lab's loop, where this must be called from."""
        self._loop.call_later(seconds, work)

    def __enter__(self) -> "LabInThread":
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def lab_in_thread() -> Iterator[LabInThread]:
    with LabInThread() as lab:
        yield lab
