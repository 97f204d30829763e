"""What planning knows of a lab at one moment, and what can be asked of it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.inventory import Inventory
from hwprovisioner.allocate.planning.keeping import Keeper
from hwprovisioner.allocate.planning.order import Queue, Request
from hwprovisioner.allocate.planning.patience import Patience
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.planning.wish import Scope, Wish


class Grant(NamedTuple):
    """What a request gets."""

    request: str
    hosts: Mapping[str, Placed]


OverQuota = Callable[[Request, Mapping[str, Placed]], str]
"""Tells why a user may not have what was found for them, empty if they may. It only tells: others
than those who grant ask it, too."""
OnGrant = Callable[[Request, Mapping[str, Placed]], None]
"""Is told of a grant as soon as it is decided, so that it counts for those that come after it."""


class Board:
    """The resources and the queue of a lab."""

    def __init__(
        self,
        average: Callable[[str, int], float] = lambda user, now_ms: 0.0,
        weight: Callable[[str], float] = lambda user: 1.0,
        over_quota: OverQuota = lambda request, hosts: "",
        on_grant: OnGrant = lambda request, hosts: None,
        *,
        backfill: bool = True,
    ) -> None:
        """Begin with nothing.

        Args:
            average: tells how many hosts a user held on average in the recent past.
            weight: tells a user's weight of the fair share.
            over_quota: tells why a user may not have what was found for them.
            on_grant: is told of each grant of a pass, while that is under way.
            backfill: whether what sets keep may be used meanwhile.
        """
        self.classes = Classes()
        self.inventory: Inventory = self.classes.inventory
        self.finder = Finder(self.classes)
        self.queue = Queue(average, weight)
        self.over_quota = over_quota
        self.on_grant = on_grant
        self.backfill = backfill
        self.keepers: dict[str, Keeper] = {}
        """By request, what it keeps."""
        self.patience = Patience()

    def let_go(self, keeper: Keeper) -> set[str]:
        """Keep something no longer; returns what of it can be granted."""
        del self.keepers[keeper.request]
        for name in keeper.names:
            self.inventory.open_up(name)
        return {name for name in keeper.names if self.inventory.is_open(name)}

    def feasible(self, asked: RequestClass, excluded: frozenset[str] = frozenset()) -> bool:
        """Say whether a set could be placed were all that is registered free and in service."""
        return self._can_be(asked, excluded, Scope.EVER, self.inventory.registered)

    def coming(self, asked: RequestClass, excluded: frozenset[str] = frozenset()) -> bool:
        """Say whether a set can be had one day without anybody's doing."""
        return self._can_be(asked, excluded, Scope.COMING, self.inventory.version)

    def _can_be(
        self, asked: RequestClass, excluded: frozenset[str], scope: Scope, version: int
    ) -> bool:
        if excluded:
            return self.finder.find(Wish(asked, excluded), scope) is not None
        known = asked.findable.get(scope)
        if known is None or known[0] != version:
            found = self.finder.find(Wish(asked), scope) is not None
            known = asked.findable[scope] = version, found
        return known[1]
