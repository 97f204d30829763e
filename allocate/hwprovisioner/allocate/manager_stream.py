"""One resource manager's stream: what it says is committed, what it has to do is sent.

What has to be sent follows from the lab's holds, not from a queue of messages: whenever a hold of
this manager changes (or on registration, all of them), it is sent as an offer if it is OFFERED and
as a release if it is CLEANING. A manager that reconnects is told everything again that it has not
answered.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TypeAlias

from hwprovisioner.allocate.codec import duration, look_after
from hwprovisioner.allocate.looks import Looks
from hwprovisioner.allocate.manager_desk import Desk
from hwprovisioner.allocate.manager_messages import OutOfOrder, subject
from hwprovisioner.serving import Refused, bad_request
from hwprovisioner.state.errors import (
    Forgotten,
    NameTaken,
    NoSuchHold,
    NoSuchResource,
    StaleFence,
    StateError,
    Superseded,
    WrongState,
)
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Hold
from hwprovisioner.state.tables import HoldState
from hwprovisioner.state.view import Change
from hwprovisioner.v1.manager_stream_pb2 import (
    Ping,
    SubscribeRequest,
    SubscribeResponse,
)
from hwprovisioner.v1.manager_stream_pb2 import Refused as RefusedMessage

_log = logging.getLogger(__name__)

_PINGS_PER_LIMIT = 3
_IN_FLIGHT = 64
"""So many messages of one manager are being committed at once; more are not read."""

_LAST_WORDS_S = 1.0
"""What a manager is told before its stream ends is waited for no longer."""

_UNREAD = 20_000
"""A manager that does not read what it is told is cut off; offers of a full inventory fit."""

Write: TypeAlias = Callable[[SubscribeResponse], Awaitable[None]]
_Told: TypeAlias = tuple[HoldState, int]

_REFUSED_IN_STREAM = (Refused, NoSuchHold, NoSuchResource, StaleFence, WrongState, NameTaken)


class ManagerStream:
    """One stream, from its first message to its end."""

    def __init__(self, desk: Desk, write: Write) -> None:
        """Answer through `write`."""
        self._desk = desk
        self._write = write
        self._who = Speaker("", 0)
        self._looks = Looks(desk.belongings, "")
        self._to_send: asyncio.Queue[SubscribeResponse] = asyncio.Queue()
        self._told: dict[str, _Told] = {}
        self._heard = asyncio.Event()
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT)
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, requests: AsyncIterator[SubscribeRequest]) -> None:
        """Serve until the manager closes the stream.

        Raises:
            Refused: BAD_REQUEST if a message is out of order, MANAGER_SILENT.
            Superseded: the manager has registered on a newer stream.
        """
        first = await self._first(requests)
        if first is None:
            return
        if first.WhichOneof("event") != "register":
            raise bad_request([("event", "the first message must be register")])
        register = first.register
        await self._desk.registrar.check(register)
        self._who = await self._desk.registrar.register(register)
        _log.info("manager %s registered, epoch %d", self._who.manager_id, self._who.epoch)
        self._looks = Looks(self._desk.belongings, self._who.manager_id)
        topic = Kind.MANAGER, self._who.manager_id
        try:
            with self._superseded():
                await self._desk.registrar.take_inventory(self._who, register)
            with self._desk.dispatch.subscribed(topic, self._note):
                with self._superseded():
                    if not self._over.done():
                        await self._greet(first)
                send = self._to_send.put_nowait
                with self._desk.switchboard.reachable(self._who.manager_id, send):
                    await self._serve(requests)
        finally:
            await self._leave()

    async def _first(self, requests: AsyncIterator[SubscribeRequest]) -> SubscribeRequest | None:
        """Return the first message, None if the manager closes the stream without a word."""

        async def read() -> SubscribeRequest | None:
            return await anext(requests, None)

        reading = asyncio.create_task(read())
        stopping = asyncio.create_task(self._desk.dispatch.until_stopping())
        try:
            limit_s = self._desk.limits.silence_ms / 1000
            await asyncio.wait(
                [reading, stopping], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
            if reading.done():
                return reading.result()
            self._desk.dispatch.check_running()
            raise Refused("MANAGER_SILENT", f"no registration came for {limit_s:g} s")
        finally:
            reading.cancel()
            stopping.cancel()

    async def _greet(self, first: SubscribeRequest) -> None:
        registered = SubscribeResponse()
        registered.registered.epoch = self._who.epoch
        registered.registered.silence_limit.CopyFrom(duration(self._desk.limits.silence_ms))
        registered.registered.lost_limit.CopyFrom(duration(self._desk.limits.lost_ms))
        await self._write(registered)
        for hold_id in await self._desk.reconciler.reconcile(self._who, first.register):
            self._refuse(NoSuchHold(hold_id), hold_id=hold_id)
        if self._desk.view.managers[self._who.manager_id].returning:
            await self._desk.managers.returned(self._who)
        self._note(None)

    async def _serve(self, requests: AsyncIterator[SubscribeRequest]) -> None:
        """Read, write and watch side by side; the first to end ends the others.

        A manager that closes its side is answered what it has said before.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._writing(), name="writing"),
                group.create_task(self._listening_for_silence(), name="silence"),
                group.create_task(self._until_over(), name="over"),
            ]
            try:
                await self._take_all_in(requests)
                await self._to_send.join()
            finally:
                for task in tasks:
                    task.cancel()

    async def _take_all_in(self, requests: AsyncIterator[SubscribeRequest]) -> None:
        async with asyncio.TaskGroup() as group:
            async for request in requests:
                self._heard.set()
                self._check_reads()
                await self._in_flight.acquire()
                # Scripts are sent in the order in which these tasks start, which is that of the
                # messages.
                task = group.create_task(self._take_in(request))
                task.add_done_callback(lambda _: self._in_flight.release())

    def _check_reads(self) -> None:
        if self._to_send.qsize() > _UNREAD:
            said = f"{_UNREAD:,} messages to manager {self._who.manager_id} are unread: read them"
            raise Refused("MANAGER_SILENT", said, metadata={"manager_id": self._who.manager_id})

    @contextlib.contextmanager
    def _superseded(self) -> Iterator[None]:
        """Have the stream end if it turns out that the manager has registered on a newer one."""
        try:
            yield
        except Superseded as error:
            if not self._over.done():
                self._over.set_exception(error)

    async def _until_over(self) -> None:
        """Wait until the stream has to end, and say why if the manager must know.

        A manager that is just writing when its stream ends is told INTERNAL by its own side
        (grpc.aio), and would come back.
        """
        try:
            await self._over
        except Superseded as error:
            self._refuse(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._to_send.join()
            raise

    async def _writing(self) -> None:
        while True:
            await self._write(await self._to_send.get())
            self._to_send.task_done()

    async def _listening_for_silence(self) -> None:
        limit_s = self._desk.limits.silence_ms / 1000
        quiet_rounds = 0
        while quiet_rounds < _PINGS_PER_LIMIT:
            self._to_send.put_nowait(SubscribeResponse(ping=Ping()))
            await asyncio.sleep(limit_s / _PINGS_PER_LIMIT)
            if self._heard.is_set():
                self._heard.clear()
                quiet_rounds = 0
                with self._superseded():
                    await self._desk.managers.heard(self._who)
            else:
                quiet_rounds += 1
        raise Refused(
            "MANAGER_SILENT",
            f"nothing was heard of manager {self._who.manager_id} for {limit_s:g} s: pings must be"
            " answered at once",
            metadata={"manager_id": self._who.manager_id},
        )

    async def _leave(self) -> None:
        try:
            await self._desk.managers.disconnect(self._who.manager_id, self._who.epoch)
        except StateError as error:
            _log.warning("could not note that %s left: %s", self._who.manager_id, error)

    def _note(self, change: Change | None) -> None:
        """Send what a change asks for, or everything that may be new."""
        self._end_if_over()
        if change is None:
            holds: Iterable[Hold] = self._desk.belongings.holds(self._who.manager_id)
        else:
            self._forget_gone(change)
            holds = (c.after for c in change.records.values() if isinstance(c.after, Hold))
        # In the order of their fences: managers take an offer that is older than the last for
        # stale.
        for hold in sorted(holds, key=lambda hold: hold.fence):
            if hold.manager == self._who.manager_id:
                self._send(hold)
        for resource in self._looks.untold(change):
            self._to_send.put_nowait(SubscribeResponse(look_after=look_after(resource)))

    def _end_if_over(self) -> None:
        """End the stream if the manager has to register anew or has done so, or the server stops.

        The first is so when the lab may have lost something: it says that of all registrations.
        """
        if self._over.done():
            return
        manager = self._desk.view.managers.get(self._who.manager_id)
        epoch = manager.epoch if manager is not None else 0
        if epoch != self._who.epoch:
            is_newer = epoch > self._who.epoch
            error = Superseded if is_newer else Forgotten
            self._over.set_exception(error(self._who.manager_id))
            return
        try:
            self._desk.dispatch.check_running()
        except Refused as stopping:
            self._over.set_exception(stopping)

    def _forget_gone(self, change: Change) -> None:
        for (kind, record_id), changed in change.records.items():
            if kind is Kind.HOLD and changed.after is None:
                self._told.pop(record_id, None)

    def _send(self, hold: Hold) -> None:
        told = hold.state, hold.fence
        if self._told.get(hold.id) == told:
            return
        self._told[hold.id] = told
        if hold.state is HoldState.OFFERED:
            self._to_send.put_nowait(SubscribeResponse(offer=self._desk.codec.offer(hold)))
        elif hold.state is HoldState.CLEANING:
            self._to_send.put_nowait(SubscribeResponse(release=self._desk.codec.release(hold)))

    async def _take_in(self, request: SubscribeRequest) -> None:
        try:
            with self._superseded():
                await self._desk.inbox.commit(self._who, request)
        except OutOfOrder:
            raise
        except _REFUSED_IN_STREAM as error:
            hold_id, resource = subject(request)
            self._refuse(error, hold_id=hold_id, resource=resource)
            # Who does not read is not read, once all that may be in flight is.
            await self._to_send.join()

    def _refuse(self, error: StateError | Refused, hold_id: str = "", resource: str = "") -> None:
        _log.info("refused %s: %s", self._who.manager_id, error)
        refused = RefusedMessage(
            reason=error.reason, message=str(error), hold_id=hold_id, resource=resource
        )
        self._to_send.put_nowait(SubscribeResponse(refused=refused))
