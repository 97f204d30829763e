"""Has resources looked after on which holds fail that do not fail elsewhere.

Any number of replicas may find the same: the script that commits it takes it once.
"""

import asyncio
import functools
import logging

from hwprovisioner.allocate.outcomes import Outcome, Outcomes
from hwprovisioner.allocate.suspicion import why_suspect
from hwprovisioner.state.errors import NoSuchResource, StateUnavailable, WrongState
from hwprovisioner.state.model import Hold, Resource
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import Health, HoldState
from hwprovisioner.state.upkeep import Upkeep
from hwprovisioner.state.view import Change, View

_log = logging.getLogger(__name__)

_RETRY_S = 1.0


class Suspecting:
    """Follows a view; what ends while Redis is read may count twice, and ages like all else."""

    def __init__(self, view: View, reader: Reader, upkeep: Upkeep) -> None:
        """Begin to follow `view`."""
        self._view = view
        self._reader = reader
        self._upkeep = upkeep
        self._outcomes = Outcomes()
        self._is_new = False
        self._doubtful: dict[str, None] = {}
        self._news = asyncio.Event()
        view.listen(self._note)

    async def watch(self) -> None:
        """Suspect what is suspicious as soon as it is, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._look()
            except StateUnavailable as error:
                _log.warning("nothing is suspected for now: %s", error)
                await asyncio.sleep(_RETRY_S)
                self._news.set()

    async def _look(self) -> None:
        if self._is_new:
            self._is_new = False
            try:
                words = await self._reader.outcomes(self._view.resources)
            except StateUnavailable:
                self._is_new = True
                raise
            self._outcomes.load(words)
            self._doubtful |= dict.fromkeys(words)
        while self._doubtful:
            name = next(iter(self._doubtful))
            del self._doubtful[name]
            try:
                await self._judge(name)
            except StateUnavailable:
                self._doubtful[name] = None
                raise

    async def _judge(self, name: str) -> None:
        resource = self._view.resources.get(name)
        if resource is None or resource.health is not Health.HEALTHY:
            return
        elsewhere = functools.partial(self._outcomes.elsewhere, name)
        why = why_suspect(self._outcomes.of(name), elsewhere)
        if why:
            _log.warning("resource %s is suspected: %s", name, why)
            try:
                await self._upkeep.suspect(resource, why)
            except (NoSuchResource, WrongState) as error:
                _log.info("not suspected after all: %s", error)

    def _note(self, change: Change | None) -> None:
        if change is None:
            self._is_new = True
            self._news.set()
            return
        for (_, record_id), changed in change.records.items():
            match changed.before, changed.after:
                case Hold() as before, Hold() as after:
                    self._note_hold(before, after)
                case Resource() as known, Resource() | None as resource:
                    if resource is None or _is_well_again(known, resource):
                        self._outcomes.forget(record_id)

    def _note_hold(self, before: Hold, after: Hold) -> None:
        """Note how a hold ends, as `include/outcomes.lua` does."""
        ends = after.state is HoldState.CLEANING and before.state is not HoldState.CLEANING
        counts = before.state is HoldState.READY or (
            after.failed and before.state is HoldState.PREPARING
        )
        allocation = self._view.allocations.get(after.allocation)
        if not ends or not counts or allocation is None:
            return
        outcome = Outcome.of(allocation.user, allocation.class_id, failed=after.failed)
        self._outcomes.note(after.resource, outcome)
        if after.failed:
            self._doubtful[after.resource] = None
            self._news.set()


def _is_well_again(before: Resource, after: Resource) -> bool:
    return after.health is Health.HEALTHY and before.health is not Health.HEALTHY
