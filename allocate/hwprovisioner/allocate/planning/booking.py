"""Planning what is booked: where a set would be from a time to a time, or what stands in the way.

Whoever holds something without having said for how long may be there for ever, so that nothing of
it can be promised. Pure.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hwprovisioner.allocate.planning.asked import HostClass, RequestClass
from hwprovisioner.allocate.planning.booked import Booked
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.inventory import Held, bits
from hwprovisioner.allocate.planning.placement import Placed, place
from hwprovisioner.allocate.planning.wish import Scope, Wish
from hwprovisioner.allocate.room import Room

_REASONS_SHOWN = 3
_LOOKED_AT = 2_000
"""At so many resources is looked to say what stands in the way of a host."""

UserOf = Callable[[str], str]
"""Tells the user of an allocation, "" if that was not said."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A set for which resources are to be promised."""

    asked: RequestClass
    from_ms: int
    until_ms: int
    id: str = ""
    """If it is booked already: its id."""
    excluded: frozenset[str] = frozenset()
    reserved: tuple[str, ...] = ()
    """What it has, and keeps where it can."""

    def wish(self) -> Wish:
        """Return what is looked for."""
        return Wish(
            *(self.asked, self.excluded, self.id, self.from_ms, self.until_ms, self.reserved)
        )


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a set cannot be promised: by host, what stands in its way."""

    hosts: Mapping[str, str]


def plan_booking(
    booking: Booking, finder: Finder, user_of: UserOf = lambda allocation: ""
) -> Mapping[str, Placed] | Conflict:
    """Return where all hosts of a set would be throughout its time, or why they cannot be.

    Resources that are neither in use nor booked come first, then the plainest.
    """
    placement = finder.place(booking.wish(), Scope.THEN)
    if placement.is_whole:
        return placement.placed
    missing = [host for host in booking.asked.hosts if host not in placement.placed]
    return Conflict({host: _obstacles(booking, host, finder, user_of) for host in missing})


def still_stands(booking: Booking, reserved: Mapping[str, Placed], finder: Finder) -> bool:
    """Say whether a booking can be had where it was promised, as far as is known."""
    wish, inventory = booking.wish(), finder.classes.inventory
    if reserved.keys() != booking.asked.hosts.keys():
        return False
    candidates = {
        host: [
            (name, option.option)
            for option in options
            if (name := reserved[host].resource) in inventory
            and inventory.standing(name).can_open
            and name not in booking.excluded
            and option.matches(name, inventory.shape_of(name))
        ]
        for host, options in booking.asked.hosts.items()
    }

    def room_then(name: str) -> Room:
        return finder.room(wish, Scope.THEN, name)

    return place(candidates, room_then, booking.asked.demand.relations).is_whole


def _obstacles(booking: Booking, host: str, finder: Finder, user_of: UserOf) -> str:
    """Return what stands in the way of a host, counted."""
    counts: Counter[str] = Counter()
    for name in _matching(booking.asked.hosts[host], finder):
        counts[_obstacle(booking, name, finder, user_of)] += 1
        if counts.total() >= _LOOKED_AT:
            break
    total = counts.total()
    matching = f"{total} resource{' matches' if total == 1 else 's match'}"
    most = counts.most_common(_REASONS_SHOWN)
    reasons = [f"{count} {_verb(count)} {reason}" for reason, count in most]
    more = total - sum(count for _, count in most)
    return f"{matching}: {', '.join(reasons)}" + (f", {more} for other reasons" if more else "")


def _matching(options: Sequence[HostClass], finder: Finder) -> Iterator[str]:
    """Return each resource once that matches a host by itself."""
    inventory, seen = finder.classes.inventory, set[str]()
    for option in options:
        for index in bits(option.shapes):
            shape = inventory.shapes[index]
            for name in shape.names:
                if name not in seen and option.admits(name, shape):
                    seen.add(name)
                    yield name


def _obstacle(booking: Booking, name: str, finder: Finder, user_of: UserOf) -> str:
    """Return what is in the way at a resource, as follows on "it is"."""
    standing = finder.classes.inventory.standing(name)
    if not standing.can_open:
        return f"out of service ({standing.closed})"
    if name in booking.excluded:
        return "left out, having failed this before"
    for booked in sorted(finder.booked.get(name, ()), key=lambda each: each.from_ms):
        is_own = booked.allocation == booking.id
        if not is_own and booked.from_ms < booking.until_ms and booked.until_ms > booking.from_ms:
            return _booked(booked, user_of(booked.allocation))
    return _held(booking, finder.held(name)) or "free, but not together with the other hosts"


def _booked(booked: Booked, user: str) -> str:
    begin, end = _instant(booked.from_ms), _instant(booked.until_ms)
    # The same day is not said twice.
    end = end.removeprefix(begin[: len("2026-11-28 ")])
    return f"booked from {begin} to {end} UTC by {user or 'somebody'}"


def _held(booking: Booking, held: Sequence[Held]) -> str:
    if any(each.until_ms == 0 for each in held):
        return "held by an allocation that does not say for how long"
    latest = max((each.until_ms for each in held), default=0)
    if latest > booking.from_ms:
        return f"held until {_instant(latest)} UTC"
    return ""


def _verb(count: int) -> str:
    return "is" if count == 1 else "are"


def _instant(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
