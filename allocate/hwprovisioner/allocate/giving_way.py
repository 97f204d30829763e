"""Telling allocations of lower priority that they give way, where the policy has that."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.pacing import Pace
from hwprovisioner.allocate.planning.lineup import BOOKED
from hwprovisioner.allocate.planning.preemption import Prospect, Running, Use, victims
from hwprovisioner.allocate.policy import Preemption
from hwprovisioner.allocate.room import Share
from hwprovisioner.state.grants import Grants
from hwprovisioner.state.tables import AllocationState, HoldState
from hwprovisioner.state.view import View

_log = logging.getLogger(__name__)

_EVERY_S = 1.0
"""It is looked at most so often, as it costs by what runs."""
_REQUESTS = 256
"""At so many of the waiting requests that are first in the order is looked."""
_CLASSES = 16
"""After so many of what they ask for that cannot be had anyway, the others wait."""


class GivingWay:
    """Finds out who gives way to whom, and tells them."""

    def __init__(self, view: View, lab: Lab, grants: Grants, wake: Callable[[], None]) -> None:
        """Look at the lab of `view`; `wake` has `look` called again."""
        self._view = view
        self._lab = lab
        self._grants = grants
        self._pace = Pace(_EVERY_S, wake)

    async def look(self, epoch: int) -> None:
        """Spare those who need not give way any longer, and let others give way to what waits.

        Raises:
            Deposed: another scheduler has been elected since `epoch`.
            StateUnavailable: Redis is away.
        """
        policy = self._lab.policy.preemption
        is_of_use = policy is not None and self._lab.queue_length and self._lab.granted
        if not (is_of_use or self._lab.giving_way) or not self._pace.is_time():
            return
        for allocation_id in list(self._lab.giving_way):
            if not self._is_needed(allocation_id):
                _log.info("%s need not give way any longer", allocation_id)
                await self._grants.spare(allocation_id, epoch=epoch)
        if policy is None:
            return
        for request_id, victim in list(self._decide(policy)):
            _log.info("%s gives way to %s in %d ms", victim, request_id, policy.grace_ms)
            await self._grants.preempt(victim, request_id, grace_ms=policy.grace_ms, epoch=epoch)

    def _is_needed(self, allocation_id: str) -> bool:
        """Say whether the request that an allocation gives way to still waits."""
        waiting = self._view.allocations.get(self._view.allocations[allocation_id].preempted_for)
        return waiting is not None and waiting.state is AllocationState.QUEUED

    def _decide(self, policy: Preemption) -> Iterator[tuple[str, str]]:
        """Return to which request which allocations are to give way."""
        running = self._running()
        lowest = min((each.priority for each in running), default=BOOKED)
        planner = self._lab.planner
        prospect = Prospect(planner.finder, self._soon(), self._lab.clock.now_ms())
        failed = 0
        for request in itertools.islice(planner.queue.in_order(), _REQUESTS):
            if request.priority - lowest < policy.gap or failed.bit_count() >= _CLASSES:
                return
            if request.asked.bit & failed or self._lab.charging.over_least(request):
                continue
            keeper = planner.keepers.get(request.id)
            kept = sorted(keeper.names) if keeper else ()
            placement, gone = prospect.place(request, kept), tuple[Running, ...]()
            if not placement.is_whole and request.priority != BOOKED:
                gone = victims(request, running, prospect, policy.gap, kept)
                placement = prospect.place(request, kept, gone)
            if not placement.is_whole:
                failed |= request.asked.bit
            elif not planner.over_quota(request, placement.placed):
                prospect.take(placement, gone)
                running = [each for each in running if each not in gone]
                yield from ((request.id, each.id) for each in gone)

    def _running(self) -> list[Running]:
        """Return those who may be told to give way."""
        granted = (self._view.allocations[each] for each in self._lab.granted)
        return [
            Running(each.id, self._lab.priority(each), each.since_ms, self._uses(each.holds))
            for each in granted
            if not each.preempt_ms and not each.book_until_ms
        ]

    def _soon(self) -> Sequence[Use]:
        """Return what is being cleaned, or given up by those who give way."""
        holds = self._view.holds.values()
        cleaned = [each.id for each in holds if each.state is HoldState.CLEANING]
        given = [self._view.allocations[each].holds for each in self._lab.giving_way]
        return self._uses(dict.fromkeys(itertools.chain(cleaned, *given)))

    def _uses(self, hold_ids: Iterable[str]) -> tuple[Use, ...]:
        holds = (self._view.holds.get(each) for each in hold_ids)
        return tuple(
            (hold.resource, Share(hold.cpus, hold.memory, hold.gpus)) for hold in holds if hold
        )
