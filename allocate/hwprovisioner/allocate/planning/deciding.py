"""One pass over what may be granted after some changes.

It goes through the queue in order, but only through the classes that could use what has changed,
and ends as soon as that is given out. A set whose turn it is and that cannot be had whole keeps
what it could have had (`keeping.py`), so that a stream of small requests never starves it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from hwprovisioner.allocate.planning.asked import HostClass, RequestClass, any_shape
from hwprovisioner.allocate.planning.board import Board, Grant
from hwprovisioner.allocate.planning.inventory import bits
from hwprovisioner.allocate.planning.keeping import Keeper, Turns, roomiest, start_by
from hwprovisioner.allocate.planning.lineup import Key
from hwprovisioner.allocate.planning.offered import Offered
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Placed, Placement
from hwprovisioner.allocate.planning.walk import Walk
from hwprovisioner.allocate.planning.wish import Wish

_DEPTH = 100
"""So many requests of a class are looked at in a pass when each may fail for its own reason."""
_ROUNDS = 4
"""So often the queue is gone through; what was kept and is not any longer is offered to all."""
_BACKFILL_DEPTH = 100
"""So many requests are looked at in a pass whether they may use what sets keep."""


class Pass:
    """One pass over what may be granted after some changes."""

    def __init__(
        self,
        board: Board,
        now_ms: int,
        changed: Iterable[str],
        arrived: Mapping[str, int],
        kept: Mapping[str, Iterable[str]],
    ) -> None:
        """Begin with the resources and the requests that have changed.

        Args:
            board: the lab.
            now_ms: now, in ms since the epoch.
            changed: resources that are open.
            arrived: the bits of the classes of requests that are to be looked at.
            kept: what those of them have that kept something. That is open to those before it,
                and offered to all if it is not kept again.
        """
        self._board = board
        self._kept = dict(kept)
        self._now_ms = now_ms
        self._open = Offered(board.classes, changed)
        self._arrived: dict[str, int] = {}
        self._of_class: Counter[int] = Counter()
        self._arrivals = 0
        """The bits of the classes of those that are still to be looked at."""
        for request_id, bit in arrived.items():
            self._arrive(request_id, bit)
        self._turns = Turns(board.queue, board.classes, board.coming)
        self._blocked = 0
        self._looked: dict[int, int] = {}
        self._lent: dict[str, Keeper] = {}
        if board.backfill:
            for keeper in board.keepers.values():
                self._lent.update(dict.fromkeys(keeper.names, keeper))
        self._places: dict[str, Key] = {}
        """By request that keeps something, where it stands."""
        self._borrowers = 0
        """The bits of the classes of which something ends in time to use what is newly kept."""
        self._again = 0
        """The bits of the classes of which one that was looked for by itself was granted."""
        self._looks = _BACKFILL_DEPTH
        self._grants: list[Grant] = []

    def run(self) -> list[Grant]:
        """Go through the queue until nothing that has changed is of use to anybody."""
        for _ in range(_ROUNDS):
            released = self._go_through()
            if not released:
                break
            self._borrowers = self._blocked = 0
            for name in released:
                self._board.inventory.open_up(name)
            self._open.add(released)
        return self._grants

    def _go_through(self) -> set[str]:
        """Go through the queue once; returns what was kept, and is not any longer."""
        released = set[str]()
        walk = Walk(self._board.queue, self._mask())
        for request in walk:
            if request.id in self._turns.granted:
                continue  # in an earlier round
            was_asked_for = self._arrived.pop(request.id, 0)
            self._note_looked(was_asked_for)
            if not request.asked.bit & self._blocked:
                if keeper := self._board.keepers.get(request.id):
                    self._kept[request.id] = self._open_up(keeper)
                is_granted = self._visit(request, walk)
                # There may be enough for another one.
                self._again &= ~request.asked.bit
                self._again |= was_asked_for if is_granted else 0
            for name in self._kept.pop(request.id, ()):
                if self._board.inventory.is_open(name):
                    # Not for those behind it before those in front of it were asked.
                    self._board.inventory.shut(name)
                    released.add(name)
            walk.mask = self._mask()
        released.update(*self._kept.values())
        self._kept.clear()
        return released

    def _arrive(self, request_id: str, bit: int) -> None:
        """Have a request looked at, which is of the class of a bit."""
        if request_id not in self._arrived:
            self._arrived[request_id] = bit
            self._of_class[bit] += 1
            self._arrivals |= bit

    def _note_looked(self, bit: int) -> None:
        """Note that one fewer of a class is still to be looked at; 0 is none."""
        if bit:
            self._of_class[bit] -= 1
            if not self._of_class[bit]:
                self._arrivals &= ~bit

    def _mask(self) -> int:
        """Return the classes that may still have a use for something."""
        classes = self._board.classes
        mask = self._open.classes | self._arrivals
        if self._looks > 0:
            mask |= self._borrowers
        return (mask | self._again) & classes.queued & ~self._blocked

    def _visit(self, request: Request, walk: Walk) -> bool:
        """Grant a request, or let it wait; returns whether it was granted."""
        wish = self._wish(request, walk.key)
        if request.asked.lone:
            found, placement = self._board.finder.find(wish), None
        else:
            placement = self._place_set(request, wish)
            if placement is None:
                return False
            found = placement.placed if placement.is_whole else None
        if found is None:
            self._keep(request, wish, placement)
            self._block(request)
        elif self._board.over_quota(request, found):
            walk.bar(request.user, request.asked.bit)
            self._turns.bar(request.user, request.asked.bit)
        else:
            self._take(request, wish, found)
            return True
        return False

    def _place_set(self, request: Request, wish: Wish) -> Placement | None:
        """Place what can be placed of a set, None if there is no use in trying."""
        board, asked = self._board, request.asked
        if asked.bit & self._open.lacking:
            # It can only be its turn to keep something, and that only of the first for it.
            self._open.claim(asked.awaits)
            has_more = wish.also or wish.behind
            if not (has_more or any(self._turns.has_come(request, [h]) for h in asked.hosts)):
                self._block(request)
                return None
        missing = board.finder.lacks_open(asked)
        has_more = wish.also or wish.behind
        if not missing or has_more or self._turns.has_come(request, missing):
            return board.finder.place(wish)
        options = [option for host in missing for option in asked.hosts[host]]
        board.classes.await_only(asked, options, len(missing))
        self._block(request)
        return None

    def _wish(self, request: Request, key: Key) -> Wish:
        also: tuple[str, ...] = ()
        behind: tuple[str, ...] = ()
        if self._board.keepers:
            behind = self._kept_behind(request, key)
            ends_ms = request.ends_ms(self._now_ms)
            if self._lent and ends_ms:
                self._looks -= 1
                also = tuple(
                    name
                    for name, keeper in self._lent.items()
                    if name not in behind
                    and self._board.finder.free_again(name, ends_ms)
                    <= keeper.lends_until(self._now_ms)
                )
        return Wish.of(request, self._now_ms, also, behind)

    def _kept_behind(self, request: Request, key: Key) -> tuple[str, ...]:
        """Return what those keep that stand behind a request, as far as it could be of use."""
        shapes = any_shape(request.asked.options)
        names: list[str] = []
        for keeper in self._board.keepers.values():
            if keeper.shapes & shapes and self._place(keeper.request) > key:
                names += keeper.names
        return tuple(names)

    def _place(self, request_id: str) -> Key:
        place = self._places.get(request_id)
        if place is None:
            queue = self._board.queue
            place = self._places[request_id] = queue.key_in(queue.requests[request_id])
        return place

    def _open_up(self, keeper: Keeper) -> set[str]:
        """Open what was kept; returns that."""
        board = self._board
        del board.keepers[keeper.request]
        for name in keeper.names:
            self._lent.pop(name, None)
            board.inventory.open_up(name)
        return {name for name in keeper.names if board.inventory.is_open(name)}

    def _take_from_behind(self, wish: Wish, names: Iterable[str]) -> None:
        """Have those looked at of whose keeping some resources are taken."""
        taken = {name for name in names if name in wish.behind}
        if taken:
            for keeper in [k for k in self._board.keepers.values() if k.names & taken]:
                left = self._open_up(keeper)
                self._kept[keeper.request] = left
                request = self._board.queue.requests[keeper.request]
                self._arrive(request.id, request.asked.bit)

    def _take(self, request: Request, wish: Wish, found: Mapping[str, Placed]) -> None:
        self._take_from_behind(wish, [placed.resource for placed in found.values()])
        self._board.on_grant(request, found)
        ends_ms = request.ends_ms(self._now_ms)
        for placed in found.values():
            free_ms = self._board.finder.free_again(placed.resource, ends_ms)
            self._board.inventory.take(placed.resource, placed.share, free_ms)
            if placed.resource in self._lent:
                self._lend_on(placed.resource)
            elif not self._board.inventory.is_open(placed.resource):
                self._open.discard(placed.resource)
        self._turns.take(request.id)
        # It stays in the queue until the end of the pass, as that must not change on the way.
        self._grants.append(Grant(request.id, found))

    def _lend_on(self, name: str) -> None:
        """Lend what is left of a resource that is kept, if there is something."""
        self._board.inventory.shut(name)
        if self._board.inventory.standing(name).room.slots < 1:
            self._lent.pop(name).lose(name)

    def _block(self, request: Request) -> None:
        """Pass over the rest of a class, if what failed one fails all of them."""
        asked = request.asked
        self._looked[asked.bit] = self._looked.get(asked.bit, 0) + 1
        is_alone = request.excluded or self._board.finder.booked
        may_borrow = asked.bit & self._borrowers and self._looks > 0
        if not (is_alone or may_borrow) or self._looked[asked.bit] >= _DEPTH:
            self._blocked |= asked.bit

    def _keep(self, request: Request, wish: Wish, placement: Placement | None) -> None:
        """Let a request keep what it could have had, if it is its turn."""
        board, asked = self._board, request.asked
        if placement is None and not self._may_keep(request):
            return
        if placement is None or wish.also:
            # It keeps nothing that one before it keeps, if that might have been lent to it.
            wish = replace(wish, also=())
            placement = board.finder.place(wish)
        missing = [host for host in asked.hosts if host not in placement.placed]
        self._note_lack(request, placement, len(missing))
        names = {placed.resource for placed in placement.placed.values()}
        # A shared resource that is to have room for it one day must not be filled up before.
        names.update(roomiest(wish, asked.hosts[host], board.finder) for host in missing)
        names.discard("")
        if not names or not self._turns.has_come(request, missing):
            return
        if board.coming(asked, request.excluded):
            self._take_from_behind(wish, names)
            shapes = 0
            for name in names:
                shapes |= 1 << board.inventory.shape_of(name).index
            plan = partial(start_by, wish, placement, board.finder)
            self._let_keep(Keeper(request.id, names, shapes, plan))

    def _may_keep(self, request: Request) -> bool:
        """Say whether a request for one host, for which there is no room, may keep what there is.

        Many are asked when a shared machine has become a little freer, so it has to be cheap.
        """
        inventory = self._board.inventory
        open_shared = any_shape(request.asked.lone) & inventory.divisible & inventory.open
        return bool(open_shared) and self._turns.has_come(request, request.asked.hosts)

    def _note_lack(self, request: Request, placement: Placement, lack: int) -> None:
        """Note what would help a class, so that it is not looked at for anything else."""
        board, asked = self._board, request.asked
        every = list(asked.options)
        is_matching = not (asked.demand.relations or board.finder.booked or request.excluded)
        if is_matching and not any_shape(every) & board.inventory.divisible:
            hosts = placement.stuck()
            options = [option for host in hosts for option in asked.hosts[host]]
            board.classes.await_only(asked, options, lack)
        else:
            board.classes.await_only(asked, every, self._least_lack(asked, every))

    def _least_lack(self, asked: RequestClass, every: Sequence[HostClass]) -> int:
        """Return how many more machines a set needs at least, whatever relations say."""
        inventory, shapes = self._board.inventory, any_shape(every)
        if shapes & inventory.divisible:
            return 1
        count = sum(len(inventory.shapes[index].free) for index in bits(shapes & inventory.open))
        return max(1, len(asked.hosts) - count)

    def _let_keep(self, keeper: Keeper) -> None:
        self._board.keepers[keeper.request] = keeper
        for name in keeper.names:
            self._board.inventory.shut(name)
            self._open.discard(name)
        if self._board.backfill:
            self._lend(keeper, keeper.names)

    def _lend(self, keeper: Keeper, names: Iterable[str]) -> None:
        """Lend resources that are kept from now on, or more of them."""
        classes, finder = self._board.classes, self._board.finder
        for name in names:
            self._lent[name] = keeper
            span_ms = keeper.lends_until(self._now_ms) - self._now_ms - finder.turnover(name)
            self._borrowers |= classes.shorter_than(classes.matching(name), span_ms)
