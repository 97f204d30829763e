"""Deciding who gets what, from one change to the next.

The planner is told what has changed: a resource that came or was freed, a request that was queued.
A pass (`deciding.py`) looks at what that leads to. What it costs follows from the change, not from
the size of the lab or the queue.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from hwprovisioner.allocate.planning.asked import any_shape
from hwprovisioner.allocate.planning.board import Board, Grant, OnGrant, OverQuota
from hwprovisioner.allocate.planning.deciding import Pass
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.planning.order import Request


class Planner(Board):
    """Holds the resources and the queue of a lab, and decides."""

    def __init__(
        self,
        average: Callable[[str, int], float] = lambda user, now_ms: 0.0,
        weight: Callable[[str], float] = lambda user: 1.0,
        over_quota: OverQuota = lambda request, hosts: "",
        on_grant: OnGrant = lambda request, hosts: None,
        *,
        backfill: bool = True,
    ) -> None:
        """Begin with nothing; see `Board`."""
        super().__init__(average, weight, over_quota, on_grant, backfill=backfill)
        self._changed: set[str] = set()
        self._arrived: dict[str, int] = {}
        """The bit of the class of each request that was not looked at yet."""
        self._version = 0
        """That of the inventory when what is kept was looked at last."""
        self._head = ""
        """The first request of all when what is kept was looked at last."""

    def set_resource(self, name: str, standing: Standing | None, ends_ms: int = 0) -> None:
        """Take in how a resource is now; see `Inventory.put`."""
        if self.keepers:
            self._forget_keeping(name)
        self.inventory.put(name, standing, ends_ms)
        if standing is not None and self.inventory.is_open(name):
            self._changed.add(name)
        else:
            self._changed.discard(name)

    def add(self, request: Request) -> None:
        """Queue a request."""
        self.queue.add(request)
        self.classes.enqueue(request.asked, request.max_ms)
        self._arrive(request)

    def remove(self, request_id: str) -> Request | None:
        """Take a request out of the queue, if it is there."""
        request = self.queue.remove(request_id)
        if request is not None:
            self.classes.dequeue(request.asked, request.max_ms)
            self._arrived.pop(request_id, None)
            self.patience.forget(request_id)
            if keeper := self.keepers.get(request_id):
                self._changed |= self.let_go(keeper)
        return request

    def look_again(self, request_ids: Iterable[str]) -> None:
        """Look at some requests again in the next pass: what was in their way may be gone."""
        for request_id in request_ids:
            if request := self.queue.requests.get(request_id):
                self._arrive(request)

    def _arrive(self, request: Request) -> None:
        # Where nothing is open to it that any of its hosts could use, nobody need look.
        if self.finder.has_open(request.asked) or self._may_have_kept(request):
            self._arrived[request.id] = request.asked.bit

    def _may_have_kept(self, request: Request) -> bool:
        """Say whether it might have what is kept: as one before who keeps it, or lent."""
        if not self.keepers:
            return False
        shapes, queue = any_shape(request.asked.options), self.queue
        useful = [keeper for keeper in self.keepers.values() if keeper.shapes & shapes]
        if request.max_ms or request.until_ms:
            return bool(useful)
        key = queue.key_in(request)
        return any(key < queue.key_in(queue.requests[each.request]) for each in useful)

    def look_at(self, names: Iterable[str]) -> None:
        """Look at some resources again in the next pass."""
        self._changed.update(n for n in names if n in self.inventory and self.inventory.is_open(n))

    def decide(self, now_ms: int) -> list[Grant]:
        """Return what is granted now. It counts as taken; whatever is refused is set anew."""
        # The order may have shifted: what is kept is offered to all, from time to time.
        is_shifted = self.queue.refresh(now_ms)
        kept = self._open_doubtful(is_shifted) if self.keepers else {}
        if self.keepers:
            self._look_at_head()
        changed, arrived = self._changed, self._arrived
        if not changed and not arrived:
            return []
        self._changed, self._arrived = set(), {}
        if is_shifted:
            changed.update(*kept.values())
            kept.clear()
        grants = Pass(self, now_ms, changed, arrived, kept).run()
        if self.classes.lacking:
            self._note_open(changed.union(*kept.values()))
        for grant in grants:
            self.remove(grant.request)
        return grants

    def _open_doubtful(self, is_shifted: bool) -> dict[str, set[str]]:
        """Open what some keep that may have to keep something else; returns what, by request."""
        has_changed, self._version = self._version != self.inventory.version, self.inventory.version
        kept = {}
        for keeper in list(self.keepers.values()):
            request = self.queue.requests[keeper.request]
            is_doubtful = is_shifted or keeper.has_lost
            if is_doubtful or (has_changed and not self.coming(request.asked, request.excluded)):
                self._arrived[request.id] = request.asked.bit
                self.classes.lacking &= ~request.asked.bit
                kept[request.id] = self.let_go(keeper)
        return kept

    def _look_at_head(self) -> None:
        """Look at the first of all if it has become that: it may have what those behind it keep."""
        [(first, *_), *_] = self.queue.lineup().rows
        head = self.queue.requests[first[3]]
        if head.id != self._head:
            self._head = head.id
            self._arrive(head)

    def _note_open(self, changed: Iterable[str]) -> None:
        """Note what stays open; what was given away or is kept helps no other set."""
        opened = Counter(self.inventory.shape_of(n) for n in changed if self.inventory.is_open(n))
        for shape, count in opened.items():
            self.classes.note_open(shape, count)

    def _forget_keeping(self, name: str) -> None:
        for keeper in self.keepers.values():
            if name in keeper.names:
                keeper.lose(name)
