"""What planning knows of a lab at one moment, and what can be asked of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.finding import Finder, Scope, Wish
from hwprovisioner.allocate.planning.inventory import Inventory
from hwprovisioner.allocate.planning.keeping import Keeper
from hwprovisioner.allocate.planning.order import Queue, Request
from hwprovisioner.allocate.planning.placement import Placed


@dataclass(frozen=True, slots=True)
class Grant:
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

    def feasible(self, asked: RequestClass, excluded: frozenset[str] = frozenset()) -> bool:
        """Say whether a set could be placed were all that is registered free and in service."""
        if excluded:
            return self.finder.find(Wish(asked, excluded), Scope.EVER) is not None
        if asked.feasible_at != self.inventory.registered:
            asked.feasible_at = self.inventory.registered
            asked.feasible = self.finder.find(Wish(asked), Scope.EVER) is not None
        return asked.feasible

    def coming(self, asked: RequestClass, excluded: frozenset[str] = frozenset()) -> bool:
        """Say whether a set can be had one day without anybody's doing."""
        if excluded:
            return self.finder.find(Wish(asked, excluded), Scope.COMING) is not None
        if asked.coming_at != self.inventory.version:
            asked.coming_at = self.inventory.version
            asked.coming = self.finder.find(Wish(asked), Scope.COMING) is not None
        return asked.coming
