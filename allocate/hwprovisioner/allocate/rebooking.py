"""Giving bookings other resources in time, when they could not have those that they were promised.

A resource goes, is taken out of service, or is described anew. What is booked on it gets something
else that can be promised for its time. Where there is nothing, it keeps what it has: the resource
may come back, and when its time has come the booking goes first wherever it can be had.
"""

import logging
from collections.abc import Callable, Iterable

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.pacing import Pace
from hwprovisioner.allocate.planning.booking import Booking, Conflict, plan_booking, still_stands
from hwprovisioner.allocate.reservations import places_of, reservation_text, reserved_hosts
from hwprovisioner.state.bookings import Bookings, BookingStale
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import AllocationState
from hwprovisioner.state.view import View

_log = logging.getLogger(__name__)

_AT_ONCE = 64
"""So many bookings are looked at in one go, so that grants do not wait."""
_AGAIN_S = 1.0
"""Bookings for which there was nothing else are looked at again after so long."""


class Rebooking:
    """Looks after the bookings whose time has not come."""

    def __init__(self, view: View, lab: Lab, bookings: Bookings, wake: Callable[[], None]) -> None:
        """Look at the lab of `view`; `wake` has `look` called again."""
        self._view = view
        self._lab = lab
        self._bookings = bookings
        self._wake = wake
        self._pace = Pace(_AGAIN_S, wake)
        self._looked_at: tuple[object, int] = (None, 0)
        self._doubtful: dict[str, None] = {}
        self._stuck: dict[str, None] = {}

    async def look(self, epoch: int) -> None:
        """Rebook what cannot stay where it is, as far as that is possible.

        Raises:
            Deposed: another scheduler has been elected since `epoch`.
            StateUnavailable: Redis is away.
        """
        inventory = self._lab.planner.inventory
        if self._looked_at != (inventory, inventory.version):
            self._looked_at = inventory, inventory.version
            self._doubtful = dict.fromkeys(self._in_order(self._lab.reservations.waiting()))
            self._stuck.clear()
        elif self._stuck and self._pace.is_time():
            self._doubtful |= self._stuck
            self._stuck.clear()
        for booking_id in list(self._doubtful)[:_AT_ONCE]:
            del self._doubtful[booking_id]
            await self._look_at(booking_id, epoch)
        if self._doubtful:
            self._wake()

    def _in_order(self, ids: Iterable[str]) -> list[str]:
        allocations = self._view.allocations
        return sorted(ids, key=lambda each: (allocations[each].book_from_ms, each))

    async def _look_at(self, booking_id: str, epoch: int) -> None:
        allocation = self._view.allocations.get(booking_id)
        if allocation is None or allocation.state is not AllocationState.BOOKED:
            return
        before, finder = reserved_hosts(allocation.reservation), self._lab.planner.finder
        booking = self._booking(allocation)
        if still_stands(booking, before, finder):
            return
        found = plan_booking(booking, finder)
        if isinstance(found, Conflict):
            said = "; ".join(f"{host}: {why}" for host, why in found.hosts.items())
            _log.debug("booking %s cannot be had for now: %s", booking_id, said)
            self._stuck[booking_id] = None
            return
        had, gets = ([placed.resource for placed in hosts.values()] for hosts in (before, found))
        try:
            await self._bookings.rebook(
                booking_id,
                reservation_text(found),
                places=places_of(self._view, booking_id, had, gets),
                epoch=epoch,
            )
        except BookingStale as stale:
            # The view is behind, so a change is to come, and with it the next look.
            _log.info("booking %s: %s has changed, planning again", booking_id, stale)
            self._doubtful[booking_id] = None
        else:
            _log.info("booking %s was given %s instead of %s", booking_id, gets, had)

    def _booking(self, allocation: Allocation) -> Booking:
        return Booking(
            self._lab.asked(allocation),
            allocation.book_from_ms,
            allocation.book_until_ms,
            allocation.id,
            frozenset(allocation.excluded),
            self._lab.reservations.names(allocation.id),
        )
