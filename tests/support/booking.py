"""Planning bookings as a scheduler does, from a view that may be old."""

import json

from hwprovisioner.state.allocations import BookedPlace
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import AllocationState
from hwprovisioner.state.view import View
from support.state_lab import NOW, TOKEN, TTL, StateLab

FROM = NOW + 3_600_000
UNTIL = FROM + 3_600_000


def place(view: View, resource: str, *, gains: str = "", loses: str = "") -> BookedPlace:
    """Plan what becomes of a resource's list of bookings; those that have ended leave it."""
    known = view.resources[resource]
    others = tuple(i for i in known.booked if i not in (gains, loses) and _lives(view, i))
    after = (*others, gains) if gains else others
    return BookedPlace(resource, known.fence, known.booked, after)


def _lives(view: View, allocation_id: str) -> bool:
    known = view.allocations.get(allocation_id)
    return known is not None and known.state is not AllocationState.ENDED


def reservation_of(*resources: str) -> str:
    """Return what a booking reserves, a host for each resource."""
    shares = {
        f"host-{i}": {"resource": name, "cpus": 1, "memory": 1, "gpus": []}
        for i, name in enumerate(resources)
    }
    return json.dumps(shares)


async def book(
    lab: StateLab,
    name: str = "a",
    *resources: str,
    from_ms: int = FROM,
    until_ms: int = UNTIL,
    ttl_ms: int = TTL,
    user: str = "ann",
    places: list[BookedPlace] | None = None,
    now_ms: int = NOW,
) -> tuple[str, int | None]:
    """Book resources, r if none is named, as the view has them or as planned before."""
    wanted = resources or ("r",)
    planned = [place(lab.view, i, gains=name) for i in wanted] if places is None else places
    allocation = Allocation(
        id=name,
        ttl_ms=ttl_ms,
        user=user,
        class_id="class",
        book_from_ms=from_ms,
        book_until_ms=until_ms,
        reservation=reservation_of(*wanted),
    )
    return await lab.allocations.book(
        allocation,
        token=TOKEN,
        request_id=f"request-{name}",
        digest="d",
        places=planned,
        now_ms=now_ms,
    )
