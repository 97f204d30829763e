"""Those who wait, each with a queue of their own, in the order of their first requests."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import compress, count, islice
from operator import itemgetter

from hwprovisioner.allocate.planning.inventory import bits

BOOKED = 1_000_000
"""The priority of a booking whose time has come: before everything."""
LEVELS = 3
"""Of so many of a user's requests, from the first on, a row of the lineup knows the classes."""
_SCANNED = 256
"""So many requests of a user are gone through; a wanted one behind them is looked up by class."""

Key = tuple[int, float, int, str]
"""Lower goes first: minus the priority, the share, the turn, the id."""
Item = tuple[int, int, str, int]
"""A request in its user's queue: minus the priority, the turn, the id, the bit of its class."""


@dataclass(slots=True, eq=False)
class UserQueue:
    """A user, what they hold, and their requests in order."""

    name: str
    weight: float = 1.0
    held: int = 0
    """Hosts."""
    average: float = 0.0
    """Hosts held on average in the recent past."""
    used: float = 0.0
    """What that comes to, as of when it was reckoned; see `fair_share.py`."""
    items: list[Item] = field(default_factory=list)
    bits: list[int] = field(default_factory=lambda: [0] * (LEVELS - 1))
    """Of each of them, the bit of its class; then as many zeros as make a row."""
    by_class: dict[int, list[Item]] = field(default_factory=dict)
    """The same by the bit of their class."""
    classes: int = 0
    """The bits of their classes."""
    row: "Row | None" = None
    """Theirs in the lineup, None if there is none."""

    def reckon(self) -> None:
        """Take in what they hold by now, and have held."""
        self.used = max(self.held, self.average) + self.average

    @property
    def first(self) -> Key | None:
        """Where the first of their requests stands in the lineup, None if there is none."""
        return self.row and self.row[0]

    def first_from(self, start: int, mask: int) -> int | None:
        """Return the place of the first request of some classes from a place on."""
        wanted = self.classes & mask
        # One class alone is looked up at once.
        if wanted & (wanted - 1):
            found = self.first_within(start, start + _SCANNED, wanted)
            if found is not None:
                return found
            start += _SCANNED
        if start >= len(self.items):
            return None
        least: Item = self.items[start]
        upcoming = []
        for place in bits(wanted):
            of_class = self.by_class[1 << place]
            nth = bisect_left(of_class, least)
            if nth < len(of_class):
                upcoming.append(of_class[nth])
        return bisect_left(self.items, min(upcoming)) if upcoming else None

    def first_within(self, start: int, end: int, mask: int) -> int | None:
        """Return the place of the first of some requests in a row that is of some classes."""
        wanted = map(mask.__and__, islice(self.bits, start, end))
        return next(compress(count(start), wanted), None)


Row = tuple[Key, UserQueue, int, int, int]
"""A user in the lineup: where their first request stands, they, and the bits of the classes of the
first, the second and the third, 0 if there is none. Rows compare as their keys do, of which no two
are equal."""

bits_of_row: tuple[Callable[[Row], int], ...] = (itemgetter(2), itemgetter(3), itemgetter(4))


class Lineup:
    """All who have something queued, by the first of their requests."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.rows: list[Row] = []
        self.step = 1.0
        """From one request of a user to the next, the share grows by so much at least."""

    def sort(self, moved: Iterable[UserQueue], users: Iterable[UserQueue]) -> None:
        """Line all up anew, some of whom have moved."""
        for user in moved:
            user.row = _row(user)
        self.rows = sorted(user.row for user in users if user.row)

    def move(self, user: UserQueue) -> None:
        """Have a user stand where they belong by now."""
        if user.row is not None:
            del self.rows[bisect_left(self.rows, user.row)]
        user.row = _row(user)
        if user.row is not None:
            insort(self.rows, user.row)


def _row(user: UserQueue) -> Row | None:
    if not user.items:
        return None
    first, second, third = user.bits[:LEVELS]
    return key_of(user, 0, user.items[0]), user, first, second, third


def key_of(user: UserQueue, before: int, item: Item) -> Key:
    """Return where a request stands that has so many of the same user before it."""
    priority, turn, request_id, _ = item
    # Whoever's time has come does not share.
    share = 0.0 if priority == -BOOKED else (user.used + before) / user.weight
    return priority, share, turn, request_id
