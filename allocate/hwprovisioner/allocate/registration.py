"""Registering a manager: its inventory is described."""

import asyncio
from collections.abc import Mapping

from hwprovisioner.allocate.belongings import Belongings
from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.reconciling import MAX_AMOUNT, check_holds
from hwprovisioner.allocate.specs import MAX_INSTANCES, check_spec, spec_text, stored_spec
from hwprovisioner.allocate.standings import NOT_YET
from hwprovisioner.allocate.violations import MAX_WORD, Violations, shown
from hwprovisioner.state.managers import Managers, Speaker
from hwprovisioner.state.view import View
from hwprovisioner.v1 import manager_stream_pb2, resource_pb2

_REMOVED = "no longer in its manager's inventory"


class Registrar:
    """Registers managers."""

    def __init__(
        self, view: View, belongings: Belongings, freshness: Freshness, managers: Managers
    ) -> None:
        """Register them in the lab of `view`."""
        self._view = view
        self._belongings = belongings
        self._freshness = freshness
        self._managers = managers

    async def check(self, register: manager_stream_pb2.Register) -> None:
        """Refuse a registration with anything wrong in it."""
        # Nor may names and registrations of a lab that Redis has lost since count against it.
        await self._freshness.catch_up()
        violations = Violations()
        violations.name("register.manager_id", register.manager_id)
        violations.text("register.version", register.version, MAX_WORD)
        violations.text("register.journal_id", register.journal_id, MAX_WORD)
        violations.few("register.inventory", register.inventory, MAX_INSTANCES, "resources")
        _check_fences(register.fences, violations)
        check_holds(register, violations)
        violations.check()
        names = set[str]()
        for index, spec in enumerate(register.inventory):
            field = f"register.inventory[{index}]"
            check_spec(field, spec, violations)
            if spec.name in names:
                violations.add(f"{field}.name", f"{shown(spec.name)} is there twice")
            names.add(spec.name)
            self._check_taken(field, spec.name, register.manager_id, violations)
        violations.check()

    async def register(self, register: manager_stream_pb2.Register) -> Speaker:
        """Register a manager that was checked."""
        who, journal = register.manager_id, register.journal_id
        return await self._managers.register(who, register.version, journal)

    async def take_inventory(self, who: Speaker, register: manager_stream_pb2.Register) -> None:
        """Describe all that a manager represents, and nothing else; nothing is volunteered yet."""
        # What the view lacks is taken for gone, so it must have what other replicas did before.
        await self._freshness.catch_up()
        described = {spec.name for spec in register.inventory}
        gone = [name for name in self._belongings.names(who.manager_id) if name not in described]
        await asyncio.gather(
            *(
                self.describe(
                    who, spec, volunteered=False, seen_fence=register.fences.get(spec.name, 0)
                )
                for spec in register.inventory
            ),
            *(self._managers.withdraw(who, name, _REMOVED, removed=True) for name in gone),
        )

    async def describe(
        self,
        who: Speaker,
        spec: resource_pb2.ResourceSpec,
        *,
        volunteered: bool,
        seen_fence: int,
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
            why_not="" if volunteered else NOT_YET,
            slots=stored_spec(text).slots,
            cpus=spec.cpus,
            memory=spec.memory_bytes,
            warnings=warnings,
            seen_fence=seen_fence,
            present_manager=known.manager if known else "",
        )

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


def _check_fences(fences: Mapping[str, int], violations: Violations) -> None:
    """Note what is wrong with the fences that a manager has seen, by resource."""
    for name, fence in fences.items():
        violations.number(f"register.fences[{shown(name)}]", fence, 0, MAX_AMOUNT)
