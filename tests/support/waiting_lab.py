"""Labs for tests of what is told: shapes by their labels, a planner, and what finds in it."""

from collections.abc import Mapping

from hwprovisioner.allocate.demand import Division, HostDemand, Relation, SetDemand, Spec
from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.room import Room
from hwprovisioner.allocate.telling.stock import Stock
from hwprovisioner.allocate.telling.waiting import lacking


def labelled(letters: str) -> HostDemand:
    """What asks for a label for each letter."""
    return HostDemand(labels=tuple((letter, None) for letter in sorted(letters)))


class SmallLab:
    """Resources as a test says; nothing decides by itself."""

    def __init__(self) -> None:
        self.planner = Planner()

    def put(
        self,
        name: str,
        letters: str = "",
        *,
        cpus: int = 0,
        used: bool = False,
        closed: str = "",
        can_open: bool = True,
        free_cpus: int | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Register a resource; a divisible one if it is said how many cpus are free."""
        found = {*((letter, "") for letter in letters), *(labels or {}).items()}
        division = None if free_cpus is None else Division(10, 1, 0)
        spec = Spec(cpus=cpus, labels=frozenset(found), division=division)
        whole = Room.whole(spec)
        slots = whole.slots - (used or free_cpus is not None)
        room = Room(spec, slots, cpus if free_cpus is None else free_cpus, 0, whole.cards)
        self.planner.set_resource(name, Standing(room, closed, can_open))

    def asked(self, *relations: Relation, **hosts: HostDemand) -> RequestClass:
        """Return the class of what is asked for."""
        demand = SetDemand(hosts, relations)
        return self.planner.classes.get(repr(demand), demand)

    def stock(self) -> Stock:
        """Return how all stands now."""
        return Stock(self.planner.finder, self.planner.keepers)

    def lack(self, asked: RequestClass, next_free_ms: int = 0, **wish: object) -> str:
        """Return what is lacking at the time 0."""
        return lacking(
            self.planner.finder,
            self.stock(),
            Wish(asked, **wish),  # type: ignore[arg-type]
            lambda options: next_free_ms,
        )
