"""Carrying plans out: one elected replica grants, the others stand by.

The scheduler sleeps until something changes, decides what that leads to (`planning/planner.py`, fed
by `lab.py`), and commits the grants, each with a script that checks everything again. What is
refused there is planned again. Where nobody waits it decides before a request is queued, and where
somebody does before what a hold had is free, so that both scripts go to Redis together. Two
replicas that think themselves elected are harmless: what they commit carries the epoch of their
election.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

from hwprovisioner.allocate.giving_way import GivingWay
from hwprovisioner.allocate.homecoming import Homecoming
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.rebooking import Rebooking
from hwprovisioner.allocate.tolerating import Tolerating
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.care import Care
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.grants import GrantRefused, PlannedHold
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.tables import EndReason
from hwprovisioner.state.transitions import Deposed
from hwprovisioner.state.view import Change, View

_log = logging.getLogger(__name__)

ELECTION_MS = 3000
"""How long an election lasts; it is prolonged three times as often."""
_RETRY_S = 0.2

_Planned: TypeAlias = tuple[Grant, list[PlannedHold]]


class Scheduler:
    """Grants queued requests while it is elected."""

    def __init__(
        self,
        replica: str,
        view: View,
        lab: Lab,
        allocations: Allocations,
        care: Care,
    ) -> None:
        """Stand by as `replica`; `lab` follows `view`."""
        self._replica = replica
        self._view = view
        self._lab = lab
        self._allocations = allocations
        self._giving_way = GivingWay(view, lab, allocations, self.wake)
        self._tolerating = Tolerating(view, lab)
        self._rebooking = Rebooking(view, lab, allocations, self.wake)
        self._care = care
        self._homecoming = Homecoming(view, self.wake)
        self._wake = asyncio.Event()
        self._is_granting = asyncio.Lock()
        self._ahead: asyncio.Task[None] | None = None
        self._epoch: int | None = None
        self._planned_version = -1
        view.listen(self._note)

    @property
    def elected(self) -> bool:
        """Whether this replica schedules, as far as it knows."""
        return self._epoch is not None

    async def stand_for_election(self) -> None:
        """Be elected whenever nobody else is, and stay so, until cancelled; then resign."""
        try:
            while True:
                pause_s = await self._elect()
                await asyncio.sleep(pause_s)
        finally:
            await self._resign()

    async def schedule(self) -> None:
        """Plan and grant whenever something has changed, while elected, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._until_carried_out()
            if self._epoch is not None and not self._homecoming.waits():
                await self._granting(partial(self._look, self._epoch))

    def grant_ahead(self, allocation: Allocation) -> None:
        """Grant a request that is about to be queued, if nobody else waits or is being granted.

        To be called right before the script is sent that queues it: the one that grants it follows
        at once. Should it not be queued after all, nothing is granted.
        """
        if self._epoch is not None and not self._is_busy():
            grant = self._lab.decide_ahead(allocation)
            self._carry_out_ahead(self._epoch, [grant] if grant else [])

    def grant_behind(self, hold: Hold) -> None:
        """Grant what a hold has that is about to be over, as `grant_ahead` does."""
        if self._epoch is not None and not self._is_busy():
            self._carry_out_ahead(self._epoch, self._lab.decide_behind(hold))

    def _is_busy(self) -> bool:
        is_ahead = self._ahead is not None and not self._ahead.done()
        return self._is_granting.locked() or is_ahead or self._homecoming.waits()

    def _carry_out_ahead(self, epoch: int, grants: Sequence[Grant]) -> None:
        if grants:
            carry_out = partial(self._carry_out, epoch, self._planned(grants))
            self._ahead = asyncio.create_task(self._granting(carry_out), name="grant ahead")

    async def _until_carried_out(self) -> None:
        """Wait for what was decided ahead: whose turn was first is granted first."""
        while self._ahead is not None and not self._ahead.done():
            await asyncio.wait([self._ahead])

    def wake(self) -> None:
        """Look again, whether or not something has changed."""
        self._planned_version = -1
        self._wake.set()

    async def _elect(self) -> float:
        """Return after how many seconds to try again."""
        try:
            election = await self._care.elect(self._replica, ELECTION_MS)
        except StateUnavailable:
            # Grants will be refused if another is elected meanwhile, so there is no need to step
            # down.
            return _RETRY_S
        if election.epoch != self._epoch:
            _log.info(
                "scheduler: %s", f"epoch {election.epoch}" if election.epoch else "standing by"
            )
            self._step_down()
            self._epoch = election.epoch
            self.wake()
        if election.epoch is not None:
            return ELECTION_MS / 3000
        # Who is elected may resign before its time is over.
        pause_ms = min(election.left_ms, ELECTION_MS / 3)
        return pause_ms / 1000 + random.uniform(0, 0.05)  # noqa: S311  # spread, not secrecy

    def _step_down(self) -> None:
        if self._epoch is not None:
            self._epoch = None
            # It may have decided what was never carried out.
            self._lab.follow(None)

    async def _resign(self) -> None:
        if self._epoch is not None:
            self._epoch = None
            try:
                await self._care.elect(self._replica, 0)
            except StateUnavailable as error:
                _log.warning("could not resign as scheduler, another follows in 3 s: %s", error)

    def _note(self, change: Change | None) -> None:
        if change is None or self._lab.version != self._planned_version:
            self._wake.set()

    async def _granting(self, grant: Callable[[], Awaitable[None]]) -> None:
        """Do what grants while nothing else does; what cannot be done now is done later."""
        try:
            async with self._is_granting:
                await grant()
        except Deposed:
            _log.info("scheduler: deposed")
            self._step_down()
        except StateUnavailable as error:
            _log.warning("scheduling waits: %s", error)
            await asyncio.sleep(_RETRY_S)
            self.wake()

    async def _look(self, epoch: int) -> None:
        await self._prune()
        self._planned_version = self._lab.version
        if grants := [*self._lab.decide(), *self._tolerating.decide()]:
            await self._carry_out(epoch, self._planned(grants))
        await self._rebooking.look(epoch)
        await self._giving_way.look(epoch)

    def _planned(self, grants: Iterable[Grant]) -> list[_Planned]:
        """Return grants with their holds.

        To be called before anything is awaited: they follow from the very lab that was planned
        with.
        """
        taken: dict[str, int] = {}
        return [(grant, self._holds(grant, taken)) for grant in grants]

    async def _carry_out(self, epoch: int, planned: Sequence[_Planned]) -> None:
        # They are sent in one go, and carried out in this order: later ones may build on earlier
        # ones.
        outcomes = await _outcomes([self._commit(*each, epoch) for each in planned])
        for (grant, _), outcome in zip(planned, outcomes, strict=True):
            if outcome is not True:
                self._lab.take_back(grant)
        if failure := next((each for each in outcomes if isinstance(each, BaseException)), None):
            raise failure
        if not all(outcomes):
            self.wake()

    def _holds(self, grant: Grant, taken: dict[str, int]) -> list[PlannedHold]:
        """Return the holds of a grant; `taken` counts those of this pass by resource."""
        holds = []
        for host, placed in grant.hosts.items():
            resource = self._view.resources[placed.resource]
            nth = taken[resource.name] = taken.get(resource.name, 0) + 1
            holds.append(
                PlannedHold(
                    host=host,
                    resource=resource.name,
                    manager=resource.manager,
                    generation=resource.generation,
                    fence=resource.fence + nth,
                    cpus=placed.share.cpus,
                    memory=placed.share.memory,
                    gpus=placed.share.gpus,
                    booked=resource.booked,
                )
            )
        return holds

    async def _commit(self, grant: Grant, holds: list[PlannedHold], epoch: int) -> bool:
        """Commit a grant. Returns whether the plan still fitted."""
        try:
            await self._allocations.grant(grant.request, holds, epoch=epoch)
        except GrantRefused as refused:
            _log.info("grant of %s refused, planning again: %s", grant.request, refused)
            return False
        return True

    async def _prune(self) -> None:
        """End queued requests that nothing registered can satisfy any longer."""
        for allocation in self._lab.impossible():
            await self._end_impossible(allocation)

    async def _end_impossible(self, allocation: Allocation) -> None:
        if allocation.tries:
            reason, detail = EndReason.PREPARE_FAILED, allocation.last_failure
        else:
            reason = EndReason.UNSATISFIABLE
            detail = "what could have satisfied it is no longer registered"
        await self._allocations.end(allocation.id, (), reason, detail)


async def _outcomes(
    attempts: Sequence[Coroutine[Any, Any, bool]],
) -> Sequence[bool | BaseException]:
    """Return what became of all attempts.

    A single one begins at once, not with the next turn of the loop as all together: what queues a
    request and what grants it are written in one go, and on the disk in one.
    """
    if len(attempts) > 1:
        outcomes: list[bool | BaseException] = await asyncio.gather(
            *attempts, return_exceptions=True
        )
        return outcomes
    try:
        return [await attempts[0]]
    except Exception as error:
        return [error]
