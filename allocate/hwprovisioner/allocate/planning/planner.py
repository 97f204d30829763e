"""Deciding who gets what, from one change to the next.

The planner is told what has changed: a resource that came or was freed, a request that was queued.
A pass (`deciding.py`) looks at what that leads to. What it costs follows from the change, not from
the size of the lab or the queue.
"""

from collections.abc import Callable, Iterable

from hwprovisioner.allocate.planning.board import Board, Grant, OverQuota
from hwprovisioner.allocate.planning.deciding import Pass
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.planning.keeping import Keeper
from hwprovisioner.allocate.planning.order import Request


class Planner(Board):
    """Holds the resources and the queue of a lab, and decides."""

    def __init__(
        self,
        average: Callable[[str, int], float] = lambda user, now_ms: 0.0,
        weight: Callable[[str], float] = lambda user: 1.0,
        over_quota: OverQuota = lambda request, hosts: "",
        *,
        backfill: bool = True,
    ) -> None:
        """Begin with nothing; see `Board`."""
        super().__init__(average, weight, over_quota, backfill=backfill)
        self._changed: set[str] = set()
        self._arrived: dict[str, int] = {}
        """The bit of the class of each request that was not looked at yet."""

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
        grants = work.run()
        for grant in grants:
            self.remove(grant.request)
        return grants

    def _let_go(self, keeper: Keeper) -> None:
        for name in keeper.names:
            if name in self.inventory:
                self.inventory.open_up(name)
        self.look_at(keeper.names)

    def _offer(self, name: str) -> None:
        self._changed.add(name)
        self.classes.note_open(self.inventory.shape_of(name))

    def _forget_keeping(self, name: str) -> None:
        for keeper in self.keepers.values():
            keeper.names.discard(name)
