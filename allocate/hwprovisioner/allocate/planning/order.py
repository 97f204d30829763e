"""The order of the queue: priority, then fair share, then time.

Each user has a queue of their own, in which nothing but priority and time counts. The order of all
is the merge of these queues by the users' shares: nobody's change of share moves anybody's request
within a queue, so nothing is ever sorted again, and a decision reads only as much of the merge as
it needs. See `fair_share.py` for what a share is.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge

from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.inventory import bits

BOOKED = 1_000_000
"""The priority of a booking whose time has come: before everything."""
REFRESH_MS = 15_000
"""Averages of use are worked out anew after so long; what is held now counts at once."""
_MANY = 8
"""All users are sorted anew if more than one in so many has moved."""
_BEFORE_ALL = -1
"""A turn before that of any request."""

Key = tuple[int, float, int, str]
"""Lower goes first: minus the priority, the share, the turn, the id."""
Item = tuple[int, int, str, int]
"""A request in its user's queue: minus the priority, the turn, the id, the bit of its class."""


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
    def item(self) -> Item:
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
    items: list[Item] = field(default_factory=list)
    by_class: dict[int, list[Item]] = field(default_factory=dict)
    """The same by the bit of their class."""
    classes: int = 0
    """The bits of their classes."""
    first: Item = (0, 0, "", 0)
    """The first request, and where it stands, as of when the order was last looked at."""
    bound: Key | None = None
    """None if there was none."""
    second: Key = (0, 0.0, 0, "")
    """None but the first stands before this."""

    def share(self, before: int) -> float:
        """Return what counts for a request that has so many of the same user before it."""
        return (self.held + self.average + before) / self.weight

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


class Queue:
    """All queued requests."""

    def __init__(
        self, average: Callable[[str, int], float], weight: Callable[[str], float]
    ) -> None:
        """Begin empty; `average` and `weight` tell of a user (at a time) what counts."""
        self._average = average
        self._weight = weight
        self._users: dict[str, UserQueue] = {}
        self._bounds: list[tuple[Key, UserQueue]] = []
        """By bound, those who have something queued."""
        self._moved: set[UserQueue] = set()
        """Whose bound may be another by now."""
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
        user, item = self.user(request.user), request.item
        self.requests[request.id] = request
        insort(user.items, item)
        of_class = user.by_class.setdefault(item[3], [])
        insort(of_class, item)
        user.classes |= item[3]
        self._moved.add(user)

    def remove(self, request_id: str) -> Request | None:
        """Take a request out, if it is there."""
        request = self.requests.pop(request_id, None)
        if request is None:
            return None
        user, item = self._users[request.user], request.item
        del user.items[bisect_left(user.items, item)]
        of_class = user.by_class[item[3]]
        del of_class[bisect_left(of_class, item)]
        if not of_class:
            del user.by_class[item[3]]
            user.classes &= ~item[3]
        self._moved.add(user)
        return request

    def hold(self, name: str, hosts: int) -> None:
        """Note that a user holds so many hosts more, or fewer."""
        user = self.user(name)
        user.held += hosts
        self._moved.add(user)

    def refresh(self, now_ms: int, *, force: bool = False) -> bool:
        """Work averages of use out anew if it is time; returns whether it was."""
        if not force and 0 <= now_ms - self._refreshed_ms < REFRESH_MS:
            return False
        self._refreshed_ms = now_ms
        for name, user in list(self._users.items()):
            user.weight, user.average = self._weight(name), self._average(name, now_ms)
            self._moved.add(user)
            if not user.items and not user.held:
                del self._users[name]
        return True

    def key(self, request_id: str) -> Key | None:
        """Return where a request stands; None if it is not queued."""
        request = self.requests.get(request_id)
        return None if request is None else self.key_in(request)

    def key_in(self, request: Request) -> Key:
        """Return where a request stands, which is queued."""
        user = self._users[request.user]
        return key_of(user, bisect_left(user.items, request.item), request.item)

    def in_order(self) -> Iterator[Request]:
        """Return all requests in order."""
        standing = merge(*(_standing(user) for user in self.users_in_order()))
        return (self.requests[key[3]] for key in standing)

    def users_in_order(self) -> Iterator[UserQueue]:
        """Return those who have something queued, by the first of their requests."""
        self._set_in_order()
        return (user for _, user in self._bounds)

    def in_turn(self) -> Sequence[tuple[Key, UserQueue]]:
        """Return the same with where the first of their requests stands."""
        self._set_in_order()
        return self._bounds

    def _set_in_order(self) -> None:
        moved, bounds = self._moved, self._bounds
        if len(moved) * _MANY > len(bounds):
            for user in moved:
                _rebind(user)
            queued = (user for user in self._users.values() if user.items)
            self._bounds = sorted((user.bound, user) for user in queued if user.bound)
        else:
            for user in moved:
                before = user.bound
                _rebind(user)
                if user.bound != before:
                    if before is not None:
                        del bounds[bisect_left(bounds, (before,))]
                    if user.bound is not None:
                        insort(bounds, (user.bound, user))
        moved.clear()


def _rebind(user: UserQueue) -> None:
    if not user.items:
        user.bound = None
        return
    user.first = user.items[0]
    user.bound = priority, share, _, _ = key_of(user, 0, user.first)
    following = share if priority == -BOOKED else user.share(1)
    user.second = priority, following, _BEFORE_ALL, user.name


def _standing(user: UserQueue) -> Iterator[Key]:
    return (key_of(user, place, item) for place, item in enumerate(user.items))


def key_of(user: UserQueue, before: int, item: Item) -> Key:
    """Return where a request stands that has so many of the same user before it."""
    priority, turn, request_id, _ = item
    if priority == -BOOKED:
        # Whoever's time has come does not share.
        return priority, 0.0, turn, request_id
    return priority, user.share(before), turn, request_id
