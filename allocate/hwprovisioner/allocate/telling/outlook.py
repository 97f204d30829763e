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
from hwprovisioner.allocate.telling.ahead import (
    Ahead,
    AheadOfEach,
    Order,
    ahead_of_one,
    hosts_wanted,
)
from hwprovisioner.allocate.telling.expectation import HOLDERS, Expected, Releases, rounded
from hwprovisioner.allocate.telling.holders import Holders
from hwprovisioner.allocate.telling.kept import Kept
from hwprovisioner.allocate.telling.stock import Matching, Stock
from hwprovisioner.allocate.telling.waiting import Waiting, lacking, waits_for
from hwprovisioner.state.view import View

_CLASSES = 16
"""The spans of so many of the classes that wait for the same are gone by."""

_FEW = 64
"""With so many users or less for each class, it is counted anew for each request what is before it;
else once for all that ask for the same."""
_REST_OF_RELEASES = 500
"""What is expected is told to half a minute at the finest: so it is not worked out again whenever
something changes, but a second after it took 2 ms."""

Options = tuple[HostClass, ...]


class Outlook:
    """Tells of queued requests what they wait for, and until when."""

    def __init__(self, view: View, lab: Lab) -> None:
        """Look at the lab of `view`."""
        self._view = view
        self._lab = lab
        self.kept = Kept()
        self._counted: tuple[object, Ahead | None] = None, None
        """What is before the request that was asked for last: its reason and its time need it."""

    def reason(self, request: Request, failure: str = "") -> str:
        """Return what a request waits for; `failure` is what went wrong before."""
        now_ms = self._lab.clock.now_ms()
        number, latest_ms = self._giving_way().get(request.id, (0, 0))
        options = dict.fromkeys(itertools.chain.from_iterable(request.asked.hosts.values()))
        ahead = self._ahead(request, tuple(options))
        lack = self._lack(request, now_ms)
        waiting = Waiting(
            self._lab.charging.over_least(request) or ("" if lack else self._over(request, now_ms)),
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
        if lab.charging.over_least(request) or not lab.planner.coming(asked, request.excluded):
            return Expected()
        found = []
        # To count takes longer than all else, and most ask for one host.
        sorts = {asked.lone: 1} if asked.lone else Counter(asked.hosts.values())
        for options, count in sorts.items():
            ahead = self._ahead(request, options)
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

    def _ahead(self, request: Request, options: Options) -> Ahead | None:
        """Return what is before a request of those that compete for some options, if known."""
        queue, rivals, shapes = self._lab.planner.queue, self._rivals(options), shapes_of(options)
        if queue.users * rivals.bit_count() <= _FEW:
            key = self._lab.version, request.id, rivals, shapes
            if self._counted[0] != key:
                self._counted = key, ahead_of_one(queue, request, rivals, shapes)
            return self._counted[1]
        of_each = self.kept.get(
            ("ahead", rivals, shapes),
            self._lab.version,
            lambda: AheadOfEach(self.order().requests, rivals, shapes),
        )
        return of_each.of(request.id)

    def _rivals(self, options: Options) -> int:
        classes = self._lab.planner.classes
        return classes.rivals(options) & classes.queued

    def _releases(self, options: Options) -> Releases:
        matching = self._matching(options)
        return self.kept.get(
            ("releases", matching),
            self._lab.version,
            lambda: self._make(options, matching),
            rest=_REST_OF_RELEASES,
        )

    def _make(self, options: Options, matching: Matching) -> Releases:
        inventory, classes = self._lab.planner.inventory, self._lab.planner.classes
        now_ms = self._lab.clock.now_ms()

        def helps(name: str, share: Share) -> bool:
            bit = 1 << inventory.shape_of(name).index
            room = inventory.standing(name).room.with_again(share)
            return any(o.shapes & bit and room.share_for(o.option) is not None for o in options)

        all_holders = Holders(self._view, self._lab.past, self._lab.clock)
        names, total = self.stock().in_use(matching, HOLDERS)
        holders, share = all_holders.of(names, total, helps)
        rivals = self._rivals(options)
        some = itertools.islice(bits(rivals), _CLASSES)
        spans = all_holders.spans(class_id(classes.at(place).key) for place in some)
        hosts = hosts_wanted(self._lab.planner.queue, rivals, shapes_of(options))
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
