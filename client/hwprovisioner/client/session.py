"""One allocation from its request to its release: the part that blocking and asyncio share.

Four tasks belong to a session: one follows what becomes of the request; one beats from the first
update on (of a booking: once its time has come); one counts the time of the wait; and once the
hosts are ready, one watches the lease's deadline. `close` ends them and gives the allocation back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hwprovisioner.client.channel import Channels
from hwprovisioner.client.clock import Time
from hwprovisioner.client.errors import LabError, LabUnavailable, LeaseLost
from hwprovisioner.client.failures import end_word, from_end
from hwprovisioner.client.follow import Asked, Away, Met, follow, longest_wait_s
from hwprovisioner.client.giving_back import give_back
from hwprovisioner.client.grant import LOST, Grant
from hwprovisioner.client.lease import LAPSED, Lease
from hwprovisioner.client.news import News, end_detail, news_of
from hwprovisioner.client.patience import given_up
from hwprovisioner.client.pulse import Pulse
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.tasks import Tasks
from hwprovisioner.client.telling import Callbacks, Teller, call
from hwprovisioner.client.updates import Phase
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation

_log = logging.getLogger(__name__)

LostCallback = Callable[[LeaseLost], None]

TICK_S = 1.0
"""How often a waiting request looks at the time, and a held one at its deadline."""
TOKEN_LIMIT_S = 2.0
"""How long giving up waits for the answer to a request just sent, to be able to release it."""


class Session:
    """One allocation. Lives on one event loop; only its `lease` may be used from elsewhere."""

    def __init__(
        self,
        channels: Channels,
        asked: Asked,
        settings: Settings,
        time: Time,
        callbacks: Callbacks,
    ) -> None:
        self._channels = channels
        self._asked = asked
        self._settings = settings
        self._time = time
        self._teller = Teller(callbacks, time, self._end_wait)
        self._granted: asyncio.Future[Allocation] = asyncio.get_running_loop().create_future()
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._tasks = Tasks(self._fail)
        self._lost_callbacks: list[LostCallback] = []
        self._lease: Lease | None = None
        self._pulse: Pulse | None = None
        self._grant: Grant | None = None
        self._trouble: LabUnavailable | None = None
        self._closing: asyncio.Task[None] | None = None
        self._heard_s = time.now()
        self._queued = True
        self._booked = False
        self.token = ""
        """The allocation's secret; empty before the first update."""

    @property
    def lease(self) -> Lease:
        """The lease; there is one from the first update on."""
        assert self._lease is not None, "the lab has not answered yet"
        return self._lease

    @property
    def waited_s(self) -> float:
        """Seconds from the request to the newest news."""
        return self._teller.news.waited_s

    @property
    def closed(self) -> bool:
        """Whether it has been given back, or is about to be."""
        return self._closing is not None

    async def granted(self) -> Allocation:
        """Asks, and waits until all hosts are ready.

        Raises:
            LabError: They never will be; or the wait was over, or the lab away for too long.
        """
        self._tasks.start(self._follow(), "follow")
        self._tasks.start(self._count_time(), "count-time")
        return await asyncio.shield(self._granted)

    def on_lost(self, callback: LostCallback) -> None:
        """Has a callback called once when the lease is lost; at once if it already is."""
        if self._over.is_set() and (loss := self.lease.loss):
            callback(loss)
        else:
            self._lost_callbacks.append(callback)

    async def over(self) -> None:
        """Waits until the hosts must not be used any more; `lease.loss` says why."""
        await self._over.wait()

    async def close(self) -> None:
        """Gives the allocation back and ends everything. Safe to call twice, and when it is lost.

        A lab that cannot be told within the limit finds out when the lease expires. A booking whose
        time has not come stays booked.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="hwp-close")
        # Whoever is cancelled here does not take the release down with it.
        await asyncio.shield(self._closing)

    async def _follow(self) -> None:
        address = self._settings.allocate_address
        try:
            async for event in follow(self._channels, self._asked, address, self._time):
                match event:
                    case Met():
                        self._meet(event)
                    case Away():
                        self._go_on_alone(event.trouble)
                    case _:
                        self._heard_s, self._trouble = self._time.now(), None
                        self._take(event)
        except LabError as error:
            # Once the hosts are in use this alone ends nothing: a heartbeat tells what is so.
            name = self._teller.news.allocation_id
            _log.info("allocation %s is no longer followed: %s", name, error)
            self._end_wait(error)
            if self._pulse is not None:
                self._pulse.hurry()
        finally:
            self._answered.set()

    def _meet(self, met: Met) -> None:
        """Learns id and token."""
        self.token = met.token
        self._lease = Lease(met.allocation_id, self._time.now, met.full_s)
        self._lease.accepted(met.sent_s, met.remaining_s, is_beat=False)
        self._answered.set()

    def _begin_to_beat(self) -> None:
        """From now on the allocation lives by its heartbeats."""
        self._pulse = Pulse(
            self._channels,
            self.lease,
            self.token,
            time=self._time,
            timeout_s=self._settings.beat_timeout_s,
            on_notice=self._teller.notice,
        )
        self._tasks.start(self._beat(self._pulse), "beat")

    def _go_on_alone(self, trouble: LabUnavailable) -> None:
        """The lab is away: its silence begins, if it had been heard before."""
        if self._lease is not None and self._trouble is None:
            self._heard_s = self._time.now()
        self._trouble = trouble
        self._tell(News(Phase.AWAY, message=trouble.message))

    def _take(self, update: pb.AllocationUpdate) -> None:
        """Acts on one update."""
        event = update.WhichOneof("event")
        self._queued, self._booked = event == "queued", event == "booked"
        if self._grant is not None:
            self._grant.note(update, self._time.now())
        self._check_grant()
        if self._pulse is None and event not in ("booked", "ended"):
            self._begin_to_beat()
        if (news := news_of(update)) is not None:
            self._tell(news)
        elif event == "ready":
            self._tasks.start(self._hand_over(update.allocation), "hand-over")
        elif event == "ended":
            reason = update.ended.reason
            detail = end_detail(update.ended.detail, self._teller.news, self.lease.trouble)
            self._end_wait(from_end(reason, detail, update.allocation.id))
            self._lose(self.lease.end(end_word(reason), detail))

    async def _hand_over(self, allocation: Allocation) -> None:
        """Hands the hosts over, once the lease is proven to live.

        It nearly always is. After a while without heartbeats, one must be accepted first.
        """
        while self.lease.left_s <= 0 and not self._granted.done():
            assert self._pulse is not None
            self._pulse.hurry()
            await self._time.sleep(TICK_S / 10)
        self._tell(News(Phase.READY))
        if self._granted.done():  # Handed over before, or given up: even by the display just now.
            return
        self.lease.guard()
        self._grant = Grant(allocation)
        self._granted.set_result(allocation)
        self._tasks.start(self._watch_deadline(), "watch-deadline")

    async def _beat(self, pulse: Pulse) -> None:
        loss = await pulse.run()
        self._end_wait(loss)
        self._lose(self.lease.end(loss.reason, loss.detail))

    def _check_grant(self) -> None:
        """Ends the lease if the lab no longer knows what it granted."""
        if self._grant is not None and (why := self._grant.why_lost(self._time.now())):
            self._lose(self.lease.end(LOST, why))

    async def _watch_deadline(self) -> None:
        """Fences the holder itself when no heartbeat was accepted in time, or the grant is lost."""
        while (loss := self.lease.loss) is None:
            self._check_grant()
            await self._time.sleep(min(max(self.lease.left_s, 0.0), TICK_S))
        self._lose(loss)

    async def _count_time(self) -> None:
        """Repeats the newest news each second, and ends a wait that nobody else ends."""
        while not self._granted.done():
            await self._time.sleep(TICK_S)
            if self._granted.done():
                return
            error = given_up(
                self._teller.count_time(),
                wait_s=longest_wait_s(self._asked),
                queued=self._queued,
                silent_s=self._time.now() - self._heard_s,
                proven=self._booked or (self._lease is not None and self._lease.left_s > 0),
                trouble=self._trouble,
                settings=self._settings,
            )
            if error is not None:
                self._end_wait(error)
            else:
                self._teller.repeat()

    def _tell(self, news: News) -> None:
        """Tells what is new, while somebody waits."""
        if not self._granted.done():
            self._teller.tell(news, self._lease.allocation_id if self._lease else "")

    def _end_wait(self, error: Exception) -> None:
        """Ends the wait, if there still is one."""
        if not self._granted.done():
            self._granted.set_exception(error)
            self._granted.exception()  # Marks it as looked at: the holder may have gone.

    def _lose(self, loss: LeaseLost) -> None:
        """Tells everybody, once, that the hosts must not be used."""
        if self._over.is_set():
            return
        self._over.set()
        if self._closing or self._granted.cancelled() or self._granted.exception():
            return
        _log.warning("%s", loss)
        for callback in self._lost_callbacks:
            call(callback, loss)

    async def _close(self) -> None:
        try:
            if why := await self._give_back():
                _log.warning(
                    "allocation %s was not given back and ends when its lease does: %s",
                    self._teller.news.allocation_id or "(no answer yet)",
                    why,
                )
        finally:
            self._granted.cancel()
            if self._lease:
                self._lease.end("RELEASED", "it was given back")
            self._over.set()
            await self._tasks.end()

    async def _give_back(self) -> str:
        """Releases what the lab may still hold; says why if that failed."""
        if self._lease is None and self._trouble is None and self._tasks:
            try:
                await asyncio.wait_for(self._answered.wait(), TOKEN_LIMIT_S)
            except TimeoutError:
                return "the lab had not answered yet"
        if self._lease is None or self._booked:
            return ""
        if self._lease.loss is not None and self._lease.loss.reason not in (LAPSED, LOST):
            return ""
        limit_s = self._settings.release_limit_s
        return await give_back(self._channels, self._lease.allocation_id, self.token, limit_s)

    def _fail(self, error: Exception) -> None:
        """Turns a bug in a task into the end of the wait, or of the lease."""
        _log.exception("a task of allocation %s died", self._teller.news.allocation_id)
        self._end_wait(error)
        if self._lease:
            self._lose(self._lease.end("SDK_FAULT", repr(error)))
