"""What is kept, during one pass: who may have it nevertheless.

Those who end in time are lent it. Those who stand before whoever keeps it may take it away.
"""

from collections.abc import Collection, Iterable

from hwprovisioner.allocate.planning.asked import any_shape
from hwprovisioner.allocate.planning.board import Board
from hwprovisioner.allocate.planning.keeping import Keeper
from hwprovisioner.allocate.planning.lineup import Key
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.wish import Wish

_LOOKS = 100
"""So many requests are looked at in a pass whether they may use what is kept."""


class Lending:
    """What is kept, and who may have it."""

    def __init__(self, board: Board, now_ms: int) -> None:
        """Begin with what was kept before the pass."""
        self._board = board
        self._now_ms = now_ms
        self._lent: dict[str, Keeper] = {}
        if board.backfill:
            for keeper in board.keepers.values():
                self._lent.update(dict.fromkeys(keeper.names, keeper))
        self._keys: dict[str, Key] = {}
        """By request that keeps something, where it stands."""
        self.borrowers = 0
        """The bits of the classes of which something ends in time to use what is newly kept."""
        self._looks = _LOOKS

    def forget_borrowers(self) -> None:
        """Offer what is kept to nobody but to those who are looked at anyway."""
        self.borrowers = 0

    def is_lent(self, name: str) -> bool:
        """Say whether a resource is kept, and may be used meanwhile."""
        return name in self._lent

    def wish(self, request: Request, key: Key) -> Wish:
        """Return what a request, which stands somewhere, looks for: also among what is kept."""
        if not self._board.keepers:
            return Wish.of(request, self._now_ms)
        behind = self._kept_behind(request, key)
        ends_ms = request.ends_ms(self._now_ms)
        also: tuple[str, ...] = ()
        if self._lent and ends_ms:
            self._looks -= 1
            if self._looks <= 0:
                self.borrowers = 0
            lent = (name for name in self._lent if name not in behind)
            also = tuple(name for name in lent if self._ends_in_time(name, ends_ms))
        return Wish.of(request, self._now_ms, also, behind)

    def _ends_in_time(self, name: str, ends_ms: int) -> bool:
        free_ms = self._board.finder.free_again(name, ends_ms)
        return free_ms <= self._lent[name].lends_until(self._now_ms)

    def _kept_behind(self, request: Request, key: Key) -> tuple[str, ...]:
        """Return what those keep that stand behind a request, as far as it could be of use."""
        shapes = any_shape(request.asked.options)
        names: list[str] = []
        for keeper in self._board.keepers.values():
            if keeper.shapes & shapes and self._key(keeper.request) > key:
                names += keeper.names
        return tuple(names)

    def _key(self, request_id: str) -> Key:
        key = self._keys.get(request_id)
        if key is None:
            queue = self._board.queue
            key = self._keys[request_id] = queue.key_in(queue.requests[request_id])
        return key

    def keep(self, keeper: Keeper) -> None:
        """Have something kept from now on, and lend it."""
        self._board.keepers[keeper.request] = keeper
        for name in keeper.names:
            self._board.inventory.shut(name)
            if self._board.backfill:
                self._lend(name, keeper)

    def _lend(self, name: str, keeper: Keeper) -> None:
        classes = self._board.classes
        self._lent[name] = keeper
        span_ms = keeper.lends_until(self._now_ms) - self._now_ms
        span_ms -= self._board.finder.turnover(name)
        if self._looks > 0:
            self.borrowers |= classes.shorter_than(classes.matching(name), span_ms)

    def lend_on(self, name: str) -> None:
        """Lend what is left of a resource of which something was taken, if there is anything."""
        self._board.inventory.shut(name)
        if self._board.inventory.standing(name).room.slots < 1:
            self._lent.pop(name).lose(name)

    def open_up(self, keeper: Keeper) -> set[str]:
        """Keep something no longer; returns what of it can be granted."""
        for name in keeper.names:
            self._lent.pop(name, None)
        return self._board.let_go(keeper)

    def losers(self, wish: Wish, names: Iterable[str]) -> Collection[Keeper]:
        """Return who keeps what is taken by one before them."""
        taken = {name for name in names if name in wish.behind}
        return [keeper for keeper in self._board.keepers.values() if keeper.names & taken]
