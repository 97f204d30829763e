"""Registering a manager: its inventory is described, and both sides' holds are reconciled."""

import asyncio
import contextlib
import re

from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.specs import MAX_INSTANCES, check_spec, spec_text, stored_spec
from hwprovisioner.allocate.violations import MAX_WORD, Violations, shown
from hwprovisioner.state.errors import NoSuchHold, StaleFence, WrongState
from hwprovisioner.state.holds import Holds
from hwprovisioner.state.managers import Managers, Speaker
from hwprovisioner.state.model import Hold
from hwprovisioner.state.tables import HoldState
from hwprovisioner.state.view import View
from hwprovisioner.v1 import manager_stream_pb2, resource_pb2

HOLD_ID = re.compile(r"[a-z0-9._-]{1,63}\.[0-9]{1,16}")
_NOT_YET = "its manager has not volunteered it yet"
_MAX_HOLDS = 20_000
_REMOVED = "no longer in its manager's inventory"


class Registrar:
    """Registers managers."""

    def __init__(self, view: View, freshness: Freshness, managers: Managers, holds: Holds) -> None:
        """Register them in the lab of `view`."""
        self._view = view
        self._freshness = freshness
        self._managers = managers
        self._holds = holds

    async def check(self, register: manager_stream_pb2.Register) -> None:
        """Refuse a registration with anything wrong in it."""
        # Nor may names and registrations of a lab that Redis has lost since count against it.
        await self._freshness.catch_up()
        violations = Violations()
        violations.name("register.manager_id", register.manager_id)
        violations.text("register.version", register.version, MAX_WORD)
        violations.few("register.inventory", register.inventory, MAX_INSTANCES, "resources")
        violations.few("register.holds", register.holds, _MAX_HOLDS, "holds")
        violations.check()
        names = set[str]()
        for index, spec in enumerate(register.inventory):
            field = f"register.inventory[{index}]"
            check_spec(field, spec, violations)
            if spec.name in names:
                violations.add(f"{field}.name", f"{shown(spec.name)} is there twice")
            names.add(spec.name)
            self._check_taken(field, spec.name, register.manager_id, violations)
        for index, held in enumerate(register.holds):
            violations.name(f"register.holds[{index}].hold.hold_id", held.hold.hold_id, HOLD_ID)
        violations.check()

    async def register(self, register: manager_stream_pb2.Register) -> Speaker:
        """Register a manager that was checked."""
        return await self._managers.register(register.manager_id, register.version)

    async def take_inventory(self, who: Speaker, register: manager_stream_pb2.Register) -> None:
        """Describe all that a manager represents, and nothing else; nothing is volunteered yet."""
        # What the view lacks is taken for gone, so it must have what other replicas did before.
        await self._freshness.catch_up()
        described = {spec.name for spec in register.inventory}
        gone = [
            resource.name
            for resource in self._view.resources.values()
            if resource.manager == who.manager_id and resource.name not in described
        ]
        await asyncio.gather(
            *(self.describe(who, spec, volunteered=False) for spec in register.inventory),
            *(self._managers.withdraw(who, name, _REMOVED, removed=True) for name in gone),
        )

    async def describe(
        self,
        who: Speaker,
        spec: resource_pb2.ResourceSpec,
        *,
        volunteered: bool,
        warnings: str = "",
    ) -> None:
        """Describe a resource that was checked; empty `warnings` leave those that are known."""
        text = spec_text(spec)
        known = self._view.resources.get(spec.name)
        await self._managers.describe(
            who,
            spec.name,
            text,
            volunteered=volunteered,
            why_not="" if volunteered else _NOT_YET,
            slots=stored_spec(text).slots,
            cpus=spec.cpus,
            memory=spec.memory_bytes,
            warnings=warnings,
            present_manager=known.manager if known else "",
        )

    async def reconcile(self, who: Speaker, register: manager_stream_pb2.Register) -> list[str]:
        """Bring the manager's holds and the lab's together.

        What the lab thinks the manager is working on and the manager does not know was lost by it,
        and fails.

        Returns:
            The ids of the manager's holds that the lab does not know as its own.
        """
        named = {held.hold.hold_id for held in register.holds}
        theirs = {h.id: h for h in self._view.holds.values() if h.manager == who.manager_id}
        for hold in theirs.values():
            if hold.id not in named and hold.state in (HoldState.PREPARING, HoldState.READY):
                await self._fail_lost(who, hold)
        return sorted(named - theirs.keys())

    async def _fail_lost(self, who: Speaker, hold: Hold) -> None:
        siblings = self._view.holds_of(hold.allocation)
        why = f"its manager {who.manager_id} came back without it"
        # What has ended meanwhile is released as any other.
        with contextlib.suppress(StaleFence, WrongState, NoSuchHold):
            await self._holds.fail(who, hold, hold.fence, siblings, why)

    def _check_taken(self, field: str, name: str, manager_id: str, violations: Violations) -> None:
        known = self._view.resources.get(name)
        if known is None or known.manager == manager_id:
            return
        other = self._view.managers.get(known.manager)
        if other is not None and (other.presence != "LOST" or known.holds):
            violations.add(
                f"{field}.name",
                f"{shown(name)} is taken by manager {known.manager}: names are unique in a lab",
            )
