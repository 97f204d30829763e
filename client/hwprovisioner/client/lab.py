"""The lab as an asyncio program sees it; `blocking.py` has the same for everybody else.

What a test holds is `AsyncHardware`; what a lab tells is in `lookup.py`, how it is looked after in
`upkeep.py`.
"""

from __future__ import annotations

import os

from hwprovisioner.client import booking as bookings
from hwprovisioner.client import holder_key
from hwprovisioner.client import request as requests
from hwprovisioner.client.allocating import AsyncAllocating
from hwprovisioner.client.booking import Booking
from hwprovisioner.client.demands import DemandMapping, read_demands
from hwprovisioner.client.durations import Span
from hwprovisioner.client.failures import from_rpc
from hwprovisioner.client.follow import Asked
from hwprovisioner.client.moments import Moment, local_now
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.client.reach import Reach
from hwprovisioner.client.telling import Callbacks, NoticeCallback, UpdateCallback
from hwprovisioner.client.upkeep import Upkeep
from hwprovisioner.v1 import heartbeat_service_pb2 as beats
from hwprovisioner.v1.allocation_pb2 import Requestor
from hwprovisioner.v1.demand_pb2 import Demands


class AsyncLab(Upkeep):
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
        tolerate_maintenance: bool = False,
        request_id: str | None = None,
        requestor: Requestor | None = None,
        ssh_key: str | os.PathLike[str] | None = None,
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
            tolerate_maintenance: Whether what is drained or in maintenance will do; for operators.
            request_id: The same id gives the same allocation; None makes a new one.
            requestor: Who asks; None fills it in from this process.
            ssh_key: File of the public key that hosts are to let the holder in with; None makes a
                key pair for this allocation alone.
            on_update: Told what becomes of the request while it waits.
            on_notice: Told what the lab says to the holder, such as an end that comes near.
            keywords: What is wanted.

        Raises:
            BadDemand: A demand, a span of time, the priority or the key is wrong.
        """
        request = requests.build(
            read_demands(demands, keywords),
            priority=priority,
            wait=wait,
            lease_ttl=lease_ttl,
            max_duration=max_duration,
            tolerate_maintenance=tolerate_maintenance,
            request_id=request_id,
            requestor=requestor or requests.this_process(),
        )
        return self._allocating(request, Callbacks(on_update, on_notice), ssh_key)

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
        ssh_key: str | os.PathLike[str] | None = None,
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
            ssh_key: File of the public key that hosts are to let the holder in with; None: none.
            keywords: What is wanted, as in `allocate`.

        Raises:
            BadDemand: A demand, a moment, a span of time or the key is wrong.
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
            key=holder_key.NO_KEY if ssh_key is None else holder_key.read(ssh_key),
            now=local_now(),
        )
        stub = self._channels().allocate
        return bookings.read(await self._call(lambda t: stub.Book(message, timeout=t)))

    def attach(
        self,
        allocation_id: str,
        token: str,
        *,
        ssh_key: str | os.PathLike[str] | None = None,
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
            ssh_key: File of the key that it was asked for with, so that commands can be run.
            on_update: Told what becomes of it while it waits.
            on_notice: Told what the lab says to the holder, such as an end that comes near.

        Raises:
            BadDemand: The id or the token is empty, or the key cannot be read.
        """
        claim = bookings.claim(allocation_id, token)
        return self._allocating(claim, Callbacks(on_update, on_notice), ssh_key)

    async def heartbeat(self, allocation_id: str, token: str) -> beats.HeartbeatResponse:
        """Sends one heartbeat. Blocks do this by themselves."""
        message = beats.HeartbeatRequest(allocation_id=allocation_id, token=token)
        stub = self._channels().heartbeat
        try:
            return await stub.Heartbeat(message, timeout=self.settings.beat_timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self.settings.heartbeat_address) from None

    def reach(self, allocation_id: str, token: str, host: str = "") -> Reach:
        """Gives what reaches a host of an allocation that is held elsewhere: power, console, ports.

        Args:
            allocation_id: Which allocation.
            token: The secret that came with it.
            host: Its name in the demands; empty if it is the only one.
        """
        return Reach(self._channels, self.settings, allocation_id, token, host, self._time)

    def _allocating(
        self, asked: Asked, callbacks: Callbacks, ssh_key: str | os.PathLike[str] | None
    ) -> AsyncAllocating:
        key = None if ssh_key is None else holder_key.read(ssh_key)
        return AsyncAllocating(self._channels, asked, self.settings, self._time, callbacks, key)
