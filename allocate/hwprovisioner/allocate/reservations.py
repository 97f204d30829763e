"""What bookings reserve of which resources, from their records."""

import json
from collections.abc import Iterable, Mapping, Sequence

from hwprovisioner.allocate.planning.booked import Booked
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.room import Share
from hwprovisioner.state.bookings import BookedPlace
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import AllocationState
from hwprovisioner.state.view import View

_WAITING = (AllocationState.BOOKED, AllocationState.QUEUED)


def reservation_text(hosts: Mapping[str, Placed]) -> str:
    """Return where the hosts of a booking will be, as it is stored."""
    return json.dumps(
        {
            host: {
                "resource": placed.resource,
                "cpus": placed.share.cpus,
                "memory": placed.share.memory,
                "gpus": placed.share.gpus,
            }
            for host, placed in sorted(hosts.items())
        }
    )


def reserved_hosts(text: str) -> dict[str, Placed]:
    """Return where the hosts of a booking will be."""
    return {
        host: Placed(place["resource"], Share(place["cpus"], place["memory"], tuple(place["gpus"])))
        for host, place in json.loads(text or "{}").items()
    }


def places_of(
    view: View, allocation_id: str, before: Iterable[str], after: Iterable[str]
) -> list[BookedPlace]:
    """Return how the lists of a booking's resources change, as the view knows them.

    Args:
        view: what the plan was made with.
        allocation_id: the booking.
        before: the resources that it had; those that are gone are left out.
        after: the resources that it gets, each of which is in the view.
    """
    gained, places = dict.fromkeys(after), list[BookedPlace]()
    for name in dict.fromkeys((*before, *gained)):
        resource = view.resources.get(name)
        if resource is None:
            continue
        kept = [i for i in resource.booked if i != allocation_id and _may_need(view, i)]
        after_it = (*kept, allocation_id) if name in gained else tuple(kept)
        places.append(BookedPlace(name, resource.fence, resource.booked, after_it))
    return places


def _may_need(view: View, allocation_id: str) -> bool:
    allocation = view.allocations.get(allocation_id)
    return allocation is not None and allocation.state is not AllocationState.ENDED


class Reservations:
    """Keeps up to date what has been booked of each resource."""

    def __init__(self, booked: dict[str, tuple[Booked, ...]]) -> None:
        """Keep it in `booked`, by resource."""
        self._booked = booked
        self._names: dict[str, tuple[str, ...]] = {}
        self.version = 0
        """One more when something was reserved, or is no longer."""

    def __len__(self) -> int:
        return len(self._names)

    def names(self, allocation_id: str) -> tuple[str, ...]:
        """Return the resources that a booking reserves."""
        return self._names.get(allocation_id, ())

    def waiting(self) -> Sequence[str]:
        """Return the bookings that reserve something."""
        return list(self._names)

    def note(self, allocation: Allocation) -> tuple[str, ...]:
        """Take in how an allocation is now; returns the resources that it no longer reserves.

        What is granted holds its resources, and reserves nothing any longer.
        """
        before = self.drop(allocation.id)
        if not allocation.book_until_ms or allocation.state not in _WAITING:
            return before
        places = reserved_hosts(allocation.reservation).values()
        for placed in places:
            span = allocation.book_from_ms, allocation.book_until_ms
            booking = Booked(allocation.id, placed.share, *span)
            self._booked[placed.resource] = (*self._booked.get(placed.resource, ()), booking)
        self.version += 1
        names = self._names[allocation.id] = tuple(placed.resource for placed in places)
        return tuple(set(before) - set(names))

    def drop(self, allocation_id: str) -> tuple[str, ...]:
        """Forget a booking; returns the resources that it had reserved."""
        names = self._names.pop(allocation_id, ())
        self.version += bool(names)
        for name in dict.fromkeys(names):
            rest = tuple(e for e in self._booked[name] if e.allocation != allocation_id)
            if rest:
                self._booked[name] = rest
            else:
                del self._booked[name]
        return names
