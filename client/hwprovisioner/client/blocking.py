"""The lab for programs that block: the same as `lab.py`, over one background thread per process."""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeVar

from hwprovisioner.client.blocking_hardware import Allocating
from hwprovisioner.client.blocking_upkeep import BlockingUpkeep
from hwprovisioner.client.booking import Booking
from hwprovisioner.client.demands import DemandMapping
from hwprovisioner.client.durations import Span
from hwprovisioner.client.lab import AsyncLab
from hwprovisioner.client.listing import Listing
from hwprovisioner.client.loop_thread import Mailbox, leave_behind, loop_thread
from hwprovisioner.client.moments import Moment
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.telling import NoticeCallback, UpdateCallback
from hwprovisioner.client.updates import Update
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation, Requestor
from hwprovisioner.v1.demand_pb2 import Demands
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatResponse
from hwprovisioner.v1.resource_pb2 import Manager, Resource

Answer = TypeVar("Answer")


class Lab(BlockingUpkeep):
    """A lab: allocates hardware, and tells what there is.

    May be used from several threads; in a forked child too, unless the parent had used a lab before
    it forked. `with Lab() as lab` closes its connections; so does dropping it. Every call that
    fails raises a `LabError`.
    """

    def __init__(
        self,
        address: str | None = None,
        heartbeat_address: str | None = None,
        *,
        settings: Settings | None = None,
    ) -> None:
        """Remembers where the lab is; nothing is connected yet.

        Args:
            address: Of the Allocate service; else environment ALLOCATE_API, else 127.0.0.1:8080.
            heartbeat_address: Of the Heartbeat service; else HEARTBEAT_API, else 127.0.0.1:7080.
            settings: Instead of both and the environment.

        Raises:
            BadDemand: An address cannot be read.
        """
        self.settings = settings or Settings.from_env(
            os.environ, allocate_address=address, heartbeat_address=heartbeat_address
        )
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._async = AsyncLab(settings=self.settings)
        weakref.finalize(self, _close_soon, self._pid, self._async).atexit = False

    def _lab(self) -> AsyncLab:
        """Gives the lab to use in this process."""
        if self._pid != os.getpid():
            leave_behind(self._async)
            self._open()
        return self._async

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. What is still allocated expires unless it was released."""
        if self._async.is_open and self._pid == os.getpid():
            loop_thread().call(self._async.close())

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
    ) -> Allocating:
        """Asks for hardware: `with lab.allocate(cpus=4) as hardware`.

        As `AsyncLab.allocate`. `on_update` is called in the waiting thread, `on_notice` in the
        background thread.

        Raises:
            BadDemand: A demand, a span of time, the priority or the key is wrong.
        """
        news: Mailbox[Update] = Mailbox()
        asked = self._lab().allocate(
            demands=demands,
            priority=priority,
            wait=wait,
            lease_ttl=lease_ttl,
            max_duration=max_duration,
            tolerate_maintenance=tolerate_maintenance,
            request_id=request_id,
            requestor=requestor,
            ssh_key=ssh_key,
            on_update=news.put,
            on_notice=on_notice,
            **keywords,
        )
        return Allocating(self, asked, news, on_update)

    def book(
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
        """Books hardware from a time to a time; see `AsyncLab.book`."""
        work = self._lab().book(
            demands=demands,
            start=start,
            end=end,
            duration=duration,
            lease_ttl=lease_ttl,
            request_id=request_id,
            requestor=requestor,
            ssh_key=ssh_key,
            **keywords,
        )
        return self._call(work)

    def attach(
        self,
        allocation_id: str,
        token: str,
        *,
        ssh_key: str | os.PathLike[str] | None = None,
        on_update: UpdateCallback | None = None,
        on_notice: NoticeCallback | None = None,
    ) -> Allocating:
        """Takes up what is there already: `with lab.attach(id, token) as hardware`.

        As `AsyncLab.attach`. `on_update` is called in the waiting thread, `on_notice` in the
        background thread.

        Raises:
            BadDemand: The id or the token is empty, or the key cannot be read.
        """
        news: Mailbox[Update] = Mailbox()
        asked = self._lab().attach(
            allocation_id, token, ssh_key=ssh_key, on_update=news.put, on_notice=on_notice
        )
        return Allocating(self, asked, news, on_update)

    def heartbeat(self, allocation_id: str, token: str) -> HeartbeatResponse:
        """Sends one heartbeat. Blocks do this by themselves."""
        return self._call(self._lab().heartbeat(allocation_id, token))

    def get_allocation(self, allocation_id: str, token: str = "") -> Allocation:
        """Shows one allocation; with its token also the connections."""
        return self._call(self._lab().get_allocation(allocation_id, token))

    def list_allocations(
        self, *, states: Iterable[str] = (), user: str = ""
    ) -> Listing[Allocation]:
        """Lists allocations by id; see `AsyncLab.list_allocations`."""
        return self._call(self._lab().list_allocations(states=states, user=user))

    def get_resource(self, name: str) -> Resource:
        """Shows one resource."""
        return self._call(self._lab().get_resource(name))

    def list_resources(
        self,
        *,
        demand: Mapping[str, object] | None = None,
        manager: str = "",
        free: bool = False,
    ) -> Listing[Resource]:
        """Lists resources by name; see `AsyncLab.list_resources`."""
        return self._call(self._lab().list_resources(demand=demand, manager=manager, free=free))

    def list_managers(self, *, presences: Iterable[str] = ()) -> Listing[Manager]:
        """Lists resource managers by id; see `AsyncLab.list_managers`."""
        return self._call(self._lab().list_managers(presences=presences))

    def explain(
        self, *, demands: Demands | DemandMapping | None = None, **keywords: object
    ) -> pb.ExplainResponse:
        """Tells for each resource when it can serve the demands; see `AsyncLab.explain`."""
        return self._call(self._lab().explain(demands=demands, **keywords))

    def wait_times(self) -> tuple[pb.WaitTimes, ...]:
        """Tells for each class of requests how long they waited and lasted; by class."""
        return self._call(self._lab().wait_times())

    def watch_lab(self, after_revision: int = 0) -> Iterator[pb.WatchLabResponse]:
        """Tells every change of the lab, in order; see `AsyncLab.watch_lab`."""
        return _step_by_step(self._lab().watch_lab(after_revision))

    def watch_allocation(
        self, allocation_id: str, token: str = ""
    ) -> Iterator[pb.AllocationUpdate]:
        """Tells what becomes of an allocation, until it has ended."""
        return _step_by_step(self._lab().watch_allocation(allocation_id, token))

    def _call(self, work: Coroutine[None, None, Answer]) -> Answer:
        return loop_thread().call(work)


def _close_soon(pid: int, lab: AsyncLab) -> None:
    """Closes the connections of a lab that nobody has any more."""
    if pid == os.getpid() and lab.is_open:
        loop_thread().soon(lab.close)
    else:
        leave_behind(lab)


def _step_by_step(items: AsyncIterator[Answer]) -> Iterator[Answer]:
    """Takes one item after another out of the background loop."""

    async def step() -> tuple[Answer] | None:
        async for item in items:
            return (item,)
        return None

    thread = loop_thread()
    while (item := thread.call(step())) is not None:
        yield item[0]
