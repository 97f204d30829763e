"""Taking bookings in: what can be promised for its time is, the rest is refused with the reason."""

import dataclasses
import secrets
from collections.abc import Mapping

from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.identity import digest_of, token_of
from hwprovisioner.allocate.intake import Taken, new_allocation, over_every_quota, unsatisfiable
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.booking import Booking, Conflict, plan_booking
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.requests import AskedBooking
from hwprovisioner.allocate.reservations import places_of, reservation_text
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.serving import Refused
from hwprovisioner.state.bookings import BookedPlace, Bookings, BookingStale
from hwprovisioner.state.errors import RequestIdReused, StateUnavailable
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.view import View
from hwprovisioner.v1 import allocate_service_pb2 as pb

BOOKINGS_LIMIT = 10_000
"""So many bookings may wait for their time; more are refused with QUEUE_FULL."""
_BEFORE_MS = 60_000
"""What was to begin so long ago begins now: clocks differ, and calls take time."""
_AHEAD_MS = 366 * 86_400_000
_CLEANED_MS = 1_000
"""What begins at once is planned as beginning so much later: what is being cleaned is free then."""
_TRIES = 10


class BookingDesk:
    """Takes in bookings."""

    def __init__(
        self, view: View, lab: Lab, freshness: Freshness, bookings: Bookings, reader: Reader
    ) -> None:
        """Book in the lab of `view`."""
        self._view = view
        self._lab = lab
        self._freshness = freshness
        self._bookings = bookings
        self._reader = reader

    async def book(self, request: pb.BookRequest, asked: AskedBooking) -> Taken:
        """Book what is asked for, or find what the request made before.

        Raises:
            Refused: its time is not one that can be booked, nothing could ever satisfy it, or
                something stands in its way.
            RequestIdReused: the request id came before with another request.
            StateUnavailable: the lab's resources change faster than can be planned.
        """
        request_id = asked.request_id or secrets.token_urlsafe(24)
        allocation = new_allocation(
            request.demands,
            request.requestor,
            ttl_ms=asked.ttl_ms,
            book_from_ms=asked.from_ms,
            book_until_ms=asked.until_ms,
            ssh_public_key=asked.ssh_public_key,
        )
        token, digest = token_of(request_id), digest_of(allocation)
        if known := await self._reader.submitted(request_id):
            if known[1] != digest:
                raise RequestIdReused
            await self._freshness.has(known[0])
            return Taken(known[0], token, is_new=False)
        await self._freshness.catch_up()
        self._lab.clock.set(await self._reader.now_ms())
        for _ in range(_TRIES):
            stored, places = self._planned(allocation)
            try:
                allocation_id, revision = await self._bookings.book(
                    stored, token=token, request_id=request_id, digest=digest, places=places
                )
            except BookingStale:
                await self._freshness.catch_up()
                continue
            await self._freshness.has(allocation_id, revision)
            return Taken(allocation_id, token, revision is not None)
        raise StateUnavailable("the lab changes faster than can be booked: try again")

    def _planned(self, allocation: Allocation) -> tuple[Allocation, list[BookedPlace]]:
        """Return a booking as it would be stored, and what of; or refuse it."""
        hosts = self._plan(allocation)
        stored = dataclasses.replace(
            allocation,
            book_from_ms=max(allocation.book_from_ms, self._lab.clock.now_ms()),
            reservation=reservation_text(hosts),
        )
        names = [placed.resource for placed in hosts.values()]
        return stored, places_of(self._view, allocation.id, (), names)

    def _plan(self, allocation: Allocation) -> Mapping[str, Placed]:
        """Return where a booking would be, or refuse it."""
        now_ms = self._lab.clock.now_ms()
        _check_start(allocation.book_from_ms, now_ms)
        if refusal := unsatisfiable(self._lab, allocation) or over_every_quota(
            self._lab, allocation
        ):
            raise refusal
        self._check_number()
        found = plan_booking(
            Booking(
                self._lab.asked(allocation),
                max(allocation.book_from_ms, now_ms + _CLEANED_MS),
                allocation.book_until_ms,
            ),
            self._lab.planner.finder,
            self._user_of,
        )
        if isinstance(found, Conflict):
            raise _conflict(found)
        return found

    def _check_number(self) -> None:
        number = len(self._lab.reservations)
        if number >= BOOKINGS_LIMIT:
            raise Refused(
                "QUEUE_FULL",
                f"{number} bookings wait for their time, which is the limit: try again later",
                metadata={"booked": str(number)},
                retry_after_ms=10_000,
            )

    def _user_of(self, allocation_id: str) -> str:
        allocation = self._view.allocations.get(allocation_id)
        return allocation.user if allocation else ""


def _check_start(from_ms: int, now_ms: int) -> None:
    violations = Violations()
    if from_ms < now_ms - _BEFORE_MS:
        late_s = (now_ms - from_ms) / 1000
        violations.add(
            "start_time",
            f"is {late_s:,.0f} s ago by the lab's clock: must be from now to a year ahead",
        )
    elif from_ms > now_ms + _AHEAD_MS:
        days = (from_ms - now_ms) // 86_400_000
        violations.add("start_time", f"is {days:,} days ahead: must be from now to a year ahead")
    violations.check()


def _conflict(conflict: Conflict) -> Refused:
    hosts = conflict.hosts
    return Refused(
        "BOOKING_CONFLICT",
        "this cannot be promised for that time: "
        + "; ".join(f"{host}: {why}" for host, why in hosts.items())
        + ". Book another time, or ask for less",
        metadata=dict(hosts),
        preconditions=[("BOOKING_CONFLICT", host, why) for host, why in hosts.items()],
    )
