"""Who is before whom in the queue, counted. Pure; the queue must not change meanwhile."""

import itertools
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from hwprovisioner.allocate.planning.order import BOOKED, Key, Queue, Request, UserQueue, Walk

_LOOKED_AT = 5_000
"""So many requests that want some of the same are counted one by one."""


@dataclass(frozen=True, slots=True)
class Ahead:
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
        if user.bound is None or user.bound >= key:
            break
        before += _before(user, key)
    return before + 1


def all_places(queue: Queue) -> dict[str, int]:
    """Return the places of all requests."""
    return {request.id: place for place, request in enumerate(queue.in_order(), 1)}


def ahead_of(queue: Queue, rivals: int, shapes: int) -> Mapping[str, Ahead]:
    """Return what is before those that compete for the same, for the first of them.

    Args:
        queue: all that wait.
        rivals: the bits of the classes that compete for it.
        shapes: the bits of the shapes that they compete for; 0 counts all hosts.
    """
    found: dict[str, Ahead] = {}
    hosts = 0
    wanted: dict[int, int] = {}
    walk = Walk(queue, rivals)
    for place, request in enumerate(itertools.islice(walk, _LOOKED_AT)):
        found[request.id] = Ahead(place, hosts)
        bit = request.asked.bit
        if bit not in wanted:
            wanted[bit] = _hosts(request, shapes)
        hosts += wanted[bit]
    return found


def _hosts(request: Request, shapes: int) -> int:
    if not shapes:
        return len(request.asked.hosts)
    wanting = (
        options
        for options in request.asked.hosts.values()
        if any(option.shapes & shapes for option in options)
    )
    return sum(1 for _ in wanting)


def _before(user: UserQueue, key: Key) -> int:
    if _key(user, len(user.items) - 1) < key:
        return len(user.items)
    return bisect_left(range(len(user.items)), key, key=lambda nth: _key(user, nth))


def _key(user: UserQueue, nth: int) -> Key:
    """Return where a user's n-th request stands, as `Queue.key` does for one whose n is unknown."""
    priority, turn, request_id, _ = user.items[nth]
    return priority, 0.0 if priority == -BOOKED else user.share(nth), turn, request_id
