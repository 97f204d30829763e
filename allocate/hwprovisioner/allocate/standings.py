"""From the records of a resource to what planning sees of it."""

import dataclasses
from collections.abc import Mapping

from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.room import Room
from hwprovisioner.allocate.specs import stored_spec
from hwprovisioner.state.model import Hold, Manager, Resource
from hwprovisioner.state.tables import Admin, Health, Presence

NOT_YET = "its manager has not volunteered it yet"
_KEPT = 100_000
_Key = tuple[str, int, int, int, tuple[int, ...], str, bool]


class Standings:
    """Makes standings; equal ones are one object, however many resources stand so."""

    def __init__(self, managers: Mapping[str, Manager]) -> None:
        """Look managers up in `managers`."""
        self._managers = managers
        self._made: dict[_Key, Standing] = {}

    def of(self, resource: Resource) -> Standing:
        """Return how a resource stands."""
        closed, can_open = closure(resource, self._managers.get(resource.manager))
        key = (
            resource.spec,
            resource.slots - resource.used_slots,
            resource.cpus - resource.used_cpus,
            resource.memory - resource.used_memory,
            resource.used_gpus,
            closed,
            can_open,
        )
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            made = self._made[key] = Standing(_room(*key[:5]), closed, can_open)
        return made


def _room(text: str, slots: int, cpus: int, memory: int, used_gpus: tuple[int, ...]) -> Room:
    spec = stored_spec(text)
    cards = frozenset(range(len(spec.gpus))).difference(used_gpus)
    return Room(spec, slots, cpus, memory, cards)


def closure(resource: Resource, manager: Manager | None) -> tuple[str, bool]:
    """Say why nothing of a resource can be granted now, and whether that can pass by itself.

    The script that commits grants checks the same (``include/room.lua``).
    """
    presence = manager.presence if manager else Presence.LOST
    if presence is not Presence.ONLINE:
        return f"its manager {resource.manager} is {presence.lower()}", False
    if resource.removed:
        return "removed by its manager", False
    if manager is None or resource.epoch != manager.epoch:
        return f"withdrawn: {NOT_YET}", False
    if not resource.volunteered:
        return f"withdrawn{_because(resource.withdrawn_reason)}", False
    if resource.health is not Health.HEALTHY:
        return f"{resource.health.lower()}{_because(resource.health_reason)}", False
    if resource.admin is not Admin.ENABLED:
        return f"{resource.admin.lower()}{_because(resource.admin_reason)}", False
    if resource.rest_until:
        return f"declined by its manager{_because(resource.rest_reason)}", True
    return "", True


def without(resource: Resource, hold: Hold) -> Resource:
    """Return a resource as it is once one of its holds is over, as `free_hold` makes it."""
    return dataclasses.replace(
        resource,
        holds=tuple(each for each in resource.holds if each != hold.id),
        used_slots=resource.used_slots - 1,
        used_cpus=resource.used_cpus - hold.cpus,
        used_memory=resource.used_memory - hold.memory,
        used_gpus=tuple(card for card in resource.used_gpus if card not in hold.gpus),
    )


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
