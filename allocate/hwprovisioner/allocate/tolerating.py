"""What is drained or in maintenance, for those whom the policy lets have it.

For everybody else it is closed, so that the lab's planner leaves it alone. Here a planner of its
own has those resources, the requests that tolerate maintenance, and for their sets some of what the
lab's planner has left over: it is made anew when something may have changed, as all that is little.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.set_demands import stored_set
from hwprovisioner.allocate.standings import Standings
from hwprovisioner.state.model import Allocation, Resource
from hwprovisioner.state.tables import Admin, AllocationState
from hwprovisioner.state.view import Change, View


class Tolerating:
    """Decides what of it is granted to whom."""

    def __init__(self, view: View, lab: Lab) -> None:
        """Begin to follow `view`, which `lab` follows, too."""
        self._view = view
        self._lab = lab
        self._standings = Standings(view.managers)
        self._waiting: dict[str, None] = {}
        self.follow(None)
        view.listen(self.follow)

    def follow(self, change: Change | None) -> None:
        """Note who waits and tolerates maintenance."""
        if change is None:
            self._waiting = {each.id: None for each in self._view.allocations.values() if _is(each)}
            return
        for changed in change.records.values():
            for allocation in (changed.before, changed.after):
                if isinstance(allocation, Allocation) and allocation.tolerates:
                    self._waiting.pop(allocation.id, None)
            if isinstance(changed.after, Allocation) and _is(changed.after):
                self._waiting[changed.after.id] = None

    def decide(self) -> list[Grant]:
        """Return what is granted now of what is out of service, whole sets only.

        The lab's planner decides first: whom it has just granted something is left out.
        """
        queued = self._lab.planner.queue.requests
        requests = [queued[each] for each in self._waiting if each in queued]
        if not requests:
            return []
        lab = self._lab.planner
        planner = Planner(over_quota=lab.over_quota, on_grant=lab.on_grant, backfill=False)
        planner.finder.booked, planner.finder.held = lab.finder.booked, lab.finder.held
        for resource in self._tolerable():
            planner.set_resource(resource.name, self._standings.of(resource))
        now_ms = self._lab.clock.now_ms()
        for name in self._left_over(requests, now_ms):
            planner.set_resource(name, lab.inventory.standing(name))
        for request in requests:
            demands = self._view.allocations[request.id].demands
            asked = planner.classes.get(demands, stored_set(demands))
            planner.add(replace(request, asked=asked, reserved=()))
        grants = planner.decide(now_ms)
        for name, share in (placed for grant in grants for placed in grant.hosts.values()):
            if lab.inventory.is_open(name):
                lab.inventory.take(name, share, 0)
        return grants

    def _tolerable(self) -> Iterator[Resource]:
        """Return what is drained or in maintenance, as if it were not."""
        for resource in self._view.resources.values():
            if resource.admin is not Admin.ENABLED:
                yield replace(resource, admin=Admin.ENABLED)

    def _left_over(self, requests: Iterable[Request], now_ms: int) -> Iterator[str]:
        """Return what is open to everybody, nobody takes, and may do for the rest of a set."""
        finder = self._lab.planner.finder
        for request in requests:
            hosts = request.asked.hosts
            wish = Wish.of(request, now_ms)
            for options in hosts.values() if len(hosts) > 1 else ():
                for name, _ in finder.candidates(wish, options, len(hosts)):
                    yield name


def _is(allocation: Allocation) -> bool:
    return allocation.tolerates and allocation.state is AllocationState.QUEUED
