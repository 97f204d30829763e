"""What happens to allocations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwprovisioner.state import errors
from hwprovisioner.state.keys import Due, Kind, sha256
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import EndReason
from hwprovisioner.state.transitions import Core, Reply, unexpected


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


class GrantRefused(Exception):
    """A grant does not fit the state any longer: plan again."""


class Deposed(Exception):
    """Another scheduler has been elected."""


class Allocations(Core):
    """What happens to allocations."""

    async def submit(
        self,
        allocation: Allocation,
        *,
        token: str,
        request_id: str,
        digest: str,
        now_ms: int | None = None,
    ) -> tuple[str, int | None]:
        """Queue a request, once for each request id.

        Returns:
            The allocation's id and the revision that queued it, or None if the id had come before.

        Raises:
            RequestIdReused: the request id came before with another digest.
        """
        keys = self.keys
        fields = {
            "demands": allocation.demands,
            "requestor": allocation.requestor,
            "user": allocation.user,
            "priority": allocation.priority,
            "max_ms": allocation.max_ms,
        }
        reply = await self.change(
            "submit",
            (
                keys.allocation(allocation.id),
                keys.alarm(allocation.id),
                keys.request(request_id),
                keys.index(Kind.ALLOCATION),
            ),
            (
                allocation.id,
                sha256(token),
                digest,
                allocation.ttl_ms,
                allocation.wait_ms,
                *_flat(fields),
            ),
            now_ms,
        )
        match reply:
            case ["SUBMITTED", int(revision), *_]:
                return allocation.id, revision
            case ["KNOWN", str(known_id), str(known_digest)]:
                if known_digest != digest:
                    raise errors.RequestIdReused
                return known_id, None
        raise unexpected("submit", reply)

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
        record_keys = [keys.scheduler, keys.index(Kind.HOLD), keys.allocation(allocation_id)]
        for hold in holds:
            record_keys += [
                keys.resource(hold.resource),
                keys.manager(hold.manager),
                keys.hold(f"{hold.resource}.{hold.fence}"),
            ]
            args += [hold.host, hold.resource, hold.generation, hold.fence]
            args += [hold.cpus, hold.memory, ",".join(map(str, hold.gpus))]
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

    async def release(
        self, allocation_id: str, holds: Sequence[str], *, token: str, now_ms: int | None = None
    ) -> int | None:
        """Give an allocation back. Returns the revision, or None if it had ended before.

        Raises:
            NoSuchAllocation: there is none of that id.
            WrongToken: the token is another's.
        """

        async def attempt(holds: Sequence[str]) -> Reply:
            return await self.change(
                "release",
                (*self._allocation_keys(allocation_id), *self.hold_keys(holds)),
                (allocation_id, sha256(token), self.limits.retention_ms, *holds),
                now_ms,
            )

        reply = await self.change_with_holds(holds, attempt)
        match reply:
            case ["RELEASED", int(revision), *_]:
                return revision
            case ["ENDED", *_]:
                return None
            case ["UNKNOWN"]:
                raise errors.NoSuchAllocation(allocation_id)
            case ["WRONG_TOKEN"]:
                raise errors.WrongToken(allocation_id)
        raise unexpected("release", reply)

    async def end(
        self,
        allocation_id: str,
        holds: Sequence[str],
        reason: EndReason,
        detail: str,
        *,
        due: Due | None = None,
        now_ms: int | None = None,
    ) -> int | None:
        """End an allocation in the lab's name; with `due`, only if that deadline has passed.

        Returns:
            The revision, or None if there was nothing to end.
        """

        async def attempt(holds: Sequence[str]) -> Reply:
            return await self.change(
                "end",
                (*self._allocation_keys(allocation_id), *self.hold_keys(holds)),
                (allocation_id, reason, detail, self.limits.retention_ms, due or "", *holds),
                now_ms,
            )

        reply = await self.change_with_holds(holds, attempt)
        match reply:
            case ["ENDED", int(revision), *_]:
                return revision
            case ["BEFORE" | "EARLY" | "UNKNOWN", *_]:
                return None
        raise unexpected("end", reply)

    async def expire(
        self, allocation_id: str, holds: Sequence[str], *, now_ms: int | None = None
    ) -> int | None:
        """End an allocation if its lease is over and leases were looked after.

        Returns:
            The revision, or None if there was nothing to end.
        """

        async def attempt(holds: Sequence[str]) -> Reply:
            keys = (*self._allocation_keys(allocation_id), self.keys.tended, *self.hold_keys(holds))
            args = (allocation_id, self.limits.retention_ms, *holds)
            return await self.change("expire", keys, args, now_ms)

        reply = await self.change_with_holds(holds, attempt)
        match reply:
            case ["EXPIRED", int(revision), *_]:
                return revision
            case ["BEFORE" | "EARLY" | "PAUSED" | "UNKNOWN", *_]:
                return None
        raise unexpected("expire", reply)

    async def forget(self, allocation: Allocation, *, now_ms: int | None = None) -> None:
        """Delete an ended allocation that has been remembered for long enough."""
        keys = self.keys
        reply = await self.change(
            "forget",
            (keys.allocation(allocation.id), keys.index(Kind.ALLOCATION), allocation.request_key),
            (allocation.id,),
            now_ms,
        )
        if reply[0] not in ("FORGOTTEN", "EARLY"):
            raise unexpected("forget", reply)

    def _allocation_keys(self, allocation_id: str) -> tuple[str, str]:
        return self.keys.allocation(allocation_id), self.keys.alarm(allocation_id)


def _flat(fields: Mapping[str, object]) -> list[object]:
    return [word for pair in fields.items() for word in pair]
