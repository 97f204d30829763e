"""The order of the queue: priority, then fair share, then time.

Each user has a queue of their own, in which nothing but priority and time counts. The order of all
is the merge of these queues by the users' shares: nobody's change of share moves anybody's request
within a queue, so nothing is ever sorted again, and a decision reads only as much of the merge as
it needs. See `fair_share.py` for what a share is.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from sortedcontainers import SortedList

from hwprovisioner.allocate.planning.classes import RequestClass
from hwprovisioner.allocate.planning.inventory import bits

BOOKED = 1_000_000
"""The priority of a booking whose time has come: before everything."""
REFRESH_MS = 15_000
"""Averages of use are worked out anew after so long; what is held now counts at once."""
_STEPS = 64
"""So many requests of a user that are not wanted are passed; then the next is looked up."""

Key = tuple[int, float, int, str]
"""Lower goes first: minus the priority, the share, the turn, the id."""
_Item = tuple[int, int, str, int]
"""A request in its user's queue: minus the priority, the turn, the id, the bit of its class."""
_Next = tuple[Key, int, "UserQueue", Iterator[_Item], _Item]
"""Where a request stands, its place in its user's queue, that, what comes after it, and it."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A queued request as planning sees it."""

    id: str
    user: str
    asked: RequestClass
    priority: int = 0
    turn: int = 0
    """What came first has the lower one."""
    max_ms: int = 0
    """How long it lasts at most from its grant, 0 for as long as its holder likes."""
    until_ms: int = 0
    """Of a booking: when it ends. 0 otherwise."""
    excluded: frozenset[str] = frozenset()
    """Resources that failed it."""
    reserved: tuple[str, ...] = ()
    """Of a booking: the resources that are kept for it."""

    @property
    def item(self) -> _Item:
        """Return where it belongs in its user's queue."""
        return -self.priority, self.turn, self.id, self.asked.bit

    def ends_ms(self, now_ms: int) -> int:
        """Return when it would have ended at the latest, were it granted now; 0 if unknown."""
        by_span = now_ms + self.max_ms if self.max_ms else 0
        return min(by_span, self.until_ms) if by_span and self.until_ms else by_span + self.until_ms


@dataclass(slots=True, eq=False)
class UserQueue:
    """A user, what they hold, and their requests in order."""

    name: str
    weight: float = 1.0
    held: int = 0
    """Hosts."""
    average: float = 0.0
    """Hosts held on average in the recent past."""
    items: "SortedList[_Item]" = field(default_factory=SortedList)
    by_class: "dict[int, SortedList[_Item]]" = field(default_factory=dict)
    """The same by the bit of their class."""
    classes: int = 0
    """The bits of their classes."""
    bound: Key | None = None
    """No request of this user goes before this; None if there is none."""

    def share(self, before: int) -> float:
        """Return what counts for a request that has so many of the same user before it."""
        return (self.held + self.average + before) / self.weight

    def first_from(self, start: int, mask: int) -> int | None:
        """Return the place of the first request of some classes from a place on."""
        if start >= len(self.items):
            return None
        least: _Item = self.items[start]
        found = []
        for place in bits(self.classes & mask):
            of_class = self.by_class[1 << place]
            nth = of_class.bisect_left(least)
            if nth < len(of_class):
                found.append(of_class[nth])
        return self.items.index(min(found)) if found else None


