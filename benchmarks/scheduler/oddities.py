"""What one user's oddities cost others: the same lab with and without them, in turns.

As many are queued as one user may queue at most of different demands (`intake.CLASS_LIMIT`).
"""

import gc
import random
from collections.abc import Callable

from benchmarks.measuring import Ratio
from benchmarks.scheduler import making
from benchmarks.scheduler.measuring import measure_decisions
from benchmarks.scheduler.simulated import SimulatedLab, Size
from hwprovisioner.allocate.demand import (
    Division,
    Gpu,
    GpuDemand,
    HostDemand,
    Relation,
    RelationKind,
    SetDemand,
    Spec,
)
from hwprovisioner.allocate.intake import CLASS_LIMIT
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.room import Room

_SIZE = Size(resources=1_000, queued=1_000, classes=200, users=20)
_ROUNDS = 10
_CARDS = 64
_SETS = 50


def measure() -> list[Ratio]:
    """Return for each oddity what others' decisions cost against those without it."""
    return [
        _ratio(f"{CLASS_LIMIT:,} different demands", _different_demands),
        _ratio(f"{CLASS_LIMIT:,} costly expressions", _costly_expressions),
        _ratio(f"{_CARDS} demands for {_CARDS} cards, {_SETS} times", _many_cards),
        _ratio(f"{_SETS} sets of 16 with relations", _related_sets),
    ]


def _ratio(name: str, make_odd: Callable[[SimulatedLab], None]) -> Ratio:
    plain, odd = SimulatedLab(_SIZE), SimulatedLab(_SIZE)
    make_odd(odd)
    odd.decide()
    gc.collect()
    without, beside = measure_decisions([plain, odd], _ROUNDS)
    value = beside.freed.median / without.freed.median
    return Ratio(f"freed to grant beside one user with {name}", value, at_most=2)


def _queue(lab: SimulatedLab, key: str, demand: SetDemand) -> None:
    lab.planner.add(lab.request(lab.planner.classes.get(key, demand), user="odd"))


def _different_demands(lab: SimulatedLab) -> None:
    for number in range(CLASS_LIMIT):
        _queue(lab, f"odd-{number}", making.plain(50_000 + number))


def _costly_expressions(lab: SimulatedLab) -> None:
    for number in range(CLASS_LIMIT):
        where = f"resource.cpus >= 4 && resource.labels.all(l, l != 'none-{number}')"
        _queue(
            lab,
            f"odd-{number}",
            SetDemand({"host": HostDemand(kinds=frozenset({making.SERVER}), where=where)}),
        )


def _many_cards(lab: SimulatedLab) -> None:
    draw = random.Random(1)
    sizes = [draw.randrange(1, 65) * making.GIB for _ in range(_CARDS)]
    cards = tuple(Gpu("nvidia", "a100", size) for size in sizes)
    spec = Spec(making.SERVER, 64, 64 * making.GIB, cards, division=Division(4, 1, 1))
    for number in range(4):
        lab.planner.set_resource(f"cards-{number}", Standing(Room.whole(spec)))
    for number in range(_SETS):
        wanted = tuple(
            GpuDemand(memory=Bounds(max(1, size - number), size + number)) for size in sizes
        )
        _queue(lab, f"odd-{number}", SetDemand({"host": HostDemand(gpus=wanted)}))


def _related_sets(lab: SimulatedLab) -> None:
    for number in range(_SETS):
        hosts = making.set_of(16, number).hosts
        names = tuple(sorted(hosts))
        relations = (
            Relation(RelationKind.SAME, "rack", names[:8]),
            Relation(RelationKind.DIFFERENT, "lot", names[8:]),
        )
        _queue(lab, f"odd-{number}", SetDemand(hosts, relations))
