"""Those who wait, each with a queue of their own, in the order of their first requests."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from hwprovisioner.allocate.planning.inventory import bits

BOOKED = 1_000_000
"""The priority of a booking whose time has come: before everything."""

Key = tuple[int, float, int, str]
"""Lower goes first: minus the priority, the share, the turn, the id."""
Item = tuple[int, int, str, int]
"""A request in its user's queue: minus the priority, the turn, the id, the bit of its class."""
NOWHERE: Key = (BOOKED, 0.0, 0, "")
"""Behind all requests."""


@dataclass(slots=True, eq=False)
class UserQueue:
    """A user, what they hold, and their requests in order."""

    name: str
    weight: float = 1.0
    held: int = 0
    """Hosts."""
    average: float = 0.0
    """Hosts held on average in the recent past."""
    items: list[Item] = field(default_factory=list)
    by_class: dict[int, list[Item]] = field(default_factory=dict)
    """The same by the bit of their class."""
    classes: int = 0
    """The bits of their classes."""
    first: Key | None = None
    """Where the first of them stands in the lineup, None if there is none."""
    second: Key = NOWHERE
    """Where the one after that stands; behind all others if there is none."""
    third: Key = NOWHERE

    def first_from(self, start: int, mask: int) -> int | None:
        """Return the place of the first request of some classes from a place on."""
        if start >= len(self.items):
            return None
        least: Item = self.items[start]
        found = []
        for place in bits(self.classes & mask):
            of_class = self.by_class[1 << place]
            nth = bisect_left(of_class, least)
            if nth < len(of_class):
                found.append(of_class[nth])
        return bisect_left(self.items, min(found)) if found else None


class Lineup:
    """All who have something queued, by the first of their requests."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.keys: list[Key] = []
        """Where the first request of each stands."""
        self.users: list[UserQueue] = []
        """Whose it is."""
        self.firsts: list[int] = []
        """The bit of its class."""

    def sort(self, moved: Iterable[UserQueue], users: Iterable[UserQueue]) -> None:
        """Line all up anew, some of whom have moved."""
        for user in moved:
            _find_first(user)
        ordered = sorted((user.first, user) for user in users if user.first is not None)
        self.keys = [key for key, _ in ordered]
        self.users = [user for _, user in ordered]
        self.firsts = [user.items[0][3] for user in self.users]

    def move(self, user: UserQueue) -> None:
        """Have a user stand where they belong by now."""
        before = user.first
        _find_first(user)
        if before == user.first:
            return
        if before is not None:
            place = bisect_left(self.keys, before)
            del self.keys[place], self.users[place], self.firsts[place]
        if user.first is not None:
            place = bisect_left(self.keys, user.first)
            self.keys.insert(place, user.first)
            self.users.insert(place, user)
            self.firsts.insert(place, user.items[0][3])


def _find_first(user: UserQueue) -> None:
    items = user.items
    user.first = key_of(user, 0, items[0]) if items else None
    user.second = key_of(user, 1, items[1]) if len(items) > 1 else NOWHERE
    user.third = key_of(user, 2, items[2]) if len(items) > 2 else NOWHERE


def key_of(user: UserQueue, before: int, item: Item) -> Key:
    """Return where a request stands that has so many of the same user before it."""
    priority, turn, request_id, _ = item
    # Whoever's time has come does not share.
    is_booked = priority == -BOOKED
    share = 0.0 if is_booked else (user.held + user.average + before) / user.weight
    return priority, share, turn, request_id
