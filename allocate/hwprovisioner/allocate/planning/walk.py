"""A walk through the queue in order, which reads only as much of it as is of use.

A decision wants the first requests of a few classes. Most users' first requests have waited long
and are of other classes, so what a user is passed for has to be cheap: it is not even one look.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import compress, count

from hwprovisioner.allocate.planning.lineup import (
    BOOKED,
    LEVELS,
    Item,
    Key,
    Lineup,
    Row,
    UserQueue,
    bits_of_row,
    key_of,
)
from hwprovisioner.allocate.planning.order import Queue, Request

_ROUNDING = 1e-6
"""Shares that are reckoned in two ways differ by less."""

_LAST = 1 << 63
"""A turn after all others."""

_Next = tuple[Key, int, UserQueue, Item | None]
"""Where a request stands, its place in its user's queue, that, and it. Without it, nothing that is
wanted from that place on stands before that."""


class Walk:
    """Goes through the requests of some classes in order; the queue must not change meanwhile.

    `mask` may change on the way: requests of classes that it has lost are passed over, and those
    of classes that it has gained are met from there on.
    """

    def __init__(self, queue: Queue, mask: int) -> None:
        """Begin before the first; `mask` has the bits of the classes."""
        self.mask = mask
        self.key: Key = (0, 0.0, 0, "")
        """Where the request stands that was met last."""
        self._queue = queue
        self._barred: dict[str, int] = {}
        self._met = 0
        """So many of the users were met."""
        self._aside: list[Row] = []
        """Of those of them nothing that is wanted is before what was found next ..."""
        self._noted: set[UserQueue] = set()
        """... but for these, which was noted."""
        self._next: list[_Next] = []
        """A heap: of each other user who was met, the next request that is wanted."""

    def bar(self, name: str, bit: int) -> None:
        """Pass over all further requests of a user for a class."""
        self._barred[name] = self._barred.get(name, 0) | bit

    def __iter__(self) -> Iterator[Request]:
        lineup = self._queue.lineup()
        known, barred = self.mask, self._barred
        while self.mask:
            self._find_next(lineup)
            if not self._next:
                return
            key, place, user, item = heappop(self._next)
            if (
                item is not None
                and item[3] & self.mask
                and not (barred and barred.get(user.name, 0) & item[3])
            ):
                self.key = key
                yield self._queue.requests[item[2]]
                if not self.mask:
                    return
            # What is lost was passed over meanwhile, so to have it again is to gain it.
            gained, known = self.mask & ~known, self.mask
            if gained:
                self._look_back(key)
            else:
                self._go_on(user, place + 1)

    def _find_next(self, lineup: Lineup) -> None:
        """Have the next request that is wanted at the front of the heap, if there is one."""
        upcoming, rows = self._next, lineup.rows
        if self._aside:
            self._take_back()
        while True:
            if self._met < len(rows) and not (upcoming and upcoming[0][0] < rows[self._met][0]):
                self._meet(lineup)
            if not upcoming or upcoming[0][3] is not None:
                return
            _, place, user, _ = heappop(upcoming)
            self._go_on(user, place)

    def _meet(self, lineup: Lineup) -> None:
        """Meet the next user whose first request is wanted, if nothing else is before it."""
        upcoming, rows, met = self._next, lineup.rows, self._met
        end = bisect_left(rows, (upcoming[0][0],), met) if upcoming else len(rows)
        passed = rows[met:end]
        wanted = next(self._wanted(passed, 0), None)
        if wanted is None:
            self._met = end
            bound = min((each[0] for each in upcoming if each[3] is not None), default=None)
        else:
            self._met = met + wanted + 1
            bound, user = passed[wanted][:2]
            heappush(upcoming, (bound, 0, user, user.items[0]))
            del passed[wanted:]
        if not passed:
            return
        if bound is None:
            for row in passed:
                if row[1].classes & self.mask:
                    self._go_on(row[1], 1)
        else:
            self._pass(passed, bound, lineup.step)

    def _wanted(self, rows: Sequence[Row], level: int) -> Iterator[int]:
        """Return the places of those rows of which the request of a level is wanted."""
        # Whether its user is barred is looked at when it is its turn.
        return compress(count(), map(self.mask.__and__, map(bits_of_row[level], rows)))

    def _pass(self, rows: list[Row], bound: Key, step: float) -> None:
        """Note what stands before a bound of users whose first requests are not wanted.

        The second stands by at least one step of the share behind the first, and so on. So only
        those need be looked at whose first requests are so far before the bound.
        """
        near = rows
        for level in range(1, LEVELS):
            near = near[: _place_before(near, bound, level, step)]
            if not near:
                break
            for place in self._wanted(near, level):
                user = near[place][1]
                item = user.items[level]
                key = key_of(user, level, item)
                if key < bound:
                    heappush(self._next, (key, level, user, item))
                    self._noted.add(user)
                    bound = key
        else:
            for row in near[: _place_before(near, bound, LEVELS, step)]:
                if row[1] not in self._noted:
                    self._go_on_to(bound, row[1], LEVELS)
        self._aside += rows

    def _take_back(self) -> None:
        """Note the next requests of those who were set aside."""
        for row in self._aside:
            user = row[1]
            if user not in self._noted and len(user.items) > 1 and user.classes & self.mask:
                heappush(self._next, (key_of(user, 1, user.items[1]), 1, user, None))
        self._aside.clear()
        self._noted.clear()

    def _wanted_of(self, user: UserQueue) -> int:
        wanted = self.mask & user.classes
        return wanted & ~self._barred.get(user.name, 0) if self._barred else wanted

    def _go_on(self, user: UserQueue, place: int) -> None:
        """Note a user's next request that is wanted, from a place on."""
        wanted = self._wanted_of(user)
        found = user.first_from(place, wanted) if wanted else None
        if found is not None:
            item = user.items[found]
            heappush(self._next, (key_of(user, found, item), found, user, item))

    def _go_on_to(self, bound: Key, user: UserQueue, place: int) -> None:
        """Note it if it stands before a bound."""
        wanted, items = self._wanted_of(user), user.items
        if not wanted:
            return
        if items[0][0] == bound[0] != -BOOKED:
            end = int(bound[1] * user.weight - user.used + _ROUNDING) + 1
            found = user.first_within(place, end, wanted)
        else:
            found = user.first_from(place, wanted)
        if found is not None and (key := key_of(user, found, items[found])) < bound:
            heappush(self._next, (key, found, user, items[found]))
            self._noted.add(user)

    def _look_back(self, key: Key) -> None:
        """Look again for what comes after a key, since more is wanted now."""
        self._next.clear()
        self._aside.clear()
        self._noted.clear()
        for _, user, *_ in self._queue.lineup().rows[: self._met]:
            items = user.items
            place = bisect_right(
                range(len(items)), key, key=lambda nth: key_of(user, nth, items[nth])
            )
            self._go_on(user, place)


def _place_before(rows: Sequence[Row], bound: Key, level: int, step: float) -> int:
    """Return how many users may have their request of a level before a bound."""
    priority, share, *_ = bound
    if priority != -BOOKED:
        share -= level * step - _ROUNDING
    return bisect_right(rows, ((priority, share, _LAST, ""),))
