"""A walk through the queue in order, which reads only as much of it as is of use.

A decision wants the first requests of a few classes. Most users' first requests have waited long
and are of other classes, so what a user is passed for has to be cheap: it is one look.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from hwprovisioner.allocate.planning.order import Item, Key, Queue, Request, UserQueue, key_of

_STEPS = 64
"""So many requests of a user that are not wanted are passed; then the next is looked up."""

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
        self._next: list[_Next] = []
        """A heap: of each user who was met, the next request that is wanted."""

    def bar(self, name: str, bit: int) -> None:
        """Pass over all further requests of a user for a class."""
        self._barred[name] = self._barred.get(name, 0) | bit

    def __iter__(self) -> Iterator[Request]:
        users = self._queue.in_turn()
        known = self.mask
        while self.mask:
            self._find_next(users)
            if not self._next:
                return
            key, place, user, item = heappop(self._next)
            if item is not None and item[3] & self._wanted_of(user):
                self.key = key
                yield self._queue.requests[item[2]]
            # What is lost was passed over meanwhile, so to have it again is to gain it.
            gained, known = self.mask & ~known, self.mask
            if gained:
                self._look_back(key)
            else:
                self._go_on(user, place + 1)

    def _find_next(self, users: Sequence[tuple[Key, UserQueue]]) -> None:
        """Have the next request that is wanted at the front of the heap, if there is one."""
        upcoming, mask, met, count = self._next, self.mask, self._met, len(users)
        while True:
            # Of users who are met the first request alone is looked at: mostly the first of others
            # come before their second.
            while met < count and not (upcoming and upcoming[0][0] < users[met][0]):
                bound, user = users[met]
                met += 1
                if user.first[3] & mask:
                    # Whether its user is barred is looked at when it is its turn.
                    heappush(upcoming, (bound, 0, user, user.first))
                elif user.classes & mask:
                    heappush(upcoming, (user.second, 1, user, None))
            if not upcoming or upcoming[0][3] is not None:
                break
            _, place, user, _ = heappop(upcoming)
            self._go_on(user, place)
        self._met = met

    def _wanted_of(self, user: UserQueue) -> int:
        wanted = self.mask & user.classes
        return wanted & ~self._barred.get(user.name, 0) if self._barred else wanted

    def _go_on(self, user: UserQueue, place: int) -> None:
        """Look for a user's next request that is wanted, from a place on."""
        wanted, items = self._wanted_of(user), user.items
        if not wanted:
            return
        for item in items[place : place + _STEPS]:
            if item[3] & wanted:
                break
            place += 1
        else:
            found = user.first_from(place, wanted)
            if found is None:
                return
            place, item = found, items[found]
        heappush(self._next, (key_of(user, place, item), place, user, item))

    def _look_back(self, key: Key) -> None:
        """Look again for what comes after a key, since more is wanted now."""
        self._next.clear()
        for _, user in self._queue.in_turn()[: self._met]:
            items = user.items
            place = bisect_right(
                range(len(items)), key, key=lambda nth: key_of(user, nth, items[nth])
            )
            self._go_on(user, place)
