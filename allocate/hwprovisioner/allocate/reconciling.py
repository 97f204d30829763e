"""Bringing the holds that a manager has in hand and those that the lab has together.

They differ when a stream broke before something was told, when the manager lost its journal or is
another of the same id, and when Redis lost what it had acknowledged (`state/recognition.py`). What
another journal may know is taken for begun, so it is cleaned. In the last case it is the manager
that knows better: what was granted, what has ended, what is clean. All of it is settled
before its resources are lent again, since nothing counts as volunteered until then.
"""

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from hwprovisioner.allocate.belongings import Belongings
from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.set_demands import stored_set
from hwprovisioner.allocate.specs import MAX_CARDS
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.errors import NoSuchHold, StaleFence, WrongState
from hwprovisioner.state.holds import HeldHost, Holds
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.tables import AllocationState, EndReason, HoldState
from hwprovisioner.state.view import View
from hwprovisioner.v1 import resource_pb2
from hwprovisioner.v1.manager_stream_pb2 import HeldHold, Register

HOLD_ID = re.compile(r"[a-z0-9._-]{1,63}\.[0-9]{1,16}")
MAX_AMOUNT = 2**53
_MAX_HOLDS = 20_000
_MAX_CLEANED = 1_000
_LOST = "the lab's Redis has lost its last changes"
_READY = resource_pb2.HOLD_STATE_READY
_CLEANING = resource_pb2.HOLD_STATE_CLEANING


def check_holds(register: Register, violations: Violations) -> None:
    """Note what is wrong with what a manager says to have in hand."""
    violations.few("register.holds", register.holds, _MAX_HOLDS, "holds")
    violations.few("register.cleaned", register.cleaned, _MAX_CLEANED, "holds")
    for index, held in enumerate(register.holds):
        field = f"register.holds[{index}]"
        violations.name(f"{field}.hold.hold_id", held.hold.hold_id, HOLD_ID)
        violations.number(f"{field}.share.cpus", held.share.cpus, 0, MAX_AMOUNT)
        violations.number(f"{field}.share.memory_bytes", held.share.memory_bytes, 0, MAX_AMOUNT)
        cards = set(held.share.gpus)
        if len(cards) < len(held.share.gpus) or not cards <= set(range(MAX_CARDS)):
            violations.add(f"{field}.share.gpus", f"must be different places below {MAX_CARDS}")
    for index, ref in enumerate(register.cleaned):
        violations.name(f"register.cleaned[{index}].hold_id", ref.hold_id, HOLD_ID)


