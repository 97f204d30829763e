"""Deciding who gets what, from one change to the next.

The planner knows the lab by shapes and classes and is told what has changed: a resource that came
or was freed, a request that was queued. A pass goes through the queue in order, but only through
the classes that could use what has changed, and ends as soon as that is given out. What it costs
follows from the change, not from the size of the lab or the queue.

A set whose turn it is and that cannot be had whole keeps what it could have had (`keeping.py`), so
that a stream of small requests never starves it. What it keeps is worked out anew in each pass.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hwprovisioner.allocate.planning.classes import Classes, RequestClass, shapes_of
from hwprovisioner.allocate.planning.finding import Finder, Scope, Wish
from hwprovisioner.allocate.planning.inventory import Inventory, Standing
from hwprovisioner.allocate.planning.keeping import Keeper, Turns, start_by
from hwprovisioner.allocate.planning.order import Queue, Request, Walk
from hwprovisioner.allocate.planning.placement import Placed, Placement

_DEPTH = 100
"""So many requests of a class are looked at in a pass when each may fail for its own reason."""
_BACKFILL_DEPTH = 100
"""So many requests are looked at in a pass whether they may use what sets keep."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request gets."""

    request: str
    hosts: Mapping[str, Placed]


OverQuota = Callable[[Request, Mapping[str, Placed]], str]
"""Tells why a user may not have what was found for them, empty if they may."""


class Planner:
    """Holds the resources and the queue of a lab, and decides."""

    def __init__(
        self,
        average: Callable[[str, int], float] = lambda user, now_ms: 0.0,
        weight: Callable[[str], float] = lambda user: 1.0,
        over_quota: OverQuota = lambda request, hosts: "",
        *,
        backfill: bool = True,
    ) -> None:
        """Begin with nothing. What is asked of users is explained in `order.py`."""
        self.classes = Classes()
        self.inventory: Inventory = self.classes.inventory
        self.finder = Finder(self.classes)
        self.queue = Queue(average, weight)
        self.backfill = backfill
        self.over_quota = over_quota
        self.keepers: dict[str, Keeper] = {}
        """By request, what it keeps."""
        self._changed: set[str] = set()
        self._arrived: dict[str, int] = {}
        """The bit of the class of each request that was not looked at yet."""

    @property
    def has_work(self) -> bool:
        """Whether something changed since the last pass."""
        return bool(self._changed or self._arrived)

    def set_resource(self, name: str, standing: Standing | None, ends_ms: int = 0) -> None:
        """Take in how a resource is now; see `Inventory.put`."""
        self._forget_keeping(name)
        self.inventory.put(name, standing, ends_ms)
        if standing is not None and self.inventory.is_open(name):
            self._offer(name)
        else:
            self._changed.discard(name)

    def add(self, request: Request) -> None:
        """Queue a request."""
        self.queue.add(request)
        self.classes.enqueue(request.asked, bounded=bool(request.max_ms))
        self._arrive(request)

    def remove(self, request_id: str) -> Request | None:
        """Take a request out of the queue, if it is there."""
        request = self.queue.remove(request_id)
        if request is not None:
            self.classes.dequeue(request.asked, bounded=bool(request.max_ms))
            self._arrived.pop(request_id, None)
            if keeper := self.keepers.pop(request_id, None):
                self._let_go(keeper)
        return request

    def look_again(self, request_ids: Iterable[str]) -> None:
        """Look at some requests again in the next pass: what was in their way may be gone."""
        for request_id in request_ids:
            if request := self.queue.requests.get(request_id):
                self._arrive(request)

    def _arrive(self, request: Request) -> None:
        # Where nothing is open that any of its hosts could use, nobody need look.
        if self.finder.has_open(request.asked):
            self._arrived[request.id] = request.asked.bit

    def look_at(self, names: Iterable[str]) -> None:
        """Look at some resources again in the next pass."""
        for name in names:
            if name in self.inventory and self.inventory.is_open(name):
                self._offer(name)

    def decide(self, now_ms: int) -> list[Grant]:
        """Return what is granted now. It counts as taken; whatever is refused is set anew."""
        self.queue.refresh(now_ms)
        for keeper in self.keepers.values():
            self._let_go(keeper)
            if request := self.queue.requests.get(keeper.request):
                self._arrived[request.id] = request.asked.bit
                self.classes.lacking &= ~request.asked.bit
        self.keepers.clear()
        work = Pass(self, now_ms, self._changed, self._arrived)
        self._changed, self._arrived = set(), {}
        return work.run()

    def feasible(self, asked: RequestClass, excluded: frozenset[str] = frozenset()) -> bool:
        """Say whether a set could be placed were all that is registered free and in service."""
        if excluded:
            return self.finder.find(Wish(asked, excluded), Scope.EVER) is not None
        if asked.feasible_at != self.inventory.registered:
            asked.feasible_at = self.inventory.registered
            asked.feasible = self.finder.find(Wish(asked), Scope.EVER) is not None
        return asked.feasible

    def coming(self, asked: RequestClass, excluded: frozenset[str] = frozenset()) -> bool:
        """Say whether a set can be had one day without anybody's doing."""
        if excluded:
            return self.finder.find(Wish(asked, excluded), Scope.COMING) is not None
        if asked.coming_at != self.inventory.version:
            asked.coming_at = self.inventory.version
            asked.coming = self.finder.find(Wish(asked), Scope.COMING) is not None
        return asked.coming

    def _let_go(self, keeper: Keeper) -> None:
        for name in keeper.names:
            if name in self.inventory:
                self.inventory.open_up(name)
                self._offer(name)

    def _offer(self, name: str) -> None:
        self._changed.add(name)
        self.classes.note_open(self.inventory.shape_of(name))

    def _forget_keeping(self, name: str) -> None:
        for keeper in self.keepers.values():
            keeper.names.discard(name)