class Queue:
    """All queued requests."""

    def __init__(
        self, average: Callable[[str, int], float], weight: Callable[[str], float]
    ) -> None:
        """Begin empty; `average` and `weight` tell of a user (at a time) what counts."""
        self._average = average
        self._weight = weight
        self._users: dict[str, UserQueue] = {}
        self._bounds: SortedList[tuple[Key, str]] = SortedList()
        """(bound, user) of those who have something queued."""
        self.requests: dict[str, Request] = {}
        self._refreshed_ms = -REFRESH_MS

    def __len__(self) -> int:
        return len(self.requests)

    def user(self, name: str) -> UserQueue:
        """Return a user, known or not."""
        known = self._users.get(name)
        if known is None:
            known = self._users[name] = UserQueue(name, self._weight(name))
            known.average = self._average(name, max(self._refreshed_ms, 0))
        return known

    def add(self, request: Request) -> None:
        """Queue a request."""
        user, bit = self.user(request.user), request.asked.bit
        self.requests[request.id] = request
        user.items.add(request.item)
        of_class = user.by_class.get(bit)
        if of_class is None:
            of_class = user.by_class[bit] = SortedList()
            user.classes |= bit
        of_class.add(request.item)
        self._rebind(user)

    def remove(self, request_id: str) -> Request | None:
        """Take a request out, if it is there."""
        request = self.requests.pop(request_id, None)
        if request is None:
            return None
        user, bit = self._users[request.user], request.asked.bit
        user.items.remove(request.item)
        of_class = user.by_class[bit]
        of_class.remove(request.item)
        if not of_class:
            del user.by_class[bit]
            user.classes &= ~bit
        self._rebind(user)
        return request

    def hold(self, name: str, hosts: int) -> None:
        """Note that a user holds so many hosts more, or fewer."""
        user = self.user(name)
        user.held += hosts
        self._rebind(user)

    def refresh(self, now_ms: int, *, force: bool = False) -> bool:
        """Work averages of use out anew if it is time; returns whether it was."""
        if not force and 0 <= now_ms - self._refreshed_ms < REFRESH_MS:
            return False
        self._refreshed_ms = now_ms
        for name, user in list(self._users.items()):
            user.weight, user.average = self._weight(name), self._average(name, now_ms)
            self._rebind(user)
            if not user.items and not user.held:
                del self._users[name]
        return True

    def key(self, request_id: str) -> Key | None:
        """Return where a request stands; None if it is not queued."""
        request = self.requests.get(request_id)
        if request is None:
            return None
        user = self._users[request.user]
        return _key(user, user.items.index(request.item), request.item)

    def in_order(self) -> Iterator[Request]:
        """Return all requests in order."""
        return iter(Walk(self, -1))

    def _rebind(self, user: UserQueue) -> None:
        bound = _key(user, 0, user.items[0]) if user.items else None
        if bound == user.bound:
            return
        if user.bound is not None:
            self._bounds.remove((user.bound, user.name))
        if bound is not None:
            self._bounds.add((bound, user.name))
        user.bound = bound

    def users_in_order(self) -> Iterator[UserQueue]:
        """Return those who have something queued, by the first of their requests."""
        return (self._users[name] for _, name in self._bounds)


class Walk:
    """Goes through the requests of some classes in order; the queue must not change meanwhile.

    `mask` may change on the way: requests of classes that it has lost are passed over, and those
    of classes that it has gained are met from there on.
    """

    def __init__(self, queue: Queue, mask: int) -> None:
        """Begin before the first; `mask` has the bits of the classes."""
        self.mask = mask
        self._queue = queue
        self._barred: dict[str, int] = {}
        self._met: list[UserQueue] = []
        self._next: list[_Next] = []
        """A heap: of each user who was met, the next request that is wanted."""

    def bar(self, name: str, bit: int) -> None:
        """Pass over all further requests of a user for a class."""
        self._barred[name] = self._barred.get(name, 0) | bit

    def __iter__(self) -> Iterator[Request]:
        users = self._queue.users_in_order()
        upcoming = next(users, None)
        known = self.mask
        while self.mask:
            while upcoming is not None and not (
                self._next and self._next[0][0] < (upcoming.bound or ())
            ):
                self._met.append(upcoming)
                self._go_on(upcoming, iter(upcoming.items), 0)
                upcoming = next(users, None)
            if not self._next:
                return
            key, place, user, rest, item = heappop(self._next)
            if item[3] & self._wanted_of(user):
                yield self._queue.requests[item[2]]
            # What is lost was passed over meanwhile, so to have it again is to gain it.
            gained, known = self.mask & ~known, self.mask
            if gained:
                self._look_back(key)
            else:
                self._go_on(user, rest, place + 1)

    def _wanted_of(self, user: UserQueue) -> int:
        wanted = self.mask & user.classes
        return wanted & ~self._barred.get(user.name, 0) if self._barred else wanted

    def _go_on(self, user: UserQueue, rest: Iterator[_Item], place: int) -> None:
        """Look for a user's next request that is wanted; `rest` is what they have from a place."""
        wanted = self._wanted_of(user)
        if not wanted:
            return
        last = place + _STEPS
        for item in rest:
            if item[3] & wanted:
                heappush(self._next, (_key(user, place, item), place, user, rest, item))
                return
            place += 1
            if place > last:
                found = user.first_from(place, wanted)
                if found is not None:
                    self._go_on(user, user.items.islice(found), found)
                return

    def _look_back(self, key: Key) -> None:
        """Look again for what comes after a key, since more is wanted now."""
        self._next.clear()
        for user in self._met:
            items = user.items
            place = bisect_right(
                range(len(items)), key, key=lambda nth: _key(user, nth, items[nth])
            )
            self._go_on(user, items.islice(place), place)


def _key(user: UserQueue, before: int, item: _Item) -> Key:
    priority, turn, request_id, _ = item
    # Whoever's time has come does not share.
    return priority, 0.0 if priority == -BOOKED else user.share(before), turn, request_id