class Reconciler:
    """Settles what either side knows of the holds of a manager that has just registered."""

    def __init__(
        self,
        view: View,
        belongings: Belongings,
        freshness: Freshness,
        allocations: Allocations,
        holds: Holds,
    ) -> None:
        """Settle it in the lab of `view`."""
        self._view = view
        self._belongings = belongings
        self._freshness = freshness
        self._allocations = allocations
        self._holds = holds

    async def reconcile(self, who: Speaker, register: Register) -> list[str]:
        """Bring the manager's holds and the lab's together.

        Returns:
            The ids of the manager's holds that the lab does not know as its own: to be cleaned.
        """
        theirs = {hold.id: hold for hold in self._belongings.holds(who.manager_id)}
        told = {held.hold.hold_id: held for held in register.holds}
        cleaned = {ref.hold_id for ref in register.cleaned} - told.keys()
        for hold in theirs.values():
            await self._compare(who, hold, told.get(hold.id), is_clean=hold.id in cleaned)
        await self._say_cleaned(who, cleaned & theirs.keys())
        unknown = set(told) - set(theirs)
        lost = [told[hold_id] for hold_id in unknown if self._may_be_lost(who, hold_id)]
        for allocation_id, held in _by_allocation(lost).items():
            allocation = self._view.allocations.get(allocation_id)
            if allocation is not None and await self._take_back(who, allocation, held):
                unknown.difference_update(each.hold.hold_id for each in held)
        return sorted(unknown)

    def _may_be_lost(self, who: Speaker, hold_id: str) -> bool:
        """Say whether Redis may have lost a hold that a manager has: it is of its own resource."""
        resource = self._view.resources.get(hold_id.rpartition(".")[0])
        is_its = resource is not None and resource.manager == who.manager_id
        return is_its and hold_id not in self._view.holds

    async def _compare(
        self, who: Speaker, hold: Hold, held: HeldHold | None, *, is_clean: bool
    ) -> None:
        """Take over what the manager knows of a hold that the lab has as well."""
        if hold.state is HoldState.CLEANING:
            return
        if is_clean or (held is not None and held.state == _CLEANING):
            await self._end(who, hold)
        elif held is None and not self._is_still_offered(who, hold):
            await self._accept(who, hold)
            await self._fail(who, hold, f"its manager {who.manager_id} came back without it")
        elif held is not None:
            await self._accept(who, hold)

    def _is_still_offered(self, who: Speaker, hold: Hold) -> bool:
        """Say whether nothing was begun of a hold that its manager's journal does not have.

        If it was offered to whoever had another journal, nobody knows whether it was taken up.
        """
        manager = self._view.managers[who.manager_id]
        return hold.state is HoldState.OFFERED and not manager.may_lack(hold)

    async def _accept(self, who: Speaker, hold: Hold) -> None:
        if hold.state is HoldState.OFFERED:
            with _overtaken():
                await self._holds.accept(who, hold.id, hold.fence)

    async def _end(self, who: Speaker, hold: Hold) -> None:
        """End a hold again whose end was lost; nobody knows how it came to it."""
        why = f"{_LOST}: manager {who.manager_id} had been told that hold {hold.id} has ended"
        allocation = self._view.allocations.get(hold.allocation)
        if allocation is not None and allocation.state is AllocationState.READY:
            reason = EndReason.RESOURCE_LOST
            await self._allocations.end(allocation.id, allocation.holds, reason, why)
        else:
            await self._fail(who, hold, why)

    async def _fail(self, who: Speaker, hold: Hold, why: str) -> None:
        # What has ended meanwhile is released as any other.
        with _overtaken():
            siblings = self._view.holds_of(hold.allocation)
            await self._holds.fail(who, hold, hold.fence, siblings, why)

    async def _say_cleaned(self, who: Speaker, ids: Iterable[str]) -> None:
        """Free what the manager has cleaned, with the fences that the ends have by now."""
        if not ids:
            return
        await self._freshness.catch_up()
        for hold_id in ids:
            if (hold := self._view.holds.get(hold_id)) is not None:
                with _overtaken():
                    await self._holds.cleaned(who, hold_id, hold.fence)

    async def _take_back(
        self, who: Speaker, allocation: Allocation, held: Sequence[HeldHold]
    ) -> bool:
        """Give an allocation back what Redis has lost, if it is all of it, and say whether it was.

        If not, and its holder may be using it, the allocation ends: what it has is to be cleaned.
        """
        if allocation.state is AllocationState.ENDED:
            return False
        why = _obstacle(allocation, held)
        why = why or await self._holds.retake(who, allocation.id, [_host(each) for each in held])
        if why and any(each.state == _READY for each in held):
            detail = f"{_LOST}, and manager {who.manager_id} could not give it back: {why}"
            holds = self._view.holds_of(allocation.id)
            reason = EndReason.RESOURCE_LOST
            await self._allocations.end(allocation.id, holds, reason, detail)
        return not why


def _overtaken() -> contextlib.AbstractContextManager[None]:
    """Leave out what another replica has done meanwhile."""
    return contextlib.suppress(StaleFence, WrongState, NoSuchHold)


def _by_allocation(held: Iterable[HeldHold]) -> dict[str, list[HeldHold]]:
    found = defaultdict(list)
    for each in held:
        found[each.allocation_id].append(each)
    return found


def _obstacle(allocation: Allocation, held: Sequence[HeldHold]) -> str:
    """Return why these holds cannot be what an allocation was granted; empty if they may be."""
    for each in held:
        if each.state == _CLEANING:
            return f"{each.hold.hold_id} is being cleaned"
        if each.hold.hold_id.rpartition(".")[2] != str(each.hold.fence):
            return f"{each.hold.hold_id} has ended"
    has = sorted(each.host for each in held)
    if has != sorted(stored_set(allocation.demands).hosts):
        return f"it has not all of the hosts, only {', '.join(has)}"
    return ""


def _host(held: HeldHold) -> HeldHost:
    resource, _, fence = held.hold.hold_id.rpartition(".")
    share = held.share
    return HeldHost(
        held.host, resource, int(fence), share.cpus, share.memory_bytes, tuple(share.gpus)
    )
