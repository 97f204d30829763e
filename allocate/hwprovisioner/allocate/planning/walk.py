"""A walk through the queue in order, which reads only as much of it as is of use.

A decision wants the first requests of a few classes. Most users' first requests have waited long
and are of other classes, so what a user is passed for has to be cheap: it is one look.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import compress, count, islice

from hwprovisioner.allocate.planning.lineup import NOWHERE, Item, Key, Lineup, UserQueue, key_of
from hwprovisioner.allocate.planning.order import Queue, Request

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
        self._aside: list[UserQueue] = []
        """Of these nothing that is wanted was before what was found then."""
        self._next: list[_Next] = []
        """A heap: of each other user who was met, the next request that is wanted."""

    def bar(self, name: str, bit: int) -> None:
        """Pass over all further requests of a user for a class."""
        self._barred[name] = self._barred.get(name, 0) | bit

    def __iter__(self) -> Iterator[Request]:
        lineup = self._queue.lineup()
        known = self.mask
        while self.mask:
            self._find_next(lineup)
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

    def _find_next(self, lineup: Lineup) -> None:
        """Have the next request that is wanted at the front of the heap, if there is one."""
        upcoming, keys = self._next, lineup.keys
        aside, self._aside = self._aside, []
        self._pass(aside)
        while True:
            if self._met < len(keys) and not (upcoming and upcoming[0][0] < keys[self._met]):
                self._meet(lineup)
            if not upcoming or upcoming[0][3] is not None:
                return
            _, place, user, _ = heappop(upcoming)
            self._go_on(user, place)

    def _meet(self, lineup: Lineup) -> None:
        """Meet the next user whose first request is wanted, if nothing else is before it.

        Of those before them the first is not wanted, and the second mostly too far behind.
        """
        upcoming, keys, met = self._next, lineup.keys, self._met
        end = bisect_left(keys, upcoming[0][0], met) if upcoming else len(keys)
        # Whether they are barred is looked at when it is their turn.
        wanted = map(self.mask.__and__, islice(lineup.firsts, met, end))
        place = next(compress(count(met), wanted), end)
        self._met = place
        if place < end:
            user = lineup.users[place]
            heappush(upcoming, (keys[place], 0, user, user.items[0]))
            self._met += 1
        self._pass(lineup.users[met:place])

    def _pass(self, users: Iterable[UserQueue]) -> None:
        """Note the next requests of users whose first are not wanted, as far as it is of use."""
        upcoming, mask = self._next, self.mask
        # An entry without a request may well come to nothing, so it is no bound.
        before = min((each[0] for each in upcoming if each[3] is not None), default=NOWHERE)
        if before is NOWHERE:
            # Then most have nothing that is wanted: as when one request is looked for by itself.
            users = [user for user in users if user.classes & mask]
        for user in users:
            if not user.second < before:
                self._aside.append(user)
            elif (second := user.items[1])[3] & mask:
                heappush(upcoming, (user.second, 1, user, second))
            elif not user.third < before:
                self._aside.append(user)
            elif user.classes & mask:
                heappush(upcoming, (user.third, 2, user, None))

    def _wanted_of(self, user: UserQueue) -> int:
        wanted = self.mask & user.classes
        return wanted & ~self._barred.get(user.name, 0) if self._barred else wanted

    def _go_on(self, user: UserQueue, place: int) -> None:
        """Look for a user's next request that is wanted, from a place on."""
        wanted, items = self._wanted_of(user), user.items
        if not wanted:
            return
        end = min(place + _STEPS, len(items))
        while place < end and not items[place][3] & wanted:
            place += 1
        if place == end:
            found = user.first_from(place, wanted)
            if found is None:
                return
            place = found
        item = items[place]
        heappush(self._next, (key_of(user, place, item), place, user, item))

    def _look_back(self, key: Key) -> None:
        """Look again for what comes after a key, since more is wanted now."""
        self._next.clear()
        self._aside.clear()
        for user in self._queue.lineup().users[: self._met]:
            items = user.items
            place = bisect_right(
                range(len(items)), key, key=lambda nth: key_of(user, nth, items[nth])
            )
            self._go_on(user, place)
