"""What happens to bookings: allocations that have resources promised from a time to a time.

Which hosts get which resources (`Allocation.reservation`) is the business of whoever plans. Each of
those resources lists the bookings that have it (`Resource.booked`), so that two plans made at once
cannot promise it to both: a plan names the lists that it was made with.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwprovisioner.state import errors
from hwprovisioner.state.keys import Kind, sha256
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.transitions import Core, Deposed, unexpected


@dataclass(frozen=True, slots=True)
class BookedPlace:
    """A resource that a booking gets, keeps or gives up, as it was planned with."""

    resource: str
    fence: int
    booked: tuple[str, ...]
    """Its list of bookings, those too that have ended."""
    booked_after: tuple[str, ...]
    """The list to write: those that live, and with or without the one that this is about."""


class BookingStale(Exception):
    """A resource was held, given back, booked or removed since the plan was made: plan again."""


class Bookings(Core):
    """What happens to bookings."""

    async def book(
        self,
        allocation: Allocation,
        *,
        token: str,
        request_id: str,
        digest: str,
        places: Sequence[BookedPlace],
        now_ms: int | None = None,
    ) -> tuple[str, int | None]:
        """Book what an allocation reserves, once for each request id.

        It begins at `book_from_ms` (at once if that has come) and ends at `book_until_ms` at the
        latest. Its `wait_ms` and `max_ms` mean nothing.

        Returns:
            The allocation's id and the revision that booked it, or None if the id had come before.

        Raises:
            BookingStale: a resource is not as it was planned with.
            RequestIdReused: the request id came before with another digest.
        """
        keys = self.keys
        fields = asked_fields(allocation) | {
            "ttl_ms": allocation.ttl_ms,
            "book_until_ms": allocation.book_until_ms,
            "reservation": allocation.reservation,
        }
        reply = await self.change(
            "book",
            (
                keys.allocation(allocation.id),
                keys.request(request_id),
                keys.index(Kind.ALLOCATION),
                *(keys.resource(place.resource) for place in places),
            ),
            (
                *(allocation.id, sha256(token), digest, allocation.book_from_ms),
                *_places(places),
                *flat(fields),
            ),
            now_ms,
        )
        match reply:
            case ["BOOKED", int(revision), *_]:
                return allocation.id, revision
            case ["STALE", str(resource)]:
                raise BookingStale(resource)
        return known(reply, "book", digest)

    async def rebook(
        self,
        allocation_id: str,
        reservation: str,
        *,
        places: Sequence[BookedPlace],
        epoch: int,
        now_ms: int | None = None,
    ) -> int | None:
        """Give a booking other resources, while it is BOOKED or QUEUED.

        Args:
            allocation_id: the booking.
            reservation: the new one.
            places: all resources that it had and that still are, and all that it gets.
            epoch: of the scheduler's election.
            now_ms: for tests.

        Returns:
            The revision, or None if it is no booking that waits.

        Raises:
            BookingStale: a resource is not as it was planned with.
            Deposed: another scheduler has been elected since `epoch`.
        """
        keys = self.keys
        reply = await self.change(
            "rebook",
            (
                keys.scheduler,
                keys.allocation(allocation_id),
                *(keys.resource(place.resource) for place in places),
            ),
            (epoch, allocation_id, reservation, *_places(places)),
            now_ms,
        )
        match reply:
            case ["REBOOKED", int(revision), *_]:
                return revision
            case ["NOT_BOOKED", _]:
                return None
            case ["STALE", str(resource)]:
                raise BookingStale(resource)
            case ["DEPOSED"]:
                raise Deposed
        raise unexpected("rebook", reply)

    async def begin(
        self, allocation_id: str, *, show_up_ms: int, now_ms: int | None = None
    ) -> int | None:
        """Queue a booking whose time has come.

        Its first lease lasts `show_up_ms`, or its TTL if that is longer.

        Returns:
            The revision, or None if it is not due, or no booking that waits for its time.
        """
        keys = (self.keys.allocation(allocation_id), self.keys.alarm(allocation_id))
        reply = await self.change("begin", keys, (allocation_id, show_up_ms), now_ms)
        match reply:
            case ["BEGUN", int(revision), *_]:
                return revision
            case ["EARLY"] | ["NOT_BOOKED", _]:
                return None
        raise unexpected("begin", reply)


def _places(places: Sequence[BookedPlace]) -> Iterator[object]:
    for place in places:
        yield from (place.resource, place.fence)
        yield from (",".join(place.booked), ",".join(place.booked_after))


def asked_fields(allocation: Allocation) -> dict[str, object]:
    """Return what all requests store, as fields of the record."""
    return {
        "demands": allocation.demands,
        "requestor": allocation.requestor,
        "user": allocation.user,
        "priority": allocation.priority,
        "class_id": allocation.class_id,
        "ssh_public_key": allocation.ssh_public_key,
    }


def flat(fields: Mapping[str, object]) -> list[object]:
    """Return names and values in turn, as scripts take them."""
    return [word for pair in fields.items() for word in pair]


def known(reply: list[Any], name: str, digest: str) -> tuple[str, None]:
    """Return what a request id has made before, as a script answered.

    Raises:
        RequestIdReused: the request id came before with another digest.
    """
    match reply:
        case ["KNOWN", str(known_id), str(known_digest)]:
            if known_digest != digest:
                raise errors.RequestIdReused
            return known_id, None
    raise unexpected(name, reply)
