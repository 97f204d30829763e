"""What the elected scheduler gives to allocations, and takes back for others."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwprovisioner.state.keys import Kind
from hwprovisioner.state.transitions import Core, Deposed, unexpected


@dataclass(frozen=True, slots=True)
class PlannedHold:
    """What a grant gives to one host."""

    host: str
    resource: str
    manager: str
    generation: int
    """Of the resource's description that this was planned with."""
    fence: int
    """Of the new hold: one more than the resource's."""
    cpus: int
    memory: int
    gpus: tuple[int, ...]
    booked: tuple[str, ...] = ()
    """Who has booked the resource, as this was planned with."""


class GrantRefused(Exception):
    """A grant does not fit the state any longer: plan again."""


class Grants(Core):
    """What the elected scheduler does; all of it carries the epoch of its election."""

    async def grant(
        self,
        allocation_id: str,
        holds: Sequence[PlannedHold],
        *,
        epoch: int,
        now_ms: int | None = None,
    ) -> int:
        """Grant a queued allocation all its hosts, or nothing. Returns the revision.

        Raises:
            GrantRefused: the state has changed since it was planned.
            Deposed: another scheduler has been elected since `epoch`.
        """
        keys = self.keys
        args: list[object] = [epoch, allocation_id, self.limits.offer_ms]
        record_keys = [keys.scheduler, keys.index(Kind.HOLD), keys.waits, keys.looked]
        record_keys.append(keys.allocation(allocation_id))
        for hold in holds:
            record_keys += [
                keys.resource(hold.resource),
                keys.manager(hold.manager),
                keys.hold(f"{hold.resource}.{hold.fence}"),
            ]
            args += [hold.host, hold.resource, hold.generation, hold.fence]
            args += [hold.cpus, hold.memory, ",".join(map(str, hold.gpus)), ",".join(hold.booked)]
        reply = await self.change("grant", record_keys, args, now_ms)
        match reply:
            case ["GRANTED", int(revision), *_]:
                return revision
            case ["DEPOSED"]:
                raise Deposed
            case ["NOT_QUEUED", *state]:
                raise GrantRefused(f"{allocation_id} is {state or 'gone'}")
            case ["REFUSED", str(resource), str(why)]:
                raise GrantRefused(f"{resource}: {why}")
        raise unexpected("grant", reply)

    async def preempt(
        self,
        allocation_id: str,
        for_id: str,
        *,
        grace_ms: int,
        epoch: int,
        now_ms: int | None = None,
    ) -> int | None:
        """Tell a holder that its allocation gives way to `for_id` in `grace_ms`, once.

        Its heartbeats say so; it ends when `Due.PREEMPT` does.

        Returns:
            The revision, or None if it gives way already, or has no hosts.

        Raises:
            Deposed: another scheduler has been elected since `epoch`.
        """
        keys = (self.keys.scheduler, self.keys.allocation(allocation_id))
        args = (epoch, allocation_id, for_id, grace_ms)
        reply = await self.change("preempt", keys, args, now_ms)
        match reply:
            case ["WARNED", int(revision), *_]:
                return revision
            case ["SAME"] | ["WRONG_STATE", _]:
                return None
            case ["DEPOSED"]:
                raise Deposed
        raise unexpected("preempt", reply)

    async def spare(
        self, allocation_id: str, *, epoch: int, now_ms: int | None = None
    ) -> int | None:
        """Take back that an allocation gives way to another.

        Returns:
            The revision, or None if it did not give way, or has ended.

        Raises:
            Deposed: another scheduler has been elected since `epoch`.
        """
        keys = (self.keys.scheduler, self.keys.allocation(allocation_id))
        reply = await self.change("spare", keys, (epoch, allocation_id), now_ms)
        match reply:
            case ["SPARED", int(revision), *_]:
                return revision
            case ["SAME"]:
                return None
            case ["DEPOSED"]:
                raise Deposed
        raise unexpected("spare", reply)
