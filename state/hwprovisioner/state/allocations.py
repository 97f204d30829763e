"""What happens to allocations.

What has to do with bookings stands in `bookings.py`, what the elected scheduler gives and takes in
`grants.py`; here is the rest, and all of it under one name.
"""

from collections.abc import Sequence

from hwprovisioner.state import errors
from hwprovisioner.state.bookings import (
    BookedPlace,
    Bookings,
    BookingStale,
    asked_fields,
    flat,
    known,
)
from hwprovisioner.state.grants import GrantRefused, Grants, PlannedHold
from hwprovisioner.state.keys import Due, Kind, sha256
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import EndReason
from hwprovisioner.state.transitions import Deposed, Reply, unexpected

__all__ = [
    "Allocations",
    "BookedPlace",
    "BookingStale",
    "Deposed",
    "GrantRefused",
    "PlannedHold",
]


class Allocations(Bookings, Grants):
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
        fields = asked_fields(allocation) | {
            "max_ms": allocation.max_ms,
            "tolerates": int(allocation.tolerates),
        }
        reply = await self.change(
            "submit",
            (
                keys.allocation(allocation.id),
                keys.alarm(allocation.id),
                keys.request(request_id),
                keys.index(Kind.ALLOCATION),
                keys.looked,
            ),
            (
                allocation.id,
                sha256(token),
                digest,
                allocation.ttl_ms,
                allocation.wait_ms,
                *flat(fields),
            ),
            now_ms,
        )
        match reply:
            case ["SUBMITTED", int(revision), *_]:
                return allocation.id, revision
        return known(reply, "submit", digest)

    async def release(
        self,
        allocation_id: str,
        holds: Sequence[str],
        *,
        token: str,
        at_once: bool = False,
        now_ms: int | None = None,
    ) -> int | None:
        """Give an allocation back; one that is kept ends once it no longer is, or `at_once`.

        Returns:
            The revision, or None if it had ended before.

        Raises:
            NoSuchAllocation: there is none of that id.
            WrongToken: the token is another's.
        """

        async def attempt(holds: Sequence[str]) -> Reply:
            return await self.change(
                "release",
                (*self._ending_keys(allocation_id), *self.hold_keys(holds)),
                (allocation_id, sha256(token), self.limits.retention_ms, int(at_once), *holds),
                now_ms,
            )

        reply = await self.change_with_holds(holds, attempt)
        match reply:
            case ["RELEASED" | "KEPT", int(revision), *_]:
                return revision
            case ["ENDED", *_]:
                return None
            case ["UNKNOWN"]:
                raise errors.NoSuchAllocation(allocation_id)
            case ["WRONG_TOKEN"]:
                raise errors.WrongToken(allocation_id)
        raise unexpected("release", reply)

    async def keep(
        self, allocation_id: str, span_ms: int, *, token: str, now_ms: int | None = None
    ) -> int:
        """Keep an allocation as it is for so long, or, with 0, no longer. Returns the revision.

        Raises:
            NoSuchAllocation: there is none of that id.
            WrongToken: the token is another's.
            WrongState: it is not ready, or its lease is over.
        """
        keys = self.keys
        reply = await self.change(
            "keep",
            (keys.allocation(allocation_id), keys.alarm(allocation_id), *keys.pauses),
            (allocation_id, sha256(token), span_ms),
            now_ms,
        )
        match reply:
            case ["KEPT", int(revision), *_]:
                return revision
            case ["UNKNOWN"]:
                raise errors.NoSuchAllocation(allocation_id)
            case ["WRONG_TOKEN"]:
                raise errors.WrongToken(allocation_id)
            case ["WRONG_STATE", state]:
                raise errors.WrongState(f"allocation {allocation_id!r}", str(state), "keep")
        raise unexpected("keep", reply)

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
                (*self._ending_keys(allocation_id), *self.hold_keys(holds)),
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
            keys = (*self._ending_keys(allocation_id), *self.keys.pauses, *self.hold_keys(holds))
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

    def _ending_keys(self, allocation_id: str) -> tuple[str, ...]:
        keys = self.keys
        return (*keys.endings, keys.allocation(allocation_id), keys.alarm(allocation_id))
