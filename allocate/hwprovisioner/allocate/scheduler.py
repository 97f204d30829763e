"""Carrying plans out: one elected replica grants, the others stand by.

The scheduler sleeps until something changes, decides what that leads to (`planning/planner.py`, fed
by `lab.py`), and commits the grants, each with a script that checks everything again. What is
refused there is planned again. Two replicas that think themselves elected are harmless: what they
commit carries the epoch of their election.
"""

import asyncio
import logging
import random

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
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import EndReason
from hwprovisioner.state.transitions import Deposed
from hwprovisioner.state.view import Change, View

_log = logging.getLogger(__name__)

ELECTION_MS = 3000
"""How long an election lasts; it is prolonged three times as often."""
_RETRY_S = 0.2


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
            if self._epoch is None or self._homecoming.waits():
                continue
            try:
                await self._prune()
                await self._pass(self._epoch)
                await self._rebooking.look(self._epoch)
                await self._giving_way.look(self._epoch)
            except Deposed:
                _log.info("scheduler: deposed")
                self._epoch = None
            except StateUnavailable as error:
                _log.warning("scheduling waits: %s", error)
                await asyncio.sleep(_RETRY_S)
                self.wake()

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
            self._epoch = election.epoch
            # Whoever planned before may have decided what was never carried out.
            self._lab.follow(None)
            self.wake()
        if election.epoch is not None:
            return ELECTION_MS / 3000
        # Who is elected may resign before its time is over.
        pause_ms = min(election.left_ms, ELECTION_MS / 3)
        return pause_ms / 1000 + random.uniform(0, 0.05)  # noqa: S311  # spread, not secrecy

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

    async def _pass(self, epoch: int) -> None:
        self._planned_version = self._lab.version
        grants = [*self._lab.decide(), *self._tolerating.decide()]
        if not grants:
            return
        # All holds are worked out before anything is awaited, from the very lab that was planned
        # with. Then they are sent in one go, and carried out in this order: later ones may build on
        # earlier ones.
        taken: dict[str, int] = {}
        planned = [(grant, self._holds(grant, taken)) for grant in grants]
        attempts = [self._commit(grant, holds, epoch) for grant, holds in planned]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        for grant, outcome in zip(grants, outcomes, strict=True):
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
