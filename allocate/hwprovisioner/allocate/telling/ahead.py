"""Who is before whom in the queue, counted. Pure; the queue must not change meanwhile."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, islice
from typing import NamedTuple

from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.inventory import bits
from hwprovisioner.allocate.planning.lineup import Key, UserQueue, key_of
from hwprovisioner.allocate.planning.order import Queue, Request

_LOOKED_AT = 5_000
"""So many requests that want some of the same are counted one by one."""


class Ahead(NamedTuple):
    """What is before a request of what wants some of the same."""

    requests: int
    hosts: int
    """So many hosts of them want it."""


def place_of(queue: Queue, request_id: str) -> int:
    """Return how many are before a request, plus one; 0 if it is not queued.

    Costs by the users who are before it, not by their requests.
    """
    key = queue.key(request_id)
    if key is None:
        return 0
    before = 0
    for user in queue.users_in_order():
        if user.first is None or user.first >= key:
            break
        before += _before(user, key)
    return before + 1


class Order:
    """All requests in order, as it was at one moment."""

    def __init__(self, queue: Queue) -> None:
        """Take the order down; costs by the requests."""
        self._queue = queue
        self.requests: Sequence[Request] = queue.in_order()
        self._places = {request.id: place for place, request in enumerate(self.requests, 1)}

    def __len__(self) -> int:
        return len(self.requests)

    def place(self, request_id: str) -> int:
        """Return the place of a request; 0 if it is not queued.

        Of one that has come since, about where it stands among those that were there.
        """
        if place := self._places.get(request_id):
            return place
        key = self._queue.key(request_id)
        return 0 if key is None else self._about(key)

    def _about(self, key: Key) -> int:
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            known = self._known_key(middle, high)
            if known is None or known > key:
                high = middle
            else:
                low = middle + 1
        return low + 1

    def _known_key(self, first: int, end: int) -> Key | None:
        """Return the key of the first request from a place on that is still queued."""
        keys = (self._queue.key(self.requests[place].id) for place in range(first, end))
        return next((key for key in keys if key is not None), None)


def ahead_of_one(queue: Queue, request: Request, rivals: int, shapes: int) -> Ahead:
    """Return what is before one request of those that compete for the same.

    Costs by the users who are before it and the classes that compete, not by the requests; the
    arguments are those of `AheadOfEach`.
    """
    key = queue.key_in(request)
    ahead = Ahead(0, 0)
    for user in queue.users_in_order():
        if user.first is None or user.first >= key:
            break
        before = _before(user, key) if user.classes & rivals else 0
        for place in bits(user.classes & rivals if before else 0):
            of_class = user.by_class[1 << place]
            number = len(of_class)
            if before < len(user.items):
                number = bisect_left(of_class, user.items[before])
            hosts = _hosts(queue.requests[of_class[0][2]].asked, shapes)
            ahead = Ahead(ahead.requests + number, ahead.hosts + number * hosts)
    return ahead


class AheadOfEach:
    """What is before each of those that compete for the same, as it was at one moment."""

    def __init__(self, requests: Sequence[Request], rivals: int, shapes: int) -> None:
        """Count it for the first of them; costs by the requests.

        Args:
            requests: all that wait, in order.
            rivals: the bits of the classes that compete for it.
            shapes: the bits of the shapes that they compete for; 0 counts all hosts.
        """
        competing = (request for request in requests if request.asked.bit & rivals)
        first = list(islice(competing, _LOOKED_AT))
        wanted = {asked: _hosts(asked, shapes) for asked in {request.asked for request in first}}
        self._requests = {request.id: place for place, request in enumerate(first)}
        self._hosts = list(accumulate((wanted[request.asked] for request in first), initial=0))

    def of(self, request_id: str) -> Ahead | None:
        """Return what is before a request, None if it was not one of the first."""
        place = self._requests.get(request_id)
        return None if place is None else Ahead(place, self._hosts[place])


def hosts_wanted(queue: Queue, rivals: int, shapes: int) -> int:
    """Return how many hosts those want in all that compete for the same.

    Costs by the users and the classes that compete; the arguments are those of `AheadOfEach`.
    """
    wanted = 0
    for user in queue.users_in_order():
        for place in bits(user.classes & rivals):
            of_class = user.by_class[1 << place]
            wanted += len(of_class) * _hosts(queue.requests[of_class[0][2]].asked, shapes)
    return wanted


def _hosts(asked: RequestClass, shapes: int) -> int:
    if not shapes:
        return len(asked.hosts)
    wanting = (
        options
        for options in asked.hosts.values()
        if any(option.shapes & shapes for option in options)
    )
    return sum(1 for _ in wanting)


def _before(user: UserQueue, key: Key) -> int:
    items = user.items
    if key_of(user, len(items) - 1, items[-1]) < key:
        return len(items)
    return bisect_left(range(len(items)), key, key=lambda nth: key_of(user, nth, items[nth]))
