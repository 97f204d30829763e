"""Doing what is due: ending leases that ran out, waits and offers, beginning what is booked.

Leases are driven by Redis' ``expired`` notifications of their alarm keys. Those come late by
themselves, so the sweeper knows which deadlines are next, sleeps until then, and touches the alarm
keys that are due: Redis expires a key that is looked at, and says so at once. The same turn asks
what is due and what will be, so nothing is waited for in between. What is still overdue a moment
later (notifications off, lost, or refused by a managed Redis) the sweeper ends itself. All other
deadlines have no alarm keys; the sweeper ends them directly. Every script reads the deadline again,
so any number of replicas may do the same thing twice.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from hwprovisioner.allocate.alarms import Alarms
from hwprovisioner.allocate.clock_steps import ClockSteps
from hwprovisioner.allocate.moments import Moments
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.care import Care, GivenUp, Outcome, Paused, Silent
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.holds import Holds
from hwprovisioner.state.keys import Due
from hwprovisioner.state.managers import Managers
from hwprovisioner.state.tables import EndReason, HoldState, Presence
from hwprovisioner.state.view import View

_log = logging.getLogger(__name__)

PERIOD_S = 0.5
"""Leases are looked after at least so often, so a deadline set meanwhile is seen in time."""
SHORTEST_S = 0.001
"""It is looked no sooner again: where much is due at about the same time, it is taken together."""
_AHEAD = 50
"""So many deadlines are known beforehand. What is due together with still more is touched a round
trip later."""
_BACK_MS = 60_000
"""Managers have so long to come back after an outage."""
_SHOW_UP_MS = 600_000
"""Holders of bookings have so long to show up, if no policy says otherwise."""


class Expiry:
    """Ends what is due."""

    def __init__(
        self,
        view: View,
        care: Care,
        allocations: Allocations,
        holds: Holds,
        managers: Managers,
        show_up_ms: Callable[[], int] = lambda: _SHOW_UP_MS,
        on_time: Callable[[int, int], None] = lambda now_ms, steady_ms: None,
    ) -> None:
        """Look records up in `view`, which must follow the lab.

        `show_up_ms` says how long holders of bookings have at present to show up; `on_time` is told
        the time and the steady time of Redis.
        """
        self._view = view
        self._care = care
        self._allocations = allocations
        self._holds = holds
        self._managers = managers
        self._show_up_ms = show_up_ms
        self._on_time = on_time
        self._alarms = Alarms()
        self._moments = Moments()
        self._silent = ""
        self._steps = ClockSteps()
        self._soon = asyncio.Event()
        self._actions: dict[Due, Callable[[str], Awaitable[object]]] = {
            Due.LEASE: self.expire,
            Due.WAIT: self._end_wait,
            Due.MAX: self._end_max,
            Due.FORGET: self._forget,
            Due.OFFER: self._end_offer,
            Due.REST: managers.rested,
            Due.MANAGER: self._move_manager,
            Due.BEGIN: self._begin,
            Due.PREEMPT: self._end_preempted,
            Due.REVOKE: self._end_revoked,
        }

    async def sweep(self) -> None:
        """Sleep until something is due, end it, and so on, until cancelled."""
        while True:
            try:
                outcome = await self._look()
                pause_s = await self._turn(outcome)
            except StateUnavailable as error:
                _log.warning("leases are not looked after: %s", error)
                pause_s = PERIOD_S
            if pause_s > 0:
                await self._sleep(pause_s)

    def look_again(self) -> None:
        """Sweep now: something may have been missed."""
        self._soon.set()

    async def expire(self, allocation_id: str) -> None:
        """End an allocation if its lease is over: what a notification asks for."""
        await self._allocations.expire(allocation_id, self._view.holds_of(allocation_id))

    async def _sleep(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        # uvloop counts in whole ms, and may be early.
        while not self._soon.is_set() and (left_s := until_s - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._soon.wait()
        self._soon.clear()

    async def _look(self) -> Outcome:
        """Touch the alarms that were foreseen to be due by now, and learn what is due."""
        ripe = self._alarms.ripe(time.monotonic())
        _, outcome = await asyncio.gather(self._care.touch(ripe), self._care.tend(ahead=_AHEAD))
        return outcome

    async def _turn(self, outcome: Outcome) -> float:
        """Do what is to be done, and return how long to sleep, in s."""
        match outcome:
            case Silent():
                self._wait_for(outcome)
                return PERIOD_S
            case GivenUp():
                _give_up(outcome)
                return 0
            case Paused():
                await self._restore(outcome)
                return 0
        self._silent = ""
        self._steps.tended(outcome.now_ms)
        self._on_time(outcome.now_ms, outcome.steady_ms)
        now_s = time.monotonic()
        self._moments.heard(outcome.now_ms, now_s)
        # Redis expires a key in the ms after its time.
        coming = [(due, name, self._moments.at_s(at_ms + 1)) for due, name, at_ms in outcome.coming]
        self._alarms.foresee({name: at_s for due, name, at_s in coming if due is Due.LEASE})
        leases = [name for due, name in outcome.due if due is Due.LEASE]
        fresh, overdue = self._alarms.look(leases, now_s)
        await self._care.touch(fresh)
        others = [(due, name) for due, name in outcome.due if due is not Due.LEASE]
        await self._act([*others, *((Due.LEASE, name) for name in overdue)])
        ends_s = [now_s + PERIOD_S, *(at_s for _, _, at_s in coming[:1])]
        if (next_s := self._alarms.next_s) is not None:
            ends_s.append(next_s)
        return max(SHORTEST_S, min(ends_s) - time.monotonic())

    def _wait_for(self, silent: Silent) -> None:
        """Say once for whom leases are paused."""
        if silent.beater != self._silent:
            self._silent = silent.beater
            _log.warning(
                "heartbeat replica %s is silent: leases are paused until it is back, for %.0f s at"
                " most",
                silent.beater,
                (silent.limit_ms - silent.silent_ms) / 1000,
            )

    async def _act(self, due: Iterable[tuple[Due, str]]) -> None:
        await asyncio.gather(*(self._actions[kind](name) for kind, name in due))

    async def _restore(self, paused: Paused) -> None:
        if step_ms := self._steps.step_ms(paused):
            # Then leases are still paused, and restored the next time.
            await self._follow_clock(paused, step_ms)
            return
        count = await self._care.restore(paused, back_ms=_BACK_MS)
        if count:
            _log.warning("after an outage, %d leases were given their full length again", count)

    async def _follow_clock(self, paused: Paused, step_ms: int) -> None:
        allocations = self._view.allocations.values()
        stays = [f"{Due.MAX}:{a.id}" for a in allocations if a.book_until_ms]
        ends = [a.id for a in allocations if a.preempt_ms or a.keep_ms]
        if await self._care.shift(paused, step_ms, stays, ends):
            _log.warning("the clock of Redis was set by %.1f s: deadlines follow", step_ms / 1000)

    async def _end_wait(self, allocation_id: str) -> None:
        await self._end(
            allocation_id, EndReason.WAIT_TIMEOUT, "it waited as long as it said", Due.WAIT
        )

    async def _end_max(self, allocation_id: str) -> None:
        allocation = self._view.allocations.get(allocation_id)
        is_booking = allocation is not None and allocation.book_until_ms > 0
        said = "was booked for" if is_booking else "said"
        detail = f"it lasted as long as it {said}"
        await self._end(allocation_id, EndReason.MAX_DURATION, detail, Due.MAX)

    async def _begin(self, allocation_id: str) -> None:
        await self._allocations.begin(allocation_id, show_up_ms=self._show_up_ms())

    async def _end_preempted(self, allocation_id: str) -> None:
        allocation = self._view.allocations.get(allocation_id)
        other = f"allocation {allocation.preempted_for}" if allocation else "another"
        detail = f"it gave way to {other}, which goes before it"
        await self._end(allocation_id, EndReason.PREEMPTED, detail, Due.PREEMPT)

    async def _end_revoked(self, allocation_id: str) -> None:
        allocation = self._view.allocations.get(allocation_id)
        marks = allocation.draining if allocation else ()
        # With the first of its resources that has a deadline.
        ends = sorted((int(ms), name) for name, _, ms in (m.partition(":") for m in marks) if ms)
        resource = self._view.resources.get(ends[0][1]) if ends else None
        because = f": {resource.admin_reason}" if resource and resource.admin_reason else ""
        what = resource.name if resource else "what it had"
        detail = f"{what} was taken out of service{because}"
        await self._end(allocation_id, EndReason.REVOKED, detail, Due.REVOKE)

    async def _end(self, allocation_id: str, reason: EndReason, detail: str, due: Due) -> None:
        holds = self._view.holds_of(allocation_id)
        await self._allocations.end(allocation_id, holds, reason, detail, due=due)

    async def _forget(self, allocation_id: str) -> None:
        allocation = self._view.allocations.get(allocation_id)
        if allocation:
            await self._allocations.forget(allocation)

    async def _end_offer(self, hold_id: str) -> None:
        hold = self._view.holds.get(hold_id)
        allocation = self._view.allocations.get(hold.allocation) if hold else None
        if hold and allocation:
            why = "its manager did not answer the offer in time"
            await self._holds.fail(None, hold, hold.fence, allocation.holds, why)

    async def _move_manager(self, manager_id: str) -> None:
        manager = self._view.managers.get(manager_id)
        if manager is None:
            return  # the view lags: it stays due until it is known what the manager had
        if manager.presence is Presence.ONLINE:
            if await self._managers.disconnect(manager_id):
                _log.warning("manager %s is silent: taken for away", manager_id)
        elif manager.presence is Presence.DISCONNECTED:
            if await self._managers.lose(manager_id):
                _log.warning("manager %s is lost: what ran on its resources ends", manager_id)
        else:
            # Stays due until this is done, should a replica die in the middle of it.
            await self._end_lost(manager_id)
            await self._managers.settle(manager_id)

    async def _end_lost(self, manager_id: str) -> None:
        """End every allocation on the resources of a lost manager."""
        detail = f"its resource's manager {manager_id} has been away for too long"
        allocations = {
            hold.allocation
            for hold in self._view.holds.values()
            if hold.manager == manager_id and hold.state is not HoldState.CLEANING
        }
        for allocation_id in allocations:
            holds = self._view.holds_of(allocation_id)
            await self._allocations.end(allocation_id, holds, EndReason.RESOURCE_LOST, detail)


def _give_up(gone: GivenUp) -> None:
    _log.error(
        "heartbeat replica %s has been silent for %.0f s: the lab goes on without it",
        gone.beater,
        gone.silent_ms / 1000,
    )
