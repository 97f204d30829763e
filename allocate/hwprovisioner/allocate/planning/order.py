"""The order of the queue: priority, then fair share, then time.

Each user has a queue of their own, in which nothing but priority and time counts. The order of all
is the merge of these queues by the users' shares: nobody's change of share moves anybody's request
within a queue, so nothing is ever sorted again, and a decision reads only as much of the merge as
it needs. See `fair_share.py` for what a share is.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from itertools import islice

from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.lineup import LEVELS, Item, Key, Lineup, UserQueue, key_of
from hwprovisioner.state.record import record

REFRESH_MS = 15_000
"""Averages of use are worked out anew after so long; what is held now counts at once."""
_MANY = 8
"""All users are sorted anew if more than one in so many has moved."""


@record
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


class Queue:
    """All queued requests."""

    def __init__(
        self, average: Callable[[str, int], float], weight: Callable[[str], float]
    ) -> None:
        """Begin empty; `average` and `weight` tell of a user (at a time) what counts."""
        self._average = average
        self._weight = weight
        self._users: dict[str, UserQueue] = {}
        self._lineup = Lineup()
        self._moved: set[UserQueue] = set()
        """Whose place in the lineup may be another by now."""
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
            known.reckon()
            self._lineup.step = min(self._lineup.step, 1 / known.weight)
        return known

    def add(self, request: Request) -> None:
        """Queue a request."""
        user, item = self.user(request.user), request.item
        self.requests[request.id] = request
        place = bisect_left(user.items, item)
        user.items.insert(place, item)
        user.bits.insert(place, item[3])
        insort(user.by_class.setdefault(item[3], []), item)
        user.classes |= item[3]
        if place < LEVELS:
            self._moved.add(user)

    def remove(self, request_id: str) -> Request | None:
        """Take a request out, if it is there."""
        request = self.requests.pop(request_id, None)
        if request is None:
            return None
        user, item = self._users[request.user], request.item
        place = bisect_left(user.items, item)
        del user.items[place], user.bits[place]
        if place < LEVELS:
            self._moved.add(user)
        of_class = user.by_class[item[3]]
        del of_class[bisect_left(of_class, item)]
        if not of_class:
            del user.by_class[item[3]]
            user.classes &= ~item[3]
        return request

    def hold(self, name: str, hosts: int) -> None:
        """Note that a user holds so many hosts more, or fewer."""
        user = self.user(name)
        user.held += hosts
        user.reckon()
        self._moved.add(user)

    def refresh(self, now_ms: int, *, force: bool = False) -> bool:
        """Work averages of use out anew if it is time; returns whether it was."""
        if not force and 0 <= now_ms - self._refreshed_ms < REFRESH_MS:
            return False
        self._refreshed_ms = now_ms
        for name, user in list(self._users.items()):
            user.weight, user.average = self._weight(name), self._average(name, now_ms)
            user.reckon()
            self._moved.add(user)
            if not user.items and not user.held:
                del self._users[name]
        self._lineup.step = min((1 / user.weight for user in self._users.values()), default=1.0)
        return True

    def key(self, request_id: str) -> Key | None:
        """Return where a request stands; None if it is not queued."""
        request = self.requests.get(request_id)
        return None if request is None else self.key_in(request)

    def key_in(self, request: Request) -> Key:
        """Return where a request stands, which is queued."""
        user = self._users[request.user]
        return key_of(user, bisect_left(user.items, request.item), request.item)

    def in_order(self) -> list[Request]:
        """Return all requests in order; costs by all of them."""
        # Sorted anew, in C, as most are in order already: a merge takes several times as long.
        rows = self.lineup().rows
        standing = [row[0] for row in rows]
        standing += (
            key_of(user, place, item)
            for user in [row[1] for row in rows if len(row[1].items) > 1]
            for place, item in enumerate(islice(user.items, 1, None), 1)
        )
        standing.sort()
        return [self.requests[key[3]] for key in standing]

    def users_in_order(self) -> Iterator[UserQueue]:
        """Return those who have something queued, by the first of their requests."""
        return (row[1] for row in self.lineup().rows)

    @property
    def users(self) -> int:
        """How many have something queued."""
        return len(self.lineup().rows)

    def lineup(self) -> Lineup:
        """Return the same with where the first of their requests stands."""
        if self._moved:
            if len(self._moved) * _MANY > len(self._lineup.rows):
                self._lineup.sort(self._moved, self._users.values())
            else:
                for user in self._moved:
                    self._lineup.move(user)
            self._moved.clear()
        return self._lineup
