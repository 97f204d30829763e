"""Watches the planner at work: who lends to whom, and who is passed over although first in line.

The planner tells of each grant before it is carried out, in its own order and while that stands.
There it can be seen what a grant is made of: something that a set keeps, or something that a
request before it lacks.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from hwprovisioner.allocate.demand import RelationKind
from hwprovisioner.allocate.planning.asked import HostClass, RequestClass
from hwprovisioner.allocate.planning.inventory import bits
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Placed, value_of
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.planning.walk import Walk
from hwprovisioner.allocate.simulate.trace import Loan, PassedOver, Trace


class Watch:
    """Notes in the trace what passes do."""

    def __init__(self, planner: Planner, trace: Trace) -> None:
        """Watch a planner."""
        self._planner = planner
        self._trace = trace
        self._granted: dict[str, tuple[Request, tuple[str, ...]]] = {}
        """In this pass, without what was lent: who was granted which resources."""
        self._ahead: list[tuple[str, str]] = []
        """Who waits, and who is granted something although after them."""
        self._refused: dict[str, str] = {}
        """By request that is over a quota, the user."""
        self._loans: list[tuple[str, str, str, int]] = []

    def refused(self, request: Request) -> None:
        """Note that a quota is in the way of a request."""
        self._refused[request.id] = request.user

    def forget_refusals(self, concerns: Callable[[str], bool]) -> None:
        """Note that less is in use of the quota of some users."""
        self._refused = {k: user for k, user in self._refused.items() if not concerns(user)}

    def before(self, request: Request, found: Mapping[str, Placed]) -> None:
        """Look at what will be granted at once."""
        names = tuple(placed.resource for placed in found.values())
        lent = [
            (keeper, name)
            for keeper in self._planner.keepers.values()
            for name in names
            if name in keeper.names
        ]
        for keeper, name in lent:
            self._loans.append((keeper.request, request.id, name, keeper.start_ms))
        self._granted[request.id] = request, names
        if not lent:
            self._ahead += [(other, request.id) for other in self._before(request, names)]

    def _before(self, request: Request, names: Collection[str]) -> Iterator[str]:
        """Return the first of each user and class that stand before a request and want the same."""
        queue, key = self._planner.queue, self._planner.queue.key(request.id)
        classes = 0
        for name in names:
            classes |= self._planner.classes.matching(name)
        for user in queue.users_in_order():
            for place in bits(user.classes & classes):
                waiting = (item[2] for item in user.by_class[1 << place])
                first = next((each for each in waiting if each not in self._granted), None)
                if first is not None and self._is_before(first, request, key):
                    yield first

    def _is_before(self, first: str, request: Request, key: object) -> bool:
        other = self._planner.queue.requests[first]
        its_key = self._planner.queue.key(first)
        return other.turn < request.turn and its_key is not None and its_key < key  # type: ignore[operator]

    def after(self, epoch_ms: int, now_ms: int) -> None:
        """Note what a pass has done, before anything else is told to the planner."""
        for keeper_id, borrower, name, start_ms in self._loans:
            promised_ms = start_ms - epoch_ms
            self._trace.loans.append(Loan(keeper_id, borrower, name, promised_ms))
            self._trace.promises.setdefault(keeper_id, promised_ms)
        lenders = {loan[0] for loan in self._loans}
        for keeper in self._planner.keepers.values():
            # What is lent is not there any more to be planned with; such a plan was made before.
            if keeper.request not in self._trace.promises and keeper.request not in lenders:
                until_ms = keeper.lends_until(epoch_ms + now_ms)
                if until_ms:
                    self._trace.promises[keeper.request] = until_ms - epoch_ms
        for waiting, granted in self._ahead:
            request = self._planner.queue.requests.get(waiting)
            if request and waiting not in self._refused and self._could_use(request, granted):
                self._trace.passed_over.append(PassedOver(waiting, granted, now_ms))
        self._granted.clear()
        self._ahead.clear()
        self._loans.clear()

    def _could_use(self, waiting: Request, granted: str) -> bool:
        """Say whether one who waits is first in line for what it lacks, and that was granted."""
        names = self._granted[granted][1]
        lacking = self._lacking(waiting)
        if not any(self._helps(waiting, option, name) for option in lacking for name in names):
            return False
        mask = 0
        for option in lacking:
            mask |= self._planner.classes.rivals(option)
        queue = self._planner.queue
        first = next(iter(Walk(queue, mask & self._planner.classes.queued)), None)
        return first is not None and first.id == waiting.id

    def _lacking(self, waiting: Request) -> list[tuple[HostClass, ...]]:
        """Return what a request asks for more of than it keeps."""
        keeper = self._planner.keepers.get(waiting.id)
        kept = keeper.names if keeper else set()
        hosts = list(waiting.asked.hosts.values())
        return [
            options
            for options in dict.fromkeys(hosts)
            if sum(self._matches(options, name) for name in kept) < hosts.count(options)
        ]

    def _matches(self, options: Collection[HostClass], name: str) -> bool:
        if name not in self._planner.inventory:
            return False
        shape = self._planner.inventory.shape_of(name)
        return any(option.matches(name, shape) for option in options)

    def _helps(self, waiting: Request, options: Collection[HostClass], name: str) -> bool:
        return self._matches(options, name) and self._is_related(waiting.asked, waiting.id, name)

    def _is_related(self, asked: RequestClass, request: str, name: str) -> bool:
        """Say whether a resource goes with what is kept, where hosts have to do with each other."""
        keeper = self._planner.keepers.get(request)
        kept = keeper.names if keeper else set()
        shapes = self._planner.inventory.shape_of
        for relation in asked.demand.relations:
            value = value_of(relation.label, shapes(name).spec)
            values = {value_of(relation.label, shapes(each).spec) for each in kept}
            is_same = relation.kind is RelationKind.SAME
            if values and (value in values) is not is_same:
                return False
        return True
