"""One pass over what may be granted after some changes.

It goes through the queue in order, but only through the classes that could use what has changed,
and ends as soon as that is given out. A set whose turn it is and that cannot be had whole keeps
what it could have had (`keeping.py`), so that a stream of small requests never starves it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial

from hwprovisioner.allocate.planning.arrivals import Arrivals
from hwprovisioner.allocate.planning.board import Board, Grant
from hwprovisioner.allocate.planning.keeping import Keeper, note_lack, roomiest, start_by
from hwprovisioner.allocate.planning.lending import Lending
from hwprovisioner.allocate.planning.offered import Offered
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Placed, Placement
from hwprovisioner.allocate.planning.turns import Turns
from hwprovisioner.allocate.planning.walk import Walk
from hwprovisioner.allocate.planning.wish import Wish

_DEPTH = 100
"""So many requests of a class are looked at in a pass when each may fail for its own reason."""
_ROUNDS = 4
"""So often the queue is gone through; what was kept and is not any longer is offered to all."""


_LARGE = 4
"""So many requests that are too large for what is free of a shared resource may keep that."""


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
        self._arrivals = Arrivals(arrived)
        self._lending = Lending(board, now_ms)
        self._granted: set[str] = set()
        """They stay in the queue until the end of the pass, as that must not change on the way."""
        self._blocked = 0
        self._looked: dict[int, int] = {}
        self._again = 0
        """The bits of the classes of which one that was looked for by itself was granted."""
        self._too_large = 0
        """So many requests for one host were looked for in vain."""
        self._grants: list[Grant] = []

    @cached_property
    def _turns(self) -> Turns:
        # Made when somebody asks for the first time: mostly nobody does.
        board = self._board
        return Turns(board.queue, board.classes, board.coming, self._granted)

    def run(self) -> list[Grant]:
        """Go through the queue until nothing that has changed is of use to anybody."""
        for _ in range(_ROUNDS):
            released = self._go_through()
            if not released:
                break
            self._blocked = 0
            self._lending.forget_borrowers()
            for name in released:
                self._board.inventory.open_up(name)
            self._open.add(released)
        return self._grants

    def _go_through(self) -> set[str]:
        """Go through the queue once; returns what was kept, and is not any longer."""
        released = set[str]()
        walk = Walk(self._board.queue, self._mask())
        for request in walk:
            if request.id in self._granted:
                continue  # in an earlier round
            was_asked_for = self._arrivals.classes and self._arrivals.take(request.id)
            if not request.asked.bit & self._blocked:
                if keeper := self._board.keepers.get(request.id):
                    self._kept[request.id] = self._lending.open_up(keeper)
                is_granted = self._visit(request, walk)
                # There may be enough for another one.
                self._again &= ~request.asked.bit
                self._again |= request.asked.bit if is_granted and was_asked_for else 0
            for name in self._kept.pop(request.id, ()):
                if self._board.inventory.is_open(name):
                    # Not for those behind it before those in front of it were asked.
                    self._board.inventory.shut(name)
                    released.add(name)
            walk.mask = self._mask()
        released.update(*self._kept.values())
        self._kept.clear()
        return released

    def _mask(self) -> int:
        """Return the classes that may still have a use for something."""
        mask = self._open.classes | self._arrivals.classes | self._lending.borrowers | self._again
        mask &= self._board.classes.queued
        return mask & ~self._blocked if self._blocked else mask

    def _visit(self, request: Request, walk: Walk) -> bool:
        """Grant a request, or let it wait; returns whether it was granted."""
        wish = self._lending.wish(request, walk.key)
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
            is_first = any(self._turns.has_come(request, [host]) for host in asked.hosts)
            if not (is_first or wish.has_kept):
                self._block(request)
                return None
        missing = board.finder.lacks_open(asked)
        if not missing or wish.has_kept or self._turns.has_come(request, missing):
            return board.finder.place(wish)
        options = [option for host in missing for option in asked.hosts[host]]
        board.classes.await_only(asked, options, len(missing))
        self._block(request)
        return None

    def _take(self, request: Request, wish: Wish, found: Mapping[str, Placed]) -> None:
        board = self._board
        if wish.behind:
            self._take_from_behind(wish, [placed.resource for placed in found.values()])
        board.on_grant(request, found)
        for name, share in found.values():
            board.inventory.take(name, share, board.finder.free_again(name, wish.ends_ms))
            if self._lending.is_lent(name):
                self._lending.lend_on(name)
            elif not board.inventory.is_open(name):
                self._open.discard(name)
        self._granted.add(request.id)
        self._grants.append(Grant(request.id, found))

    def _take_from_behind(self, wish: Wish, names: Iterable[str]) -> None:
        """Have those looked at of whose keeping some resources are taken."""
        for keeper in self._lending.losers(wish, names):
            self._kept[keeper.request] = self._lending.open_up(keeper)
            request = self._board.queue.requests[keeper.request]
            self._arrivals.add(request.id, request.asked.bit)

    def _block(self, request: Request) -> None:
        """Pass over the rest of a class, if what failed one fails all of them."""
        asked = request.asked
        self._looked[asked.bit] = self._looked.get(asked.bit, 0) + 1
        is_alone = request.excluded or self._board.finder.booked
        may_borrow = asked.bit & self._lending.borrowers
        if not (is_alone or may_borrow) or self._looked[asked.bit] >= _DEPTH:
            self._blocked |= asked.bit

    def _keep(self, request: Request, wish: Wish, placement: Placement | None) -> None:
        """Let a request keep what it could have had, if it is its turn."""
        board, asked = self._board, request.asked
        if placement is None:
            self._too_large += 1
            if self._too_large == _LARGE:
                self._open.only_what_fits()
            if not self._turns.is_first_for_shared(request):
                return
        if placement is None or wish.also:
            # It keeps nothing that one before it keeps, if that might have been lent to it.
            wish = replace(wish, also=())
            placement = board.finder.place(wish)
        missing = [host for host in asked.hosts if host not in placement.placed]
        note_lack(board.finder, request, placement)
        names = {placed.resource for placed in placement.placed.values()}
        # A shared resource that is to have room for it one day must not be filled up before.
        names.update(roomiest(wish, asked.hosts[host], board.finder) for host in missing)
        names.discard("")
        if not names or not self._gathers(request, missing, len(names)):
            return
        if board.coming(asked, request.excluded):
            self._take_from_behind(wish, names)
            plan = partial(start_by, wish, placement, board.finder)
            self._lending.keep(Keeper(request.id, names, board.inventory.shapes_of(names), plan))
            for name in names:
                self._open.discard(name)

    def _gathers(self, request: Request, missing: Iterable[str], count: int) -> bool:
        """Say whether it is a request's turn to keep something, or it lets so much go by."""
        if request.asked.lone:
            return True  # or nothing would have been looked for
        if not self._turns.has_come(request, missing):
            return False
        patience, queue = self._board.patience, self._board.queue
        others = self._turns.next_of_others(request, missing)
        user = queue.user(request.user)
        return patience.is_over(request, count, queue.key_in(request), user, others)
