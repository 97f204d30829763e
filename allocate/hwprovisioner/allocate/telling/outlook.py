"""What queued requests wait for and when they are expected to start, from what the lab knows.

All of it is worked out for those that ask for the same at once, and kept until something changes.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.asked import HostClass, RequestClass, shapes_of
from hwprovisioner.allocate.planning.inventory import bits
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.room import Share
from hwprovisioner.allocate.set_demands import MAX_HOSTS, class_id
from hwprovisioner.allocate.telling.ahead import Ahead, Order, ahead_of
from hwprovisioner.allocate.telling.expectation import HOLDERS, Expected, Releases, rounded
from hwprovisioner.allocate.telling.holders import Holders
from hwprovisioner.allocate.telling.kept import Kept
from hwprovisioner.allocate.telling.stock import Matching, Stock
from hwprovisioner.allocate.telling.waiting import Waiting, lacking, waits_for
from hwprovisioner.state.view import View

_CLASSES = 16
"""The spans of so many of the classes that wait for the same are gone by."""

Options = tuple[HostClass, ...]


class Outlook:
    """Tells of queued requests what they wait for, and until when."""

    def __init__(self, view: View, lab: Lab) -> None:
        """Look at the lab of `view`."""
        self._view = view
        self._lab = lab
        self.kept = Kept()

    def reason(self, request: Request, failure: str = "") -> str:
        """Return what a request waits for; `failure` is what went wrong before."""
        now_ms = self._lab.clock.now_ms()
        number, latest_ms = self._giving_way().get(request.id, (0, 0))
        options = dict.fromkeys(itertools.chain.from_iterable(request.asked.hosts.values()))
        ahead = self._ahead(tuple(options)).get(request.id)
        lack = self._lack(request, now_ms)
        waiting = Waiting(
            self._lab.over_least(request) or ("" if lack else self._over(request, now_ms)),
            ahead.requests if ahead else 0,
            number,
            latest_ms,
            failure,
        )
        return waits_for(waiting, lack, now_ms)

    def lack_of(self, asked: RequestClass) -> str:
        """Return what those who ask for the same lack now, empty if nothing."""
        return self._lack(Request("", "", asked), self._lab.clock.now_ms())

    def expected(self, request: Request) -> Expected:
        """Return when a request is expected to be granted, rounded; 0 where nothing would tell."""
        lab, asked = self._lab, request.asked
        if lab.over_least(request) or not lab.planner.coming(asked, request.excluded):
            return Expected()
        found = []
        # To count takes longer than all else, and most ask for one host.
        sorts = {asked.lone: 1} if asked.lone else Counter(asked.hosts.values())
        for options, count in sorts.items():
            ahead = self._ahead(options).get(request.id)
            if ahead is None:
                return Expected()
            wanted = ahead.hosts + count - self.stock().available(self._matching(options))
            if wanted > 0:
                found.append(self._releases(options).nth(wanted))
        now_ms = lab.clock.now_ms()
        return Expected(
            rounded(_latest([each.middle_ms for each in found]), now_ms),
            rounded(_latest([each.likely_ms for each in found]), now_ms),
        )

    def stock(self) -> Stock:
        """Return how all resources stand."""
        planner = self._lab.planner
        return self.kept.get(
            "stock", self._lab.version, lambda: Stock(planner.finder, planner.keepers)
        )

    def order(self) -> Order:
        """Return all requests in order."""
        queue = self._lab.planner.queue
        return self.kept.get("order", self._lab.version, lambda: Order(queue))

    def _lack(self, request: Request, now_ms: int) -> str:
        wish = self._wish(request, now_ms)
        key = request.asked.key, request.excluded, request.max_ms, wish.booking, wish.also
        return self.kept.get(
            ("lack", key),
            self._lab.version,
            lambda: lacking(self._lab.planner.finder, self.stock(), wish, self._next_free),
        )

    def _over(self, request: Request, now_ms: int) -> str:
        """Return why a user may not have what could be had; it may be more than the least."""
        found = self._lab.planner.finder.find(self._wish(request, now_ms))
        return self._lab.planner.over_quota(request, found) if found else ""

    def _wish(self, request: Request, now_ms: int) -> Wish:
        keeper = self._lab.planner.keepers.get(request.id)
        return Wish.of(request, now_ms, tuple(sorted(keeper.names)) if keeper else ())

    def _next_free(self, options: Options) -> int:
        return self._releases(options).nth(1).middle_ms

    def _matching(self, options: Options) -> Matching:
        return self.kept.get(
            ("matching", options), self._lab.version, lambda: self.stock().matching(options)
        )

    def _ahead(self, options: Options) -> Mapping[str, Ahead]:
        planner = self._lab.planner
        rivals = planner.classes.rivals(options) & planner.classes.queued
        shapes = shapes_of(options)
        return self.kept.get(
            ("ahead", rivals, shapes),
            self._lab.version,
            lambda: ahead_of(self.order().requests, rivals, shapes),
        )

    def _releases(self, options: Options) -> Releases:
        matching = self._matching(options)
        return self.kept.get(
            ("releases", matching), self._lab.version, lambda: self._make(options, matching)
        )

    def _make(self, options: Options, matching: Matching) -> Releases:
        inventory, classes = self._lab.planner.inventory, self._lab.planner.classes
        now_ms = self._lab.clock.now_ms()

        def helps(name: str, share: Share) -> bool:
            bit = 1 << inventory.shape_of(name).index
            room = inventory.standing(name).room.with_again(share)
            return any(o.shapes & bit and room.share_for(o.option) is not None for o in options)

        all_holders = Holders(self._view, self._lab.past, now_ms)
        names, total = self.stock().in_use(matching, HOLDERS)
        holders, share = all_holders.of(names, total, helps)
        rivals = itertools.islice(bits(classes.rivals(options) & classes.queued), _CLASSES)
        spans = all_holders.spans(class_id(classes.at(place).key) for place in rivals)
        hosts = max((each.hosts for each in self._ahead(options).values()), default=0)
        return Releases(holders, spans, now_ms, hosts + MAX_HOSTS, share)

    def _giving_way(self) -> Mapping[str, tuple[int, int]]:
        """Return by request how many allocations give way to it, and when the last of them has."""
        if self._lab.policy.preemption is None:
            return {}
        return self.kept.get("giving way", self._lab.version, self._count_giving_way)

    def _count_giving_way(self) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for allocation_id in self._lab.giving_way:
            allocation = self._view.allocations[allocation_id]
            number, latest_ms = found.get(allocation.preempted_for, (0, 0))
            latest_ms = max(latest_ms, allocation.preempt_ms)
            found[allocation.preempted_for] = number + 1, latest_ms
        return found


def _latest(instants: Sequence[int]) -> int:
    """Return the latest of some instants, 0 if one of them is not known or there is none."""
    return max(instants) if instants and all(instants) else 0
