"""Telling allocations of lower priority that they give way, where the policy has that."""

import itertools
import logging
from collections.abc import Iterable, Sequence

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.order import BOOKED, Request
from hwprovisioner.allocate.planning.preemption import Running, victims
from hwprovisioner.allocate.policy import Preemption
from hwprovisioner.allocate.room import Share
from hwprovisioner.state.grants import Grants
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.tables import AllocationState, HoldState
from hwprovisioner.state.view import View

_log = logging.getLogger(__name__)

_AGAIN_MS = 1000
"""A request that nobody could give way to is looked at again after so long."""
_REQUESTS = 16
"""At so many of the waiting requests that are first in the order is looked in one go."""


class GivingWay:
    """Finds out who gives way to whom, and tells them."""

    def __init__(self, view: View, lab: Lab, grants: Grants) -> None:
        """Look at the lab of `view`."""
        self._view = view
        self._lab = lab
        self._grants = grants
        self._looked = set[str]()
        self._since_ms = 0

    async def look(self, epoch: int) -> None:
        """Let allocations give way to what waits, and spare those for whom that is over.

        Raises:
            Deposed: another scheduler has been elected since `epoch`.
            StateUnavailable: Redis is away.
        """
        if self._lab.policy.preemption is None:
            return
        now_ms = self._lab.clock.now_ms()
        if not 0 <= now_ms - self._since_ms < _AGAIN_MS:
            self._since_ms = now_ms
            self._looked.clear()
        first = itertools.islice(self._lab.planner.queue.in_order(), _REQUESTS)
        new = [each for each in first if each.id not in self._looked and each.priority != BOOKED]
        if not new:
            return
        self._looked.update(each.id for each in new)
        granted = [self._view.allocations[each] for each in self._lab.granted]
        served = await self._spare(granted, epoch)
        for request in new:
            if request.id not in served and not self._lab.over_least(request):
                await self._preempt(request, granted, self._lab.policy.preemption, epoch)

    async def _spare(self, granted: Sequence[Allocation], epoch: int) -> set[str]:
        """Spare whom it is over for; returns those to whom others give way."""
        served = set[str]()
        for allocation in granted:
            if not allocation.preempt_ms:
                continue
            waiting = self._view.allocations.get(allocation.preempted_for)
            if waiting is not None and waiting.state is AllocationState.QUEUED:
                served.add(waiting.id)
            else:
                _log.info("%s need not give way any longer", allocation.id)
                await self._grants.spare(allocation.id, epoch=epoch)
        return served

    async def _preempt(
        self,
        request: Request,
        granted: Sequence[Allocation],
        policy: Preemption,
        epoch: int,
    ) -> None:
        running = [
            Running(a.id, self._lab.priority(a), a.grant_ms, self._shares(a.holds))
            for a in granted
            if not a.preempt_ms and not a.book_until_ms
        ]
        inventory = self._lab.planner.inventory
        soon = self._shares(hold.id for hold in self._view.holds.values() if _is_cleaned(hold))
        for victim in victims(request, running, soon, inventory, policy.gap):
            _log.info("%s gives way to %s in %d ms", victim.id, request.id, policy.grace_ms)
            await self._grants.preempt(
                victim.id, request.id, grace_ms=policy.grace_ms, epoch=epoch
            )

    def _shares(self, hold_ids: Iterable[str]) -> tuple[tuple[str, Share], ...]:
        holds = (self._view.holds.get(each) for each in hold_ids)
        return tuple(
            (hold.resource, Share(hold.cpus, hold.memory, hold.gpus)) for hold in holds if hold
        )


def _is_cleaned(hold: Hold) -> bool:
    return hold.state is HoldState.CLEANING