class Pass:
    """One pass over what may be granted after some changes."""

    def __init__(
        self, planner: Planner, now_ms: int, changed: Iterable[str], arrived: Mapping[str, int]
    ) -> None:
        """Begin with the resources and the requests that have changed."""
        self._planner = planner
        self._now_ms = now_ms
        self._open = Offered(planner.classes, changed)
        self._arrived = dict(arrived)
        self._turns = Turns(planner.queue, planner.classes)
        self._blocked = 0
        self._looked: Counter[int] = Counter()
        self._lent: dict[str, Keeper] = {}
        self._looks = _BACKFILL_DEPTH
        self._taken: list[str] = []
        self._grants: list[Grant] = []

    def run(self) -> list[Grant]:
        """Go through the queue until nothing that has changed is of use to anybody."""
        walk = Walk(self._planner.queue, self._mask())
        for request in walk:
            self._arrived.pop(request.id, None)
            if not request.asked.bit & self._blocked:
                self._visit(request, walk)
            walk.mask = self._mask()
        for request_id in self._taken:
            self._planner.remove(request_id)
        return self._grants

    def _mask(self) -> int:
        """Return the classes that may still have a use for something."""
        classes = self._planner.classes
        mask = self._open.classes
        for bit in self._arrived.values():
            mask |= bit
        if self._lent and self._looks > 0:
            for name in self._lent:
                mask |= classes.matching(name) & classes.bounded
        return mask & classes.queued & ~self._blocked

    def _visit(self, request: Request, walk: Walk) -> None:
        wish = self._wish(request)
        if request.asked.lone:
            found, placement = self._planner.finder.find(wish), None
        else:
            placement = self._place_set(request, wish)
            if placement is None:
                return
            found = placement.placed if placement.is_whole else None
        if found is None:
            self._keep(request, wish, placement)
            self._block(request)
        elif self._planner.over_quota(request, found):
            walk.bar(request.user, request.asked.bit)
        else:
            self._take(request, found)

    def _place_set(self, request: Request, wish: Wish) -> Placement | None:
        """Place what can be placed of a set, None if there is no use in trying."""
        planner, asked = self._planner, request.asked
        if asked.bit & planner.classes.lacking:
            # It can only be its turn to keep something, and that only of the first of them.
            self._blocked |= planner.classes.lacking
        missing = planner.finder.lacks_open(asked)
        if not missing or self._lent or self._turns.has_come(request, missing):
            return planner.finder.place(wish)
        options = [option for host in missing for option in asked.hosts[host]]
        planner.classes.await_only(asked, options, len(missing))
        self._block(request)
        return None

    def _wish(self, request: Request) -> Wish:
        ends_ms = request.ends_ms(self._now_ms)
        also: tuple[str, ...] = ()
        if self._lent and ends_ms:
            self._looks -= 1
            also = tuple(
                name
                for name, keeper in self._lent.items()
                if ends_ms <= keeper.lends_until(self._now_ms)
            )
        booking = request.id if request.until_ms else ""
        return Wish(
            request.asked,
            request.excluded,
            booking,
            self._now_ms,
            ends_ms,
            request.reserved,
            also,
        )

    def _take(self, request: Request, found: Mapping[str, Placed]) -> None:
        ends_ms = request.ends_ms(self._now_ms)
        for placed in found.values():
            self._planner.inventory.take(placed.resource, placed.share, ends_ms)
            if placed.resource in self._lent:
                self._planner.inventory.shut(placed.resource)
            elif not self._planner.inventory.is_open(placed.resource):
                self._open.discard(placed.resource)
        self._turns.take(request.id)
        # It stays in the queue until the end of the pass, as that must not change on the way.
        self._taken.append(request.id)
        self._grants.append(Grant(request.id, found))

    def _block(self, request: Request) -> None:
        """Pass over the rest of a class, if what failed one fails all of them."""
        asked = request.asked
        self._looked[asked.bit] += 1
        is_alone = request.excluded or self._planner.finder.booked
        may_borrow = self._lent and asked.bit & self._planner.classes.bounded and self._looks > 0
        if not (is_alone or may_borrow) or self._looked[asked.bit] >= _DEPTH:
            self._blocked |= asked.bit

    def _keep(self, request: Request, wish: Wish, placement: Placement | None) -> None:
        """Let a request keep what it could have had, if it is its turn."""
        planner, asked = self._planner, request.asked
        if placement is None:
            if not shapes_of(asked.lone) & planner.inventory.divisible:
                return
            placement = planner.finder.place(wish)
        missing = [host for host in asked.hosts if host not in placement.placed]
        self._note_lack(request, placement, len(missing))
        names = {placed.resource for placed in placement.placed.values()}
        # A shared resource that is to have room for it one day must not be filled up before.
        names.update(planner.finder.roomiest(wish, asked.hosts[host]) for host in missing)
        names.discard("")
        if not names or not self._turns.has_come(request, missing):
            return
        if planner.coming(asked, request.excluded):
            found = placement
            self._let_keep(Keeper(request.id, names, plan=lambda: self._start(wish, found)))

    def _note_lack(self, request: Request, placement: Placement, lack: int) -> None:
        """Note what would help a class, so that it is not looked at for anything else."""
        planner, asked = self._planner, request.asked
        every = [option for options in asked.hosts.values() for option in options]
        is_matching = not (asked.demand.relations or planner.finder.booked or request.excluded)
        if is_matching and not shapes_of(every) & planner.inventory.divisible:
            hosts = placement.stuck()
            options = [option for host in hosts for option in asked.hosts[host]]
            planner.classes.await_only(asked, options, lack)
        else:
            planner.classes.await_only(asked, every, 1)

    def _let_keep(self, keeper: Keeper) -> None:
        self._planner.keepers[keeper.request] = keeper
        for name in keeper.names:
            self._planner.inventory.shut(name)
            self._open.discard(name)
            if self._planner.backfill:
                self._lent[name] = keeper

    def _start(self, wish: Wish, placement: Placement) -> int:
        return start_by(wish, placement, self._planner.finder)


class Offered:
    """The resources that have changed and are open, and the classes they could serve."""

    def __init__(self, classes: Classes, names: Iterable[str]) -> None:
        """Begin with resources that are open."""
        self._classes = classes
        self._names = set(names)
        self._of_shape: Counter[int] = Counter()
        self.classes = 0
        """The bits of the classes that they could serve."""
        for name in self._names:
            self._of_shape[classes.inventory.shape_of(name).index] += 1
        self._add_up()

    def discard(self, name: str) -> None:
        """Take a resource out: it is given away, or kept."""
        if name in self._names:
            self._names.discard(name)
            index = self._classes.inventory.shape_of(name).index
            self._of_shape[index] -= 1
            if not self._of_shape[index]:
                del self._of_shape[index]
            if not self._of_shape.get(index) or self._classes.is_named(name):
                self._add_up()

    def _add_up(self) -> None:
        shapes = self._classes.inventory.shapes
        self.classes = self._classes.named(self._names)
        for index in self._of_shape:
            self.classes |= shapes[index].awaited
