"""What people, managers and the lab itself say of resources: in service or not, well or not."""

from collections.abc import Sequence

from hwprovisioner.state import errors
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Resource
from hwprovisioner.state.tables import Health, HealthEvent
from hwprovisioner.state.transitions import Core, Reply, unexpected

AT_ONCE = 0
"""The deadline of a drain that ends at once what holds the resource."""

_EVENTS = {
    Health.HEALTHY: HealthEvent.CLEAR,
    Health.SUSPECT: HealthEvent.SUSPECT,
    Health.QUARANTINED: HealthEvent.QUARANTINE,
}


class Upkeep(Core):
    """What is said of resources.

    Draining and enabling need the ids of all allocations that hold the resource, as the caller
    knows it. They return the revision, or None if others may hold it by now: look again.
    """

    async def drain(
        self,
        resource: Resource,
        why: str,
        operator: str,
        allocations: Sequence[str],
        *,
        deadline_ms: int | None = None,
        now_ms: int | None = None,
    ) -> int | None:
        """Take a resource out of service.

        What holds it stays until `deadline_ms` (since the epoch), for ever if that is None; then
        `Due.REVOKE` is due for each allocation. What was said last counts.

        Raises:
            NoSuchResource: there is none of that name.
        """
        until = "" if deadline_ms is None else deadline_ms
        keys = (self.keys.resource(resource.name), *map(self.keys.allocation, allocations))
        args = (resource.name, why, operator, until, resource.fence, *allocations)
        return _done("drain", await self.change("drain", keys, args, now_ms), resource.name)

    async def enable(
        self,
        resource: Resource,
        why: str,
        operator: str,
        allocations: Sequence[str],
        *,
        now_ms: int | None = None,
    ) -> int | None:
        """Put a resource back into service; one that is not healthy is to be looked after, `why`.

        Raises:
            NoSuchResource: there is none of that name.
        """
        keys = (self.keys.resource(resource.name), *map(self.keys.allocation, allocations))
        args = (resource.name, operator, why, resource.fence, *allocations)
        return _done("enable", await self.change("enable", keys, args, now_ms), resource.name)

    async def quarantine(
        self, resource: Resource, why: str, operator: str, *, now_ms: int | None = None
    ) -> int | None:
        """Lend a resource no more until a person enables it. Returns the revision.

        Raises:
            NoSuchResource: there is none of that name.
        """
        said = ("operator", operator, "", "")
        event = HealthEvent.QUARANTINE
        return await self._judge(resource.name, resource.manager, event, why, said, now_ms)

    async def say_health(
        self,
        who: Speaker,
        name: str,
        health: Health,
        why: str,
        look: int,
        *,
        now_ms: int | None = None,
    ) -> None:
        """Note what a manager's checks and repairs have made of one of its resources.

        If it was looked after again since, by the number of the newest `look` that the manager
        knows, that it is well changes nothing, and that it is not has it looked after anew.

        Raises:
            NoSuchResource: it has none of that name.
            WrongState: it is quarantined, which only a person lifts.
        """
        said = ("manager", who.manager_id, who.epoch, look)
        await self._judge(name, who.manager_id, _EVENTS[health], why, said, now_ms)

    async def suspect(self, resource: Resource, why: str, *, now_ms: int | None = None) -> None:
        """Have a resource looked after before it is lent again, unless it was since the caller saw.

        Raises:
            NoSuchResource: there is none of that name.
            WrongState: it is quarantined.
        """
        said = ("lab", "", "", resource.looks)
        event = HealthEvent.SUSPECT
        await self._judge(resource.name, resource.manager, event, why, said, now_ms)

    async def _judge(
        self,
        name: str,
        manager_id: str,
        event: HealthEvent,
        why: str,
        said: tuple[object, ...],
        now_ms: int | None,
    ) -> int | None:
        keys = (self.keys.resource(name), self.keys.manager(manager_id))
        reply = await self.change("judge", keys, (name, event, why, *said), now_ms)
        match reply:
            case ["SUPERSEDED"]:
                raise errors.Superseded(manager_id)
            case ["FORGOTTEN"]:
                raise errors.Forgotten(manager_id)
            case ["SAME"]:
                return None
        return _done(event, reply, name)


def _done(event: str, reply: Reply, name: str) -> int | None:
    match reply:
        case ["DRAINED" | "ENABLED" | "JUDGED", int(revision), *_]:
            return revision
        case ["STALE_FENCE", _]:
            return None
        case ["NO_SUCH_RESOURCE"]:
            raise errors.NoSuchResource(name)
        case ["WRONG_STATE", state]:
            raise errors.WrongState(f"resource {name!r}", str(state), event)
    raise unexpected(event, reply)
