"""Whose turn it is to have what: theirs before whom nobody could use it. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set

from hwprovisioner.allocate.planning.asked import HostClass, RequestClass, any_shape, shapes_of
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.lineup import Key
from hwprovisioner.allocate.planning.order import Queue, Request
from hwprovisioner.allocate.planning.walk import Walk

_ALL_CLASSES = -1


class _Claims:
    """What each may claim of some shapes: what nobody before it could use. Once for all who ask."""

    def __init__(self, shapes: int, classes: Classes, claimants: Iterator[Request], walk: Walk):
        """Begin with the first of the `claimants`, whom `walk` goes through."""
        self._unclaimed = shapes
        self._classes = classes
        self._claimants = claimants
        self._walk = walk
        self._claimed: dict[str, int] = {}

    def has_one(self, request: Request, shapes: int) -> bool:
        """Say whether a request claims one of some shapes."""
        while self._unclaimed & shapes and not self._claimed.get(request.id, 0) & shapes:
            other = next(self._claimants, None)
            if other is None:
                break
            claimed = shapes_of(other.asked.options) & self._unclaimed
            if claimed:
                self._claimed[other.id] = claimed
                self._unclaimed &= ~claimed
                self._walk.mask &= self._classes.matching_any(self._unclaimed)
        return bool(self._claimed.get(request.id, 0) & shapes)


class Turns:
    """Whose turn it is for what, in one pass."""

    def __init__(
        self,
        queue: Queue,
        classes: Classes,
        coming: Callable[[RequestClass, frozenset[str]], bool],
        granted: Set[str],
    ) -> None:
        """Look at a queue that does not change meanwhile.

        Args:
            queue: it, of which those who were granted something leave only later.
            classes: what they ask for.
            coming: says whether something can be had one day; for what cannot, nobody's turn comes.
            granted: the requests that were granted something; there may be more and more.
        """
        self._queue = queue
        self._classes = classes
        self._coming = coming
        self._granted = granted
        self._known = len(granted)
        self._barred: set[tuple[str, int]] = set()
        self._first: dict[int, Request | None] = {}
        self._claims: dict[int, _Claims] = {}

    def bar(self, user: str, bit: int) -> None:
        """Note that a user may not have what a class asks for, and is in nobody's way."""
        self._barred.add((user, bit))
        self._forget()

    def has_come(self, request: Request, missing: Iterable[str]) -> bool:
        """Say whether each host that a request lacks can be had of something it is first for."""
        asked = {request.asked.hosts[host] for host in missing}
        return all(self._is_first(request, options) for options in asked)

    def is_first_for_shared(self, request: Request) -> bool:
        """Say whether nobody before a request could use a sort of shared resource, or one it names.

        Asked of one for whom nothing that is shared has room.
        """
        options, inventory = request.asked.lone, self._classes.inventory
        shapes = any_shape(options) & inventory.divisible & inventory.open
        if not shapes:
            return False
        if self._among(inventory.divisible).has_one(request, shapes):
            return True
        named = {option.option.resource for option in options}
        masks = [self._classes.matching(name) for name in named if name in inventory]
        return any(self._is_first_of(request, mask) for mask in masks)

    def next_of_others(self, request: Request, missing: Iterable[str]) -> Key | None:
        """Return where the first request of another user stands that wants what a request lacks."""
        mask = 0
        for host in missing:
            mask |= self._classes.rivals(request.asked.hosts[host])
        walk = self._walk(mask)
        walk.bar(request.user, _ALL_CLASSES)
        return next((walk.key for _ in self._counting(walk)), None)

    def _is_first(self, request: Request, options: Sequence[HostClass]) -> bool:
        if self._is_first_of(request, self._classes.rivals(options)):
            return True
        # Those before it may all be waiting for what is rarer.
        every = (1 << len(self._classes.inventory.shapes)) - 1
        return self._among(every).has_one(request, shapes_of(options))

    def _is_first_of(self, request: Request, mask: int) -> bool:
        first = self._first_of(mask)
        return first is not None and first.id == request.id

    def _among(self, shapes: int) -> _Claims:
        """Return who claims what of some shapes."""
        self._forget_if_granted()
        claims = self._claims.get(shapes)
        if claims is None:
            walk = self._walk(self._classes.matching_any(shapes))
            claims = _Claims(shapes, self._classes, self._counting(walk), walk)
            self._claims[shapes] = claims
        return claims

    def _forget_if_granted(self) -> None:
        if len(self._granted) != self._known:
            self._forget()

    def _forget(self) -> None:
        self._known = len(self._granted)
        self._first.clear()
        self._claims.clear()

    def _first_of(self, mask: int) -> Request | None:
        self._forget_if_granted()
        if mask not in self._first:
            self._first[mask] = next(self._counting(self._walk(mask)), None)
        return self._first[mask]

    def _counting(self, walk: Walk) -> Iterator[Request]:
        return (each for each in walk if self._counts(each, walk))

    def _walk(self, mask: int) -> Walk:
        return Walk(self._queue, mask & self._classes.queued)

    def _counts(self, request: Request, walk: Walk) -> bool:
        """Say whether a request is in the way of those behind it."""
        if request.id in self._granted:
            return False
        if (request.user, request.asked.bit) in self._barred:
            walk.bar(request.user, request.asked.bit)
            return False
        if self._coming(request.asked, request.excluded):
            return True
        if not request.excluded:
            walk.mask &= ~request.asked.bit
        return False
