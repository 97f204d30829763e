"""What is free of a resource over a time, with what holds it and what has booked it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwprovisioner.allocate.planning.inventory import Held
from hwprovisioner.allocate.room import Room, Share


@dataclass(frozen=True, slots=True)
class Booked:
    """What a booking has of a resource, and when."""

    allocation: str
    share: Share
    from_ms: int
    until_ms: int


def room_during(
    now: Room,
    held: Sequence[Held],
    booked: Sequence[Booked],
    from_ms: int,
    until_ms: int,
    *,
    from_now: bool = True,
) -> Room:
    """Return what is free of a resource throughout a time.

    What is free changes where a booking begins: there is less then. In between it only grows, as
    holds and bookings end.

    Args:
        now: what is free now.
        held: what is in use.
        booked: what has been booked.
        from_ms: the beginning.
        until_ms: the end; 0 for none.
        from_now: whether the beginning is now. Otherwise what ends before does not count.
    """
    overlapping = [
        each
        for each in booked
        if each.until_ms > from_ms and (until_ms == 0 or each.from_ms < until_ms)
    ]
    least = now if from_now else _room_at(now, held, overlapping, from_ms)
    instants = {max(each.from_ms, from_ms) for each in overlapping}
    for instant in sorted(instants):
        least = _both(least, _room_at(now, held, overlapping, instant))
    return least


def _room_at(now: Room, held: Sequence[Held], booked: Sequence[Booked], instant: int) -> Room:
    room = Room.whole(now.spec)
    for each in held:
        if each.until_ms == 0 or each.until_ms > instant:
            room = room.without(each.share)
    for booking in booked:
        if booking.from_ms <= instant < booking.until_ms:
            room = room.without(booking.share)
    return room


def _both(one: Room, other: Room) -> Room:
    return replace(
        one,
        slots=min(one.slots, other.slots),
        cpus=min(one.cpus, other.cpus),
        memory=min(one.memory, other.memory),
        cards=one.cards & other.cards,
    )
