"""Who gives way to a request of higher priority. Pure.

Only where the policy has it, and only to make room for a set as a whole: nobody gives way for what
would still lack something. Of several ways the one is taken that costs least: the lowest priorities
first, then those that have run for the shortest time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.planning.asked import HostClass
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Candidate, Placement, place
from hwprovisioner.allocate.planning.wish import Scope, Wish
from hwprovisioner.allocate.room import Room, Share

_LOOKED_AT = 64
"""So many of those who could give way are considered for a request."""
_RELATED = 64
"""Of what is open, so much is considered for each host of a set with relations."""

Use = tuple[str, Share]
"""A resource, and what is used of it."""


@dataclass(frozen=True, slots=True)
class Running:
    """An allocation that has hosts."""

    id: str
    priority: int
    since_ms: int
    hosts: tuple[Use, ...]
    """The resources that it has, and what of them."""


class Prospect:
    """What can be had now, and soon without anybody else's giving way; less and less of it.

    Requests are asked about in their order, and what one is to have is not there for the next.
    """

    def __init__(self, finder: Finder, soon: Sequence[Use], now_ms: int) -> None:
        """Begin with what is open, and what will be free `soon`."""
        self._finder = finder
        self._inventory = finder.classes.inventory
        self._now_ms = now_ms
        self._rooms = self._freed({}, soon)

    def place(
        self, request: Request, kept: Sequence[str] = (), gone: Sequence[Running] = ()
    ) -> Placement:
        """Place what can be placed of a request, were some allocations gone.

        Args:
            request: one that waits.
            kept: what it keeps, which is not open to others.
            gone: the allocations.
        """
        rooms = self._freed(self._rooms, [use for each in gone for use in each.hosts])
        wish = Wish.of(request, self._now_ms, tuple(kept))

        def room(name: str) -> Room:
            return rooms.get(name) or self._finder.room(wish, Scope.OPEN, name)

        usable = {name: None for name in rooms if self._is_usable(wish, name)}
        demand = request.asked.demand
        count = len(rooms) + (_RELATED if demand.relations else len(demand.hosts))
        candidates = {
            host: self._candidates(wish, options, usable, count)
            for host, options in request.asked.hosts.items()
        }
        return place(candidates, room, demand.relations)

    def take(self, placement: Placement, gone: Sequence[Running] = ()) -> None:
        """Take out what a request is to have, once some allocations are gone."""
        self._rooms = self._freed(self._rooms, [use for each in gone for use in each.hosts])
        for placed in placement.placed.values():
            self._rooms[placed.resource] = placement.left(placed.resource)

    def could_use(self, request: Request, name: str) -> bool:
        """Say whether a request could use a resource, were it free."""
        return self._is_usable(Wish.of(request, self._now_ms), name) and any(
            option.matches(name, self._inventory.shape_of(name)) for option in request.asked.options
        )

    def _freed(self, before: dict[str, Room], uses: Sequence[Use]) -> dict[str, Room]:
        """Return the rooms of what differs from what is open, with some uses over."""
        rooms = dict(before)
        for name, share in uses:
            if name in self._inventory:
                room = rooms.get(name) or self._inventory.standing(name).room
                rooms[name] = room.with_again(share)
        return rooms

    def _candidates(
        self, wish: Wish, options: Sequence[HostClass], names: Collection[str], count: int
    ) -> list[Candidate]:
        """Return what is open before what is to be freed."""
        open_now = self._finder.candidates(wish, options, count)
        return [
            *(each for each in open_now if each[0] not in names),
            *(
                (name, option.option)
                for option in options
                for name in names
                if option.matches(name, self._inventory.shape_of(name))
            ),
        ]

    def _is_usable(self, wish: Wish, name: str) -> bool:
        """Say whether a resource is in service, and not promised to others for the time."""
        if name not in self._inventory or name in wish.excluded:
            return False
        standing = self._inventory.standing(name)
        return not standing.closed and not any(
            each.until_ms > wish.now_ms and (not wish.ends_ms or each.from_ms < wish.ends_ms)
            for each in self._finder.booked.get(name, ())
            if each.allocation != wish.booking
        )


def victims(
    request: Request,
    running: Sequence[Running],
    prospect: Prospect,
    gap: int,
    kept: Sequence[str] = (),
) -> tuple[Running, ...]:
    """Return who has to give way so that a request can be had whole; none if that does not help.

    Args:
        request: one that cannot be had whole from the prospect.
        running: those who may give way, in any order.
        prospect: what there is without that.
        gap: by so much the request's priority has to be higher, or more.
        kept: what the request keeps.
    """
    lower = [
        each
        for each in running
        if request.priority - each.priority >= gap
        and any(prospect.could_use(request, name) for name, _ in each.hosts)
    ]
    lower.sort(key=lambda each: (each.priority, -each.since_ms, each.id))
    del lower[_LOOKED_AT:]

    def helps(gone: Sequence[Running]) -> bool:
        return prospect.place(request, kept, gone).is_whole

    if not helps(lower):
        return ()
    needed = lower
    # Those of the highest priority are spared first.
    for each in reversed(lower):
        rest = [other for other in needed if other is not each]
        if helps(rest):
            needed = rest
    return tuple(needed)
