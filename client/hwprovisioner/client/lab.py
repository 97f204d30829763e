"""The lab as an asyncio program sees it; `blocking.py` has the same for everybody else.

What a test holds is `AsyncHardware`; what a lab tells is in `lookup.py`.
"""

from __future__ import annotations

from hwprovisioner.client import booking as bookings
from hwprovisioner.client import request as requests
from hwprovisioner.client.allocating import AsyncAllocating
from hwprovisioner.client.booking import Booking
from hwprovisioner.client.demands import DemandMapping, read_demands
from hwprovisioner.client.durations import Span
from hwprovisioner.client.failures import from_rpc
from hwprovisioner.client.follow import Asked
from hwprovisioner.client.lookup import Lookup
from hwprovisioner.client.moments import Moment, local_now
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.client.telling import Callbacks, NoticeCallback, UpdateCallback
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import heartbeat_service_pb2 as beats
from hwprovisioner.v1.allocation_pb2 import Allocation, Requestor
from hwprovisioner.v1.demand_pb2 import Demands
from hwprovisioner.v1.resource_pb2 import Resource


class AsyncLab(Lookup):
    """A lab: allocates hardware, and tells what there is.

    Belongs to the event loop that uses it first. `async with AsyncLab() as lab` closes its
    connections; so does dropping it. Every call that fails raises a `LabError`; only a lab that is
    away is tried again.
    """

    def allocate(
        self,
        *,
        demands: Demands | DemandMapping | None = None,
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

        The keywords describe one host, called `host`, or several: `db={"cpus": 8}, edge={...}`;
        `same` and `different` say what the hosts have to do with one another.

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
        return self._allocating(request, Callbacks(on_update, on_notice))

    async def book(
        self,
        *,
        demands: Demands | DemandMapping | None = None,
        start: Moment,
        end: Moment | None = None,
        duration: Span | None = None,
        lease_ttl: Span | None = None,
        request_id: str | None = None,
        requestor: Requestor | None = None,
        **keywords: object,
    ) -> Booking:
        """Books hardware: `await lab.book(cpus=4, start="14:00", end="16:00")`.

        The set is promised, waits for its time by itself, and begins by itself. From then on
        somebody must hold it: `attach`. `release` cancels it.

        Args:
            demands: The hosts by name, instead of keywords; also a finished message.
            start: A datetime (without a zone: in this machine's), or text: `2026-05-01T14:00`,
                `14:00` for the next such time, `+2h` for so long from now.
            end: The same; `14:00` and `+2h` count from the start. A minute to 30 days after it.
            duration: How long it lasts, instead of `end`.
            lease_ttl: How long the hosts stay allocated after the last heartbeat; None: 30 s.
            request_id: The same id gives the same booking; None makes a new one.
            requestor: Who asks; None fills it in from this process.
            keywords: What is wanted, as in `allocate`.

        Raises:
            BadDemand: A demand, a moment or a span of time is wrong.
            BookingConflict: The set cannot be promised for that time.
            Unsatisfiable: Nothing registered could ever satisfy the demands.
            OverQuota: They are more than the quota could ever allow.
        """
        message = bookings.build(
            read_demands(demands, keywords),
            start=start,
            end=end,
            duration=duration,
            lease_ttl=lease_ttl,
            request_id=request_id,
            requestor=requestor or requests.this_process(),
            now=local_now(),
        )
        stub = self._channels().allocate
        return bookings.read(await self._call(lambda t: stub.Book(message, timeout=t)))

    def attach(
        self,
        allocation_id: str,
        token: str,
        *,
        on_update: UpdateCallback | None = None,
        on_notice: NoticeCallback | None = None,
    ) -> AsyncAllocating:
        """Takes up what is there already: `async with lab.attach(id, token) as hardware`.

        The block begins when all hosts are ready: a booking waits for its time, then as any other
        request. From its time on it is held by heartbeats, and given back when the block ends.
        Giving the wait up before its time leaves the booking as it is.

        Args:
            allocation_id: Of a booking, or of an allocation that nobody else holds.
            token: The secret that came with it.
            on_update: Told what becomes of it while it waits.
            on_notice: Told what the lab says to the holder, such as an end that comes near.

        Raises:
            BadDemand: The id or the token is empty.
        """
        claim = bookings.claim(allocation_id, token)
        return self._allocating(claim, Callbacks(on_update, on_notice))

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

    def _allocating(self, asked: Asked, callbacks: Callbacks) -> AsyncAllocating:
        return AsyncAllocating(self._channels, asked, self.settings, self._time, callbacks)
